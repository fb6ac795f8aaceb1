"""Source framework to artifact: ``porters.port`` and what it is made of."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from porters.porting import port as port
    from porters.source import open_source as open_source

__all__ = ["open_source", "port"]


def __getattr__(name: str) -> Any:
    # Late, so that the command line's help does not import NumPy and ONNX.
    if name == "port":
        from porters.porting import port

        return port
    if name == "open_source":
        from porters.source import open_source

        return open_source
    raise AttributeError(f"module 'porters' has no attribute {name!r}")
