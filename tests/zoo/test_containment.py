"""External data stays inside the artifact, whatever the graph says and whoever sealed it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from zoo.artifact import MODEL, WEIGHTS, open_artifact, seal
from zoo.errors import UserError
from zoo.executor import load


def point(artifact: Path, **entries: object) -> None:
    """Rewrite where the first external tensor lies, and seal the artifact as a stranger would."""
    model = onnx.load(artifact / MODEL, load_external_data=False)
    tensor = next(t for t in model.graph.initializer if t.data_location == onnx.TensorProto.EXTERNAL)
    fields = {entry.key: entry.value for entry in tensor.external_data} | {k: str(v) for k, v in entries.items()}
    del tensor.external_data[:]
    for key, value in fields.items():
        tensor.external_data.add(key=key, value=value)
    (artifact / MODEL).write_bytes(model.SerializeToString())
    seal(artifact)


def point_to_link(artifact: Path) -> None:
    (artifact.parent / "outside.bin").write_bytes(bytes(1 << 16))
    (artifact / "link.bin").symlink_to(artifact.parent / "outside.bin")
    point(artifact, location="link.bin")


def point_through_directory(artifact: Path) -> None:
    (artifact.parent / "outside").mkdir()
    (artifact.parent / "outside" / "data.bin").write_bytes(bytes(1 << 16))
    (artifact / "sub").symlink_to(artifact.parent / "outside")
    point(artifact, location="sub/data.bin")


def point_by_constant(artifact: Path) -> None:
    """A Constant node's value may be external data as well."""
    (artifact.parent / "outside.bin").write_bytes(bytes(64))
    tensor = onnx.TensorProto(name="stolen", data_type=onnx.TensorProto.FLOAT, dims=[16])
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../outside.bin")
    model = onnx.load(artifact / MODEL, load_external_data=False)
    model.graph.node.append(onnx.helper.make_node("Constant", [], ["stolen"], value=tensor))
    model.graph.output.append(onnx.helper.make_tensor_value_info("stolen", onnx.TensorProto.FLOAT, [16]))
    (artifact / MODEL).write_bytes(model.SerializeToString())
    seal(artifact)


OUTSIDE: dict[str, Callable[[Path], None]] = {
    "absolute": lambda artifact: point(artifact, location="/etc/passwd"),
    "parent": lambda artifact: point(artifact, location="../../../../../../etc/passwd"),
    "missing": lambda artifact: point(artifact, location="nothing.bin"),
    "directory": lambda artifact: point(artifact, location="."),
    "link": point_to_link,
    "linked directory": point_through_directory,
    "constant": point_by_constant,
    "beyond": lambda artifact: point(artifact, offset=1 << 20),
    "long": lambda artifact: point(artifact, length=1 << 30),
    "negative": lambda artifact: point(artifact, offset=-8),
}


@pytest.mark.parametrize("how", OUTSIDE)
def test_external_data_elsewhere_is_refused(tiny: Path, how: str) -> None:
    OUTSIDE[how](tiny)
    with pytest.raises(UserError) as caught:
        open_artifact(tiny, unsealed=True).model()
    assert MODEL in str(caught.value)


@pytest.mark.parametrize("on", ["onnxruntime", "openvino", "reference", "ascend310p3"])
@pytest.mark.parametrize("how", ["parent", "link", "constant"])
def test_no_executor_follows_it(tiny: Path, how: str, on: str) -> None:
    OUTSIDE[how](tiny)
    with pytest.raises(UserError, match=r"external data must be a plain file|cannot be read"):
        load(tiny / MODEL, on)


def test_the_command_line_refuses_it(tiny: Path, refused: Callable[..., str]) -> None:
    point(tiny, offset=1 << 20)
    said = refused("run", tiny)
    assert "external data ends beyond its file" in said
    assert f"expected: at most {(tiny / WEIGHTS).stat().st_size} bytes" in said
    assert "got:      offset 1048576" in said


@pytest.mark.parametrize("content", [b"", b"no protobuf at all", b"\x08\x0b"])
def test_a_file_that_is_no_graph_is_refused(tiny: Path, content: bytes) -> None:
    (tiny / MODEL).write_bytes(content)
    for on in ("onnxruntime", "ascend310p3"):
        with pytest.raises(UserError) as caught:
            load(tiny / MODEL, on)
        assert str(tiny / MODEL) in str(caught.value)


def test_weights_are_read_only_when_they_are_touched(tiny: Path) -> None:
    model = open_artifact(tiny).model()
    (tiny / WEIGHTS).write_bytes(np.zeros((tiny / WEIGHTS).stat().st_size, np.uint8).tobytes())
    stem = model.graph.initializers["stem.weight"].const_value
    assert stem is not None
    assert not stem.numpy().any()
