"""Special functions over the ranges on which their formulas change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

S = torch.special

# Each with a way to bring ordinary numbers into its domain.
FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "i0": lambda x: S.i0(x * 6),
    "i0e": lambda x: S.i0e(x * 20),
    "i1": lambda x: S.i1(x * 6),
    "i1e": lambda x: S.i1e(x * 20),
    "j0": lambda x: S.bessel_j0(x * 6),
    "j1": lambda x: S.bessel_j1(x * 6),
    "y0": lambda x: S.bessel_y0(x.abs() * 6),
    "y1": lambda x: S.bessel_y1(x.abs() * 6),
    "k0": lambda x: S.modified_bessel_k0(x.abs() * 3),
    "k1": lambda x: S.modified_bessel_k1(x.abs() * 3),
    "k0e": lambda x: S.scaled_modified_bessel_k0(x.abs() * 3),
    "k1e": lambda x: S.scaled_modified_bessel_k1(x.abs() * 3),
    "spherical": S.spherical_bessel_j0,
    "airy": lambda x: S.airy_ai(x * 4),
    "erfcx": lambda x: S.erfcx(x * 3),
    "log_ndtr": lambda x: S.log_ndtr(x * 8),
    "ndtri": lambda x: S.ndtri(torch.sigmoid(x * 8) * 0.999 + 0.0004),
    "lgamma": lambda x: torch.lgamma(x * 5),
    "digamma": lambda x: torch.digamma(x * 5),
    "trigamma": lambda x: torch.polygamma(1, x.abs() * 5 + 0.1),
    "polygamma": lambda x: torch.polygamma(4, x.abs() * 5 + 0.5),
    "zeta": lambda x: S.zeta(x.abs() * 4 + 1.5, x.flip(-1).abs() * 4 + 0.2),
    "gammainc": lambda x: S.gammainc(x.abs() * 8 + 0.1, x.flip(-1).abs() * 8),
    "gammaincc": lambda x: S.gammaincc(x.abs() * 8 + 0.1, x.flip(-1).abs() * 8),
    "hermite": lambda x: S.hermite_polynomial_h(x, 5),
    "hermite_e": lambda x: S.hermite_polynomial_he(x, (x * 3).abs().round()),
    "laguerre": lambda x: S.laguerre_polynomial_l(x, (x * 3).abs().round()),
    "legendre": lambda x: S.legendre_polynomial_p(x.tanh(), (x * 3).abs().round()),
    "chebyshev": lambda x: S.chebyshev_polynomial_t(x.tanh(), (x * 3).round()),
    "shifted": lambda x: S.shifted_chebyshev_polynomial_u(x.sigmoid(), (x * 3).abs().round()),
    "frexp": lambda x: torch.frexp(x * 1000),
}


def test_functions(port_and_compare: Any) -> None:
    port_and_compare(FUNCTIONS, "batch,200")


EDGES = [0.0, -0.0, 1.0, -1.0, 2.0, -2.0, 0.5, -0.5, 5.0, 8.0, 50.0, -50.0, 1e-20, 3e38, float("inf"), float("-inf")]


class AtEdges(torch.nn.Module):
    """Functions of chosen numbers, among them zeros, poles and infinities."""

    def forward(self, x: Any) -> Any:
        e = torch.tensor(EDGES, dtype=x.dtype) + x[:1, :1].isnan()
        return [
            S.i0(e),
            S.i1(e),
            S.i0e(e),
            S.erfcx(e),
            torch.lgamma(e),
            torch.digamma(e),
            S.ndtri(e),
            S.bessel_j0(e[:12]),
        ]


def test_edges(port_and_compare: Any) -> None:
    port_and_compare(AtEdges(), "batch,3")


STEPS = [0.0, 1.0, -1.0, 1.5, 2.0**-126, 2.0**-140, -(2.0**-149), 3.4028234663852886e38, float("inf"), float("nan")]


class Next(torch.nn.Module):
    """The neighbours of chosen numbers, upwards and downwards."""

    def forward(self, x: Any) -> Any:
        e = torch.tensor(STEPS, dtype=torch.float32) + x[:1, :1].isnan()
        up, down = torch.full_like(e, torch.inf), torch.full_like(e, -torch.inf)
        return torch.nextafter(e, up), torch.nextafter(e, down), torch.nextafter(e, e)


def test_neighbours_are_exact() -> None:
    import numpy as np
    import onnx_ir as ir

    from porters.pytorch.walker import Walker
    from zoo.executors import onnxruntime
    from zoo.graph import GraphBuilder

    x = torch.zeros(2, 3)
    g = GraphBuilder("subject")
    model = g.finish(Walker(g).program(torch.export.export(Next(), (x,), strict=False), {}))
    for optimize in (False, True):
        with onnxruntime.load(ir.to_proto(model).SerializeToString(), optimize=optimize, threads=1) as session:
            for want, have in zip(Next()(x), session.run({"x": x.numpy()}).values(), strict=True):
                np.testing.assert_array_equal(want.numpy(), have)


def test_a_neighbour_in_another_precision_is_refused(refused: Any) -> None:
    assert "float32" in refused(lambda x: torch.nextafter(x.double(), x.double() + 1), "3")


@pytest.mark.parametrize("bins", [4, 7])
def test_histograms_and_runs(port_and_compare: Any, bins: int) -> None:
    table = {
        "histc": lambda x: torch.histc(x, bins),
        "histc_range": lambda x: torch.histc(x.round(), bins, -2, 2),
        "runs": lambda x: torch.unique_consecutive((x > 0).long(), return_inverse=True, return_counts=True),
        "run_rows": lambda x: torch.unique_consecutive((x[0] > 0).long(), dim=0),
    }
    port_and_compare(table, "batch,4,6")
