"""Operators that are refused on purpose, each with its reason; the rest has simply no translator yet."""

from __future__ import annotations

from typing import Any, NoReturn

from porters.pytorch.registry import Context, translates, translates_complex

_REASONS = {
    "aten.linalg_eig": "eigenvalues of unsymmetric matrices: an iteration as long as the data decide, no ONNX operator",
    "aten.linalg_ldl_factor_ex": "LDL with LAPACK's pivots of one and two rows: no ONNX operator",
    "aten.linalg_ldl_solve": "LDL with LAPACK's pivots of one and two rows: no ONNX operator",
    "aten.hash_tensor": "a hash of the bits of numbers: ONNX has no view of bits",
    "aten.resize": "a tensor that is resized in place",
    "aten.resize_as": "a tensor that is resized in place",
    "aten.histogram.bin_ct": "edges that must be torch's to the bit, or counts move: torch.histc has a translation",
    "aten._histogramdd_bin_edges": "edges that must be torch's to the bit, or counts move",
    "aten._histogramdd_from_bin_cts": "edges that must be torch's to the bit, or counts move",
    "aten.fractional_max_pool2d": "pooling regions that are drawn at random",
    "aten.fractional_max_pool3d": "pooling regions that are drawn at random",
}


def _register() -> None:
    def made(reason: str) -> Any:
        def translator(c: Context, *_: Any, **__: Any) -> NoReturn:
            raise NotImplementedError(reason)

        return translator

    for target, reason in _REASONS.items():
        translates(target)(made(reason))
        translates_complex(target)(made(reason))


_register()
