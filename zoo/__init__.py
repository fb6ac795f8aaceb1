"""What a ported model is, and how it runs: artifacts, executors, the Ascend-style backend."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zoo.artifact import Artifact as Artifact
    from zoo.artifact import open_artifact as open_artifact
    from zoo.artifact import verify as verify_artifact

__all__ = ["Artifact", "open_artifact", "verify_artifact"]


def __getattr__(name: str) -> Any:
    # Late, so that importing the package costs nothing.
    if name in __all__:
        from zoo import artifact

        return getattr(artifact, "verify" if name == "verify_artifact" else name)
    raise AttributeError(f"module 'zoo' has no attribute {name!r}")
