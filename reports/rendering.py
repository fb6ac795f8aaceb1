"""Opens artifacts, collects their facts, and writes the report's three files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from reports.facts import Report
from reports.html import page
from reports.markdown import markdown
from reports.sources import Source, collect, is_result
from zoo.errors import UserError
from zoo.record import dumps, write_atomically

if TYPE_CHECKING:
    from zoo.artifact import Artifact

HTML, MARKDOWN, FACTS = "index.html", "report.md", "report.json"


def render(artifacts: Sequence[Path | str], out: Path | str, *, unsealed: bool = False) -> Path:
    """Write ``index.html``, ``report.md`` and ``report.json`` about ``artifacts`` into the directory ``out``.

    Args:
        artifacts: Artifact directories, in the order of the report.
        out: Directory to write into; made where it is missing.
        unsealed: Take artifacts whose seal is broken; the report then says so.

    Returns:
        The path of ``index.html``.

    Raises:
        UserError: If an artifact or ``out`` cannot be used, or the extra ``reports`` is not installed.
    """
    paths = [Path(path) for path in artifacts]
    _refuse_inside(Path(out), paths)
    return render_report(collect([_source(path, unsealed) for path in paths]), Path(out))


def render_report(report: Report, out: Path) -> Path:
    """Write the three files of a report that is already collected and return the path of ``index.html``."""
    contents = {HTML: page(report), MARKDOWN: markdown(report), FACTS: dumps(report)}
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            # Parsed JSON may hold half a surrogate pair, which UTF-8 cannot spell.
            write_atomically(out / name, content.encode(errors="replace"))
    except OSError as error:
        raise UserError("the report cannot be written", place=str(out), got=str(error)) from error
    return out / HTML


def _source(path: Path, unsealed: bool) -> Source:
    from zoo.artifact import open_artifact, verify

    artifact = open_artifact(path, unsealed=unsealed)
    return Source(
        directory=path.resolve().name,
        card=artifact.card(),
        results={name: _result(artifact, name) for name in artifact.result_names() if is_result(name)},
        sealed=not (unsealed and verify(path)),
    )


def _result(artifact: Artifact, name: str) -> dict[str, object]:
    try:
        parsed = artifact.result(name)
    except ValueError as error:
        raise _unreadable(artifact.path / f"{name}.json", str(error)) from error
    if not isinstance(parsed, dict):
        raise _unreadable(artifact.path / f"{name}.json", type(parsed).__name__)
    return parsed


def _unreadable(file: Path, got: str) -> UserError:
    return UserError("a result cannot be read", place=str(file), expected="one JSON object", got=got)


def _refuse_inside(out: Path, artifacts: Sequence[Path]) -> None:
    # A file that the manifest does not know breaks the artifact's seal.
    for artifact in artifacts:
        if out.resolve().is_relative_to(artifact.resolve()):
            raise UserError(
                "the report would lie inside an artifact and break its seal",
                place=str(out),
                expected=f"a directory outside {artifact}",
                hint="choose another -o",
            )
