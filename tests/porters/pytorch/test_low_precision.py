"""Weights in bfloat16, float16, float8 and integers: stored as they are, and computed with as torch computes."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
import torch
import torch.nn.functional as F

from porters.canonicalize import canonicalize
from porters.pytorch.walker import Walker
from zoo.executors import onnxruntime
from zoo.graph import GraphBuilder


class Mixed(torch.nn.Module):
    """A weight of a narrow dtype that is widened where it is used."""

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        narrow = (torch.randn(6, 4, generator=generator) * 2).to(dtype)
        self.weight = torch.nn.Parameter(narrow, requires_grad=False)
        self.register_buffer("scale", torch.rand(6, 1, generator=generator))

    def forward(self, x: Any) -> Any:
        return F.linear(x, self.weight.to(torch.float32) * self.scale)


class Narrow(torch.nn.Module):
    """Layers that compute in a narrow dtype between casts."""

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = torch.nn.Sequential(
            torch.nn.Linear(4, 16), torch.nn.ReLU(), torch.nn.LayerNorm(16), torch.nn.Linear(16, 3)
        ).to(dtype)
        self.dtype = dtype

    def forward(self, x: Any) -> Any:
        return self.layers(x.to(self.dtype)).float()


def walked(module: torch.nn.Module, x: torch.Tensor) -> ir.Model:
    with torch.no_grad():
        program = torch.export.export(module.eval(), (x,), strict=False)
    g = GraphBuilder("subject")
    model = g.finish(Walker(g).program(program, {}))
    canonicalize(model)
    return model


def answers(model: ir.Model, x: torch.Tensor) -> list[np.ndarray]:
    results = []
    for optimize in (False, True):
        with onnxruntime.load(ir.to_proto(model).SerializeToString(), optimize=optimize, threads=1) as session:
            results += session.run({"x": x.numpy()}).values()
    return results


@pytest.mark.parametrize(
    "dtype",
    [torch.bfloat16, torch.float16, torch.float8_e4m3fn, torch.float8_e5m2, torch.int8, torch.uint8, torch.bool],
)
def test_a_narrow_weight_is_stored_as_it_is_and_widened_exactly(dtype: torch.dtype) -> None:
    x = torch.randn(5, 4, generator=torch.Generator().manual_seed(1))
    module = Mixed(dtype)
    model = walked(module, x)
    weight = model.graph.initializers["weight"]
    assert weight.dtype is not None
    assert weight.dtype.bitwidth == module.weight.dtype.itemsize * 8
    stored = np.asarray(weight.const_value.numpy()).astype(np.float32)
    np.testing.assert_array_equal(stored, module.weight.float().numpy())
    for have in answers(model, x):
        np.testing.assert_allclose(have, module(x).numpy(), rtol=1e-5, atol=1e-5)


def test_layers_in_float16() -> None:
    x = torch.randn(7, 4, generator=torch.Generator().manual_seed(1))
    module = Narrow(torch.float16)
    model = walked(module, x)
    assert model.graph.initializers["layers.0.weight"].dtype == ir.DataType.FLOAT16
    with torch.no_grad():
        truth = Narrow(torch.float32).eval()(x)
        budget = float((module(x) - truth).norm())
    for have in answers(model, x):
        assert float((torch.from_numpy(have) - truth).norm()) <= 3 * budget


def test_layers_in_bfloat16_keep_their_dtype() -> None:
    # ONNX Runtime has no bfloat16 kernels for these on the CPU: the graph is held against ONNX's own definition.
    import onnx
    from onnx.reference import ReferenceEvaluator

    x = torch.randn(7, 4, generator=torch.Generator().manual_seed(1))
    module = Narrow(torch.bfloat16)
    proto = ir.to_proto(walked(module, x))
    onnx.checker.check_model(proto, full_check=True)
    (have,) = ReferenceEvaluator(proto).run(None, {"x": x.numpy()})
    with torch.no_grad():
        truth = Narrow(torch.float32).eval()(x)
        budget = float((module(x) - truth).norm())
    assert float((torch.from_numpy(np.asarray(have, np.float32)) - truth).norm()) <= 3 * budget
