"""Is it still the same model: ``parity.check`` and what its verdict is made of."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from parity.live import check as check
    from parity.verdict import ParityResult as ParityResult

__all__ = ["ParityResult", "check"]


def __getattr__(name: str) -> Any:
    # Late, so that the command line's help does not import NumPy and ONNX.
    if name in __all__:
        from parity import live, verdict

        return getattr(live if name == "check" else verdict, name)
    raise AttributeError(f"module 'parity' has no attribute {name!r}")
