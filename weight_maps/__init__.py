"""Names and tensors of one checkpoint to another's: maps as data, one engine, and a proof; knows no graph."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from weight_maps.apply import apply_map as apply_map
    from weight_maps.checkpoint import open_checkpoint as open_checkpoint
    from weight_maps.weight_map import find_map as find_map

__all__ = ["apply_map", "find_map", "open_checkpoint"]


def __getattr__(name: str) -> Any:
    # Late, so that the command line's help does not import NumPy.
    if name in __all__:
        from weight_maps import apply, checkpoint, weight_map

        return getattr({"apply_map": apply, "open_checkpoint": checkpoint}.get(name, weight_map), name)
    raise AttributeError(f"module 'weight_maps' has no attribute {name!r}")
