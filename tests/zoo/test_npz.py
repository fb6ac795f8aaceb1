"""Inputs and outputs in .npz files: plain arrays, never pickles."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from zoo.errors import UserError
from zoo.npz import read_npz, write_npz


def test_arrays_survive_the_file(tmp_path: Path) -> None:
    arrays = {"x": np.arange(6, dtype=np.int16).reshape(2, 3), "deep/name": np.float64([1.5]), "n": np.float32(2)}
    write_npz(tmp_path / "a.npz", arrays)
    again = read_npz(tmp_path / "a.npz")
    assert {name: (a.dtype, a.shape, a.tobytes()) for name, a in again.items()} == {
        name: (a.dtype, a.shape, a.tobytes()) for name, a in arrays.items()
    }


def zipped(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def array(shape: tuple[int, ...] = (4,)) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "<f4", "fortran_order": False, "shape": shape})
    return buffer.getvalue() + bytes(16)


SPOILED = {
    "empty": b"",
    "text": b"not a zip",
    "a single array": array(),
    "truncated": zipped(**{"x.npy": array()})[:-30],
    "no array inside": zipped(**{"x.txt": b"text"}),
    "larger than any memory": zipped(**{"x.npy": array((1 << 50,))}),
    "damaged": zipped(**{"x.npy": array() + bytes(4000)})[:60] + b"\xff" * 60,
}


@pytest.mark.parametrize("how", SPOILED)
def test_a_spoiled_file_is_refused(tmp_path: Path, how: str) -> None:
    file = tmp_path / "in.npz"
    file.write_bytes(SPOILED[how])
    with pytest.raises(UserError, match="the inputs cannot be read") as caught:
        read_npz(file)
    assert str(file) in str(caught.value)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="the inputs cannot be read"):
        read_npz(tmp_path / "none.npz")


@pytest.mark.parametrize("name", ["none/out.npz", "folder"])
def test_outputs_that_cannot_be_written_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(UserError, match="output"):
        write_npz(tmp_path / name, {"x": np.zeros(1)})
    assert [item.name for item in tmp_path.iterdir()] == ["folder"]
