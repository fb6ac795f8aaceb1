"""The artifact directory and memory: written at once or not at all, sealed, and verified before it is used."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import UserError
from zoo.folder import new_folder
from zoo.record import dumps, write_atomically

if TYPE_CHECKING:
    import numpy as np
    import onnx_ir as ir

SCHEMA = 1
MODEL, WEIGHTS, CARD, GOLDEN, MANIFEST = (
    "model.onnx",
    "model.safetensors",
    "card.yaml",
    "golden.safetensors",
    "manifest.json",
)


@dataclass(frozen=True)
class Problem:
    """One file that is not what the manifest says.

    Attributes:
        file: Name inside the artifact.
        fact: ``changed``, ``missing`` or ``not in the manifest``.
        expected: sha256 of the manifest, empty where there is none.
        got: sha256 of the file, empty where there is none.
    """

    file: str
    fact: str
    expected: str = ""
    got: str = ""


@dataclass(frozen=True)
class Artifact:
    """An artifact directory that was opened; nothing is read before it is asked for."""

    path: Path
    _cache: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def model_path(self) -> Path:
        """The ONNX file."""
        return self.path / MODEL

    def model(self) -> ir.Model:
        """Return the graph; weights stay on disk until they are touched.

        Raises:
            UserError: If the file is no ONNX model or its external data leaves the artifact.
        """
        from zoo.containment import read_graph

        return read_graph(self.model_path)

    def card(self) -> dict[str, Any]:
        """Return the card as plain data (see ``zoo.card``)."""
        if "card" not in self._cache:
            from zoo.card import read_card

            self._cache["card"] = read_card(self.path / CARD)
        card: dict[str, Any] = self._cache["card"]
        return card

    def golden(self) -> dict[str, np.ndarray]:
        """Return the recorded inputs and outputs, empty where none were recorded."""
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        file = self.path / GOLDEN
        try:
            return dict(load_file(file)) if file.exists() else {}
        except SafetensorError as error:
            raise UserError("the golden data cannot be read", place=str(file), got=str(error)) from error

    def result(self, name: str) -> dict[str, Any] | None:
        """Return the result ``name`` (``parity``, ``accuracy``, ``bench`` ...), ``None`` where there is none."""
        file = self.path / f"{name}.json"
        if not file.exists():
            return None
        try:
            parsed: dict[str, Any] = json.loads(file.read_text())
        except ValueError as error:
            raise UserError("the result cannot be read", place=str(file), got=str(error)) from error
        return parsed

    def result_names(self) -> list[str]:
        """Return the names of all results in the artifact."""
        return sorted(file.stem for file in self.path.glob("*.json") if file.name != MANIFEST)

    def add_result(self, name: str, value: Any) -> None:
        """Add or replace a result and renew the seal.

        The manifest first names the old and the new hash, then the file changes, then the old hash goes:
        at whatever moment this is killed the seal holds. Processes that add at the same time wait for each other.
        """
        self._put(f"{name}.json", dumps(value).encode())

    def replace_card(self, card: Mapping[str, Any]) -> None:
        """Write another card and renew the seal, as :meth:`add_result` does."""
        from zoo.card import dump_card

        self._put(CARD, dump_card(card).encode())
        self._cache.pop("card", None)

    def _put(self, file: str, content: bytes) -> None:
        after = hashlib.sha256(content).hexdigest()
        with _locked(self.path):
            manifest = _read_manifest(self.path)
            # What a kill left announced but unwritten was never there.
            unwritten = {name for name in manifest.get("pending", []) if not (self.path / name).exists()}
            files = {name: hashes for name, hashes in manifest["files"].items() if name not in unwritten}
            before = files.get(file, [])
            _write_manifest(self.path, {**files, file: [*before, after]}, missing_ok=[] if before else [file])
            write_atomically(self.path / file, content)
            _write_manifest(self.path, {**files, file: [after]})


def open_artifact(path: Path | str, *, unsealed: bool = False) -> Artifact:
    """Open an artifact directory and hold it against its seal.

    Raises:
        UserError: If it is no artifact, or its seal is broken and ``unsealed`` is not set.
    """
    path = Path(path)
    if not path.is_dir():
        raise UserError(
            "there is no artifact here",
            place=str(path),
            expected="a directory that `zooport port` wrote",
            hint=f"zooport port SOURCE -o {path}",
        )
    if not (path / MANIFEST).exists():
        raise UserError(
            "the directory is no artifact",
            place=str(path),
            expected=f"{MANIFEST} beside {MODEL}",
            got=", ".join(sorted(file.name for file in path.iterdir())[:8]) or "an empty directory",
            hint=f"zooport port SOURCE -o {path}",
        )
    artifact = Artifact(path)
    if not unsealed:
        problems = verify(path)
        if problems:
            first = problems[0]
            raise UserError(
                "the artifact's seal is broken: " + ", ".join(f"{p.file} ({p.fact})" for p in problems),
                place=str(path),
                expected=f"sha256 {first.expected}" if first.expected else "only files of the manifest",
                got=f"sha256 {first.got}" if first.got else first.fact,
                hint="port again, or pass --unsealed to use it as it is",
            )
    return artifact


def verify(path: Path | str) -> list[Problem]:
    """Hold every file of the artifact against the manifest and return what differs."""
    path = Path(path)
    manifest = _read_manifest(path)
    optional = set(manifest.get("pending", []))
    problems = []
    for name, hashes in sorted(manifest["files"].items()):
        file = path / name
        if not file.is_file() or file.is_symlink():
            if name not in optional:
                problems.append(Problem(name, "missing" if not file.exists() else "not a plain file", hashes[-1]))
            continue
        got = sha256(file)
        if got not in hashes:
            problems.append(Problem(name, "changed", hashes[-1], got))
    for file in sorted(path.rglob("*")):
        name = file.relative_to(path).as_posix()
        if name == MANIFEST or name in manifest["files"] or _is_unfinished(file):
            continue
        if file.is_symlink() or file.is_file():
            problems.append(Problem(name, "not in the manifest", "", sha256(file) if file.is_file() else ""))
    return problems


def _is_unfinished(file: Path) -> bool:
    # What write_atomically leaves behind where it is killed.
    return file.name.startswith(".") and ".tmp-" in file.name


def seal(path: Path) -> None:
    """Write the manifest of a finished artifact directory."""
    umask = os.umask(0)
    os.umask(umask)
    for file in path.rglob("*.safetensors"):
        file.chmod(0o666 & ~umask)  # safetensors makes its files readable by their owner alone
    files = {
        file.relative_to(path).as_posix(): [sha256(file)]
        for file in sorted(path.rglob("*"))
        if file.is_file() and file.name != MANIFEST
    }
    _write_manifest(path, files)


def sha256(file: Path) -> str:
    """Return the file's sha256 in hexadecimal, read in blocks."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _read_manifest(path: Path) -> dict[str, Any]:
    file = path / MANIFEST
    try:
        manifest = json.loads(file.read_text())
        if manifest["schema"] != SCHEMA:
            raise UserError(
                "the artifact has another schema version",
                place=str(file),
                expected=SCHEMA,
                got=manifest["schema"],
                hint="port the model again with this version of zooport",
            )
        names = list(manifest["files"])
        if not all(isinstance(hashes, list) and hashes for hashes in manifest["files"].values()):
            raise KeyError("files")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UserError("the manifest cannot be read", place=str(file), got=repr(error)) from error
    for name in names:
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise UserError("the manifest names a file outside the artifact", place=str(file), got=name)
    result: dict[str, Any] = manifest
    return result


def _write_manifest(path: Path, files: Mapping[str, list[str]], missing_ok: list[str] | None = None) -> None:
    manifest: dict[str, Any] = {"schema": SCHEMA, "files": dict(sorted(files.items()))}
    if missing_ok:
        manifest["pending"] = missing_ok
    write_atomically(path / MANIFEST, dumps(manifest).encode())


@contextlib.contextmanager
def new_artifact(out: Path | str) -> Iterator[Path]:
    """Give a directory to build in; on leaving, seal it and put it in the place of ``out`` by renaming.

    An exception inside leaves ``out`` as it was. A kill leaves the old artifact or none, and a directory
    ``.NAME.tmp-PID`` that the next port removes.

    Raises:
        UserError: If ``out`` exists and is neither an artifact nor an empty directory.
    """
    refuse_foreign(out)
    with new_folder(out) as building:
        yield building
        seal(building)


def refuse_foreign(out: Path | str) -> None:
    """Refuse an output path at which something else than an artifact stands.

    Raises:
        UserError: If ``out`` exists and is neither an artifact nor an empty directory.
    """
    out = Path(out)
    if not out.exists():
        return
    if not out.is_dir() or (any(out.iterdir()) and not _is_artifact(out)):
        raise UserError(
            "the output exists and is no artifact; it is left alone",
            place=str(out),
            expected="a new path, an empty directory, or an artifact to replace",
            hint="choose another -o",
        )


def _is_artifact(path: Path) -> bool:
    # Other tools write a manifest.json too; ours names a schema and hashed files.
    try:
        manifest = json.loads((path / MANIFEST).read_text())
        return "schema" in manifest and isinstance(manifest["files"], dict)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return False


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    handle = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
