"""What a legal static graph is: ONNX's own checker, the standard domain, and no large tensor inside the file."""

from __future__ import annotations

from pathlib import Path

from zoo.errors import InternalError
from zoo.graph import INLINE_BYTES, OPSET


def check_file(file: Path, *, without_weights: bool = False) -> None:
    """Check an ONNX file that zooport itself has written; ``without_weights``, one whose weights are not there.

    Raises:
        InternalError: If the file is not legal: a port must never leave one behind.
    """
    import onnx

    try:
        onnx.checker.check_model(_weights_as_inputs(file) if without_weights else str(file))
    except onnx.checker.ValidationError as error:
        raise InternalError(f"the port is no legal ONNX graph: {str(error)[:800]}") from error
    model = onnx.load(str(file), load_external_data=False)
    faults = [f"opset {entry.domain or 'ai.onnx'} {entry.version}" for entry in model.opset_import if not _legal(entry)]
    faults += [
        f"tensor {tensor.name} of {len(tensor.raw_data)} bytes inside the file"
        for tensor in model.graph.initializer
        if len(tensor.raw_data) > INLINE_BYTES and tensor.data_location != onnx.TensorProto.EXTERNAL
    ]
    if faults:
        raise InternalError("the port is not in the zoo's format: " + "; ".join(faults[:8]))


def _weights_as_inputs(file: Path) -> bytes:
    """Return the model with inputs in the place of its external tensors."""
    import onnx

    model = onnx.load(str(file), load_external_data=False)
    outside = [item for item in model.graph.initializer if item.data_location == onnx.TensorProto.EXTERNAL]
    for item in outside:
        model.graph.initializer.remove(item)
        model.graph.input.append(onnx.helper.make_tensor_value_info(item.name, item.data_type, item.dims))
    content: bytes = model.SerializeToString()
    return content


def _legal(entry: object) -> bool:
    domain, version = getattr(entry, "domain", ""), getattr(entry, "version", 0)
    return domain in ("", "ai.onnx") and version == OPSET
