"""What strangers hand over is data: no file makes zooport run code of its own."""

from __future__ import annotations

import io
import json
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tiny_models
import torch

from porters import open_source
from porters.pytorch.checkpoints import read_state_dict
from zoo.errors import UserError
from zoo.npz import read_npz


class Bomb:
    """Leaves a directory behind where it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return (os.mkdir, (str(self.mark),))


@pytest.fixture
def bomb(tmp_path: Path) -> Bomb:
    """A bomb that is known to work."""
    live = Bomb(tmp_path / "tried")
    pickle.loads(pickle.dumps(live))  # noqa: S301
    assert live.mark.exists()
    return Bomb(tmp_path / "exploded")


@pytest.mark.parametrize("name", ["w.pt", "w.pth", "w.bin", "w.ckpt", "w"])
@pytest.mark.parametrize("zipped", [True, False])
def test_a_checkpoint_with_a_bomb_is_refused_and_does_not_go_off(
    tmp_path: Path, bomb: Bomb, name: str, zipped: bool
) -> None:
    file = tmp_path / name
    torch.save({"weight": torch.zeros(1), "x": bomb}, file, _use_new_zipfile_serialization=zipped)
    with pytest.raises(UserError, match="zooport never unpickles what it is handed") as caught:
        read_state_dict(file)
    assert "mkdir" in str(caught.value.got)
    assert "safetensors" in str(caught.value.hint)
    assert not bomb.mark.exists()


def test_a_plain_pickle_is_refused_on_the_command_line(tmp_path: Path, bomb: Bomb, refused: Callable[..., str]) -> None:
    (tmp_path / "w.pth").write_bytes(pickle.dumps({"weight": bomb}))
    said = refused("port", *tiny_models.CONVNET, "--weights", tmp_path / "w.pth", "-o", tmp_path / "art")
    assert f"where:    {tmp_path / 'w.pth'}" in said
    assert not bomb.mark.exists()


def test_inputs_with_pickled_objects_are_refused(tmp_path: Path, bomb: Bomb) -> None:
    np.savez(tmp_path / "in.npz", x=np.array([bomb], dtype=object))
    with pytest.raises(UserError, match="the inputs cannot be read"):
        read_npz(tmp_path / "in.npz")
    assert not bomb.mark.exists()


def test_a_pickle_for_inputs_is_refused_on_the_command_line(
    tiny: Path, bomb: Bomb, refused: Callable[..., str]
) -> None:
    (tiny.parent / "in.npz").write_bytes(pickle.dumps(bomb))
    assert "expected: an .npz file of plain arrays" in refused("run", tiny, "--input", tiny.parent / "in.npz")
    assert not bomb.mark.exists()


# -- exported programs ---------------------------------------------------------------------------------------------


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """What torch.export.save writes of a tiny model."""
    exported = torch.export.export(tiny_models.convnet().eval(), (torch.zeros(2, 3, 8, 8),))
    torch.export.save(exported, tmp_path / "tiny.pt2")
    return tmp_path / "tiny.pt2"


def rewrite(file: Path, edit: Callable[[str, bytes], bytes], more: dict[str, bytes]) -> None:
    """Write an exported program again with other contents."""
    with zipfile.ZipFile(file) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    root = next(iter(members)).split("/")[0]
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            archive.writestr(name, edit(name, content))
        for name, content in more.items():
            archive.writestr(f"{root}/{name}", content)


def torch_pickle(content: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def plant(file: Path, kind: str, path: str, content: bytes) -> None:
    """Make the first weight or constant of an exported program a pickle."""

    def edit(name: str, before: bytes) -> bytes:
        if not name.endswith(f"{kind}_config.json"):
            return before
        config = json.loads(before)
        first = next(iter(config["config"].values()))
        first.update(path_name=path, use_pickle=True)
        return json.dumps(config).encode()

    rewrite(file, edit, {f"data/{kind}/{path}": content})


@pytest.mark.parametrize(("kind", "path"), [("weights", "weight_99"), ("constants", "tensor_99")])
def test_an_exported_program_with_a_pickled_tensor_does_not_go_off(
    program: Path, bomb: Bomb, kind: str, path: str
) -> None:
    plant(program, kind, path, torch_pickle(bomb))
    with pytest.raises(UserError, match="no exported program that can be read safely"):
        open_source(f"exported:{program}")
    assert not bomb.mark.exists()


def test_an_exported_program_with_a_pickled_object_does_not_go_off(program: Path, bomb: Bomb) -> None:
    from torch.export.pt2_archive.constants import OPAQUE_OBJ_FILENAME_PREFIX

    plant(program, "constants", f"{OPAQUE_OBJ_FILENAME_PREFIX}0", pickle.dumps(bomb))
    with pytest.raises(UserError, match="no exported program that can be read safely") as caught:
        open_source(f"exported:{program}")
    assert "pickled object" in str(caught.value.got)
    assert not bomb.mark.exists()


def test_the_bombs_of_exported_programs_are_live(program: Path, bomb: Bomb) -> None:
    """Without the guard torch itself unpickles them: what the tests above prove is the guard's work."""
    plant(program, "weights", "weight_99", torch_pickle(bomb))
    with pytest.raises(Exception):  # noqa: B017, PT011  (whatever torch makes of a number for a weight)
        torch.export.load(program)(torch.zeros(2, 3, 8, 8))
    assert bomb.mark.exists()


def test_reading_an_exported_program_leaves_torch_as_it_was(program: Path) -> None:
    from torch.export.pt2_archive import _package

    before = dict(os.environ)
    open_source(f"exported:{program}")
    assert dict(os.environ) == before
    assert _package.pickle is pickle
