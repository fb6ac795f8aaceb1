"""What the tests of the Ascend backend share: chips of both overflow modes, a NumPy cube, a way to run a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import onnx
import onnx.parser
import onnx_ir as ir
import pytest

from zoo.ascend.compiler import compile_model
from zoo.ascend.hardware import Chip, load_chip

SATURATING, IEEE = "ascend310p3", "ascend910b3"

Array = np.ndarray
Run = Callable[..., list[Array]]


def round_fp16(values: Array, chip: Chip) -> Array:
    """The NumPy model of rounding to fp16: IEEE 754, then what the chip's overflow mode makes of Inf and NaN."""
    with np.errstate(over="ignore", invalid="ignore"):
        half = np.asarray(values).astype(np.float16).astype(np.float32)
    if not chip.saturates:
        return half
    return np.nan_to_num(half, nan=0.0, posinf=65504.0, neginf=-65504.0)


def run_model(model: ir.Model, feed: Mapping[str, Array], *, optimize: bool = True, threads: int = 1) -> list[Array]:
    """Run a model that fits into memory on ONNX Runtime."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    level = onnxruntime.GraphOptimizationLevel
    options.graph_optimization_level = level.ORT_ENABLE_ALL if optimize else level.ORT_DISABLE_ALL
    data = ir.serde.serialize_model(model).SerializeToString()
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    return session.run(None, dict(feed))


@pytest.fixture(scope="session", params=[SATURATING, IEEE])
def chip(request: pytest.FixtureRequest) -> Chip:
    """A chip of each overflow mode."""
    return load_chip(request.param)


@pytest.fixture(scope="session")
def fp16() -> Callable[[Array, Chip], Array]:
    return round_fp16


@pytest.fixture(scope="session")
def run() -> Run:
    return run_model


@pytest.fixture(scope="session")
def read() -> Callable[[str], ir.Model]:
    """Parse a graph, without its header, in ONNX's textual syntax (opset 23)."""

    def parse(graph: str, opset: int = 23) -> ir.Model:
        text = f'<ir_version: 10, opset_import: ["": {opset}]> {graph}'
        return ir.serde.deserialize_model(onnx.parser.parse_model(text))

    return parse


@pytest.fixture(scope="session")
def compiled_run(run: Run) -> Run:
    """Compile a model, check the program, run it optimised and not, and return what both runs agree on."""

    def both(model: ir.Model, chip: Chip, feed: Mapping[str, Array]) -> list[Array]:
        program = compile_model(model, chip)
        onnx.checker.check_model(ir.serde.serialize_model(program), full_check=True)
        optimized, plain = run(program, feed), run(program, feed, optimize=False)
        for one, other in zip(optimized, plain, strict=True):
            np.testing.assert_allclose(one, other, rtol=2e-3, atol=1e-6)
        return plain

    return both
