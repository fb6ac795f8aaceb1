"""The fixture that ports a small module and compares the port with eager PyTorch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
import torch

from porters.from_pytorch import PORTER
from porters.porter import UnsupportedOpsError
from porters.pytorch.original import TorchOriginal
from porters.pytorch.walker import Walker
from zoo import store
from zoo.executors import onnxruntime
from zoo.graph import GraphBuilder
from zoo.inputs import InputSpec, sample

BATCHES = (1, 2, 3)
# The port may be at most this many times as noisy as the original, which counts as noisy as float32 at least.
RATIO = 3.0
FLOOR = 2.0**-23

_DTYPES = {"f": "float32", "d": "float64", "i": "int64", "j": "int32", "?": "bool", "u": "uint8"}
_NAMES = ("a", "b", "c", "d", "e")

Variants = Mapping[str, Callable[..., Any]]


class Table(torch.nn.Module):
    """Many functions of the same inputs as one module, so that one export serves them all."""

    def __init__(self, variants: Variants, modules: Sequence[torch.nn.Module] = ()) -> None:
        super().__init__()
        self.variants = variants
        self.modules_ = torch.nn.ModuleList(modules)

    def forward(self, a: Any, b: Any = None, c: Any = None, d: Any = None, e: Any = None) -> Any:
        given = [item for item in (a, b, c, d, e) if item is not None]
        # Each variant gets tensors of its own: one that writes in place does not reach the others.
        return {f"v_{name}": function(*[item.clone() for item in given]) for name, function in self.variants.items()}


@dataclass
class Ported:
    """What a port is made of."""

    model: ir.Model
    original: TorchOriginal

    @property
    def ops(self) -> Counter[str]:
        """How often each operator occurs."""
        return Counter(node.op_type for node in self.model.graph.all_nodes())


def spec_of(name: str, text: str) -> InputSpec:
    """Read ``batch,3,8:f`` (float32, the default), ``:i`` with ``-4..5`` values as ``:i-4..5``, ``:f*10`` scaled."""
    shape, _, kind = text.partition(":")
    dims = tuple(int(dim) if dim.isdigit() else dim for dim in shape.split(",") if dim)
    kind = kind or "f"
    low, _, high = kind[1:].partition("..")
    scale = float(kind[2:]) if kind[1:2] == "*" else 1.0
    bounds = {"low": int(low), "high": int(high)} if high else {}
    return InputSpec(name, _DTYPES[kind[0]], dims, std=scale, sizes={"length": 6}, **bounds)


@pytest.fixture
def port_and_compare(tmp_path: Path) -> Callable[..., Ported]:
    """Port a module or a table of functions, save it, run it both ways at several batch sizes, compare."""

    def check(
        subject: torch.nn.Module | Variants, *inputs: str, batches: Sequence[int] = BATCHES, program: Any = None
    ) -> Ported:
        module = subject if isinstance(subject, torch.nn.Module) else Table(subject)
        names = _NAMES if isinstance(subject, Mapping) else _parameters(module)
        specs = [spec_of(name, text) for name, text in zip(names, inputs, strict=False)]
        details = {"program": program} if program is not None else {}
        original = TorchOriginal(module.eval(), "", "subject", "test", specs, details=details)
        translation = PORTER.translate(original, dynamic=None)
        assert translation.fallback is False, translation.fallback
        assert [spec.shape for spec in translation.inputs] == [spec.shape for spec in specs], translation.notes
        store.save(translation.model, tmp_path)
        feeds = [sample(specs, 7, case, {"batch": size, "length": size + 3}) for case, size in enumerate(batches)]
        for optimize in (False, True):
            with onnxruntime.load(tmp_path / "model.onnx", optimize=optimize, threads=1) as session:
                _compare(original, session, feeds, optimize)
        return Ported(translation.model, original)

    return check


def _parameters(module: torch.nn.Module) -> Sequence[str]:
    code = type(module).forward.__code__
    return code.co_varnames[1 : code.co_argcount]


def _compare(original: TorchOriginal, session: Any, feeds: Sequence[Any], optimize: bool) -> None:
    given = set(session.inputs) if hasattr(session, "inputs") else set(session._inputs)
    ports = [session.run({name: feed[name] for name in given}) for feed in feeds]
    own = [original.run(feed) for feed in feeds]
    truth = [original.run(feed, "float64") for feed in feeds]
    wrong = []
    for name in own[0]:
        problem = difference([r[name] for r in own], [t[name] for t in truth], [p[name] for p in ports])
        if problem:
            wrong.append(f"{name}: {problem}")
    assert not wrong, f"optimised={optimize}: " + "; ".join(wrong)


def difference(own: Sequence[np.ndarray], truth: Sequence[np.ndarray], port: Sequence[np.ndarray]) -> str:
    """Return what is wrong with the port, nothing if it is sound: exact for integers, by noise budget for floats."""
    for r, p in zip(own, port, strict=True):
        if (r.shape, r.dtype) != (p.shape, p.dtype):
            return f"{p.shape} {p.dtype} instead of {r.shape} {r.dtype}"
    r, t, p = (np.concatenate([item.reshape(-1) for item in items]) for items in (own, truth, port))
    if not np.issubdtype(r.dtype, np.floating):
        return "" if np.array_equal(r, p) else f"{int((r != p).sum())} of {r.size} elements differ"
    finite = np.isfinite(r)
    if not np.array_equal(r[~finite], p[~finite], equal_nan=True) or not np.isfinite(p[finite]).all():
        return "NaN or infinity in other places"
    t = np.where(np.isfinite(t[finite]), t[finite], r[finite]).astype(np.float64)
    floor = (FLOOR if r.dtype != np.float16 else 2.0**-10) * np.linalg.norm(t)
    budget = max(float(np.linalg.norm(r[finite] - t)), floor, 5e-324)
    ratio = float(np.linalg.norm(p[finite].astype(np.float64) - t)) / budget
    return "" if ratio <= RATIO else f"noise ratio {ratio:.3g}"


@pytest.fixture
def refused() -> Callable[..., str]:
    """Return the hint of the first operator that the walker refuses."""

    def reason(function: Callable[..., Any], *inputs: str) -> str:
        with pytest.raises(UnsupportedOpsError) as caught:
            walk(Table({"y": function}), *inputs)
        return caught.value.ops[0].hint

    return reason


@pytest.fixture
def walked() -> Callable[..., list[ir.Value]]:
    """See :func:`walk`."""
    return walk


def walk(module: torch.nn.Module, *inputs: str) -> list[ir.Value]:
    """Export a module and walk it, without the fallback to torch.onnx."""
    specs = [spec_of(name, text) for name, text in zip(_NAMES, inputs, strict=False)]
    feed = {name: torch.from_numpy(array) for name, array in sample(specs, 0, 0, {"batch": 2}).items()}
    symbolic = {
        spec.name: {axis: torch.export.Dim.AUTO for axis, dim in enumerate(spec.shape) if isinstance(dim, str)}
        for spec in specs
    }
    with torch.no_grad():
        program = torch.export.export(module.eval(), (), feed, dynamic_shapes=symbolic, strict=False)
    return Walker(GraphBuilder("subject")).program(program, {})
