"""In-place writes and views: every write becomes a new value, carried back to the base and on to its other views."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import onnx_ir as ir

if TYPE_CHECKING:
    import torch

    from porters.pytorch.walker import Walker

# Views whose schema declares no alias although they return their input in inference.
_PASS_THROUGH = ("aten.dropout.", "aten.alias.", "aten.detach.", "aten.feature_dropout.", "aten.lift.")


def written_argument(node: torch.fx.Node) -> torch.fx.Node | None:
    """Return the node that an in-place operator writes to, ``None`` for a functional one."""
    schema = getattr(node.target, "_schema", None)
    if schema is None:
        return None
    for position, argument in enumerate(schema.arguments):
        if argument.alias_info is not None and argument.alias_info.is_write:
            given = node.args[position] if position < len(node.args) else node.kwargs.get(argument.name)
            if hasattr(given, "meta"):
                written: torch.fx.Node = given
                return written
    return None


def is_view(node: torch.fx.Node) -> bool:
    """Say whether the node's result shares memory with its first argument, by the operator's schema."""
    schema = getattr(node.target, "_schema", None)
    if schema is None or not node.args or not hasattr(node.args[0], "meta"):
        return False
    if str(node.target).startswith(_PASS_THROUGH):
        return True
    returned = [item.alias_info for item in schema.returns]
    return any(info is not None and not info.is_write for info in returned)


class Aliases:
    """Keeps, for each view, the node it views, so that a write through one name is seen through all."""

    def __init__(self, walker: Walker) -> None:
        self._walker = walker
        self._base: dict[torch.fx.Node, torch.fx.Node] = {}
        self._views: dict[torch.fx.Node, list[torch.fx.Node]] = {}

    def viewed(self, node: torch.fx.Node) -> None:
        """Remember that ``node`` is a view of its first argument."""
        base = node.args[0]
        self._base[node] = base
        self._views.setdefault(base, []).append(node)

    def wrote(self, target: torch.fx.Node, value: Any, writer: torch.fx.Node) -> None:
        """Take note that ``writer`` replaced the contents of ``target`` by ``value``."""
        # The in-place operator returns its own target: it is one more name for it.
        self._base[writer] = target
        self._views.setdefault(target, []).append(writer)
        self._rebind(target, value, skip=writer)

    def _rebind(self, node: torch.fx.Node, value: Any, skip: torch.fx.Node | None) -> None:
        import torch

        if isinstance(value, torch.Tensor):
            return  # A folded constant: torch itself wrote through every view of it.
        env = self._walker.env
        env[node] = value
        for view in self._views.get(node, []):
            if view is not skip:
                self._rederive(view, value)
        base = self._base.get(node)
        if base is not None and skip is not base:
            self._rebind(base, self._write_back(node, base, value), skip=node)

    def _rederive(self, view: torch.fx.Node, value: Any) -> None:
        env = self._walker.env
        if written_argument(view) is not None or str(view.target).startswith(_PASS_THROUGH):
            env[view] = value
        else:
            env[view] = self._walker._call(view, str(view.target))
        for deeper in self._views.get(view, []):
            self._rederive(deeper, env[view])

    def _write_back(self, view: torch.fx.Node, base: torch.fx.Node, value: ir.Value) -> Any:
        """Return the base's new value after its view became ``value``."""
        walker = self._walker
        whole = walker.value(walker.env[base])
        name = str(view.target).split(".")[1]
        if written_argument(view) is not None or str(view.target).startswith(_PASS_THROUGH):
            return value
        context = walker_context(walker, base)
        args = [walker.read(item) for item in view.args]
        if name in ("select", "slice"):
            return _write_slice(context, whole, args, value, name)
        if name in ("transpose", "permute", "t", "movedim", "swapaxes", "swapdims", "numpy_T"):
            return _write_permuted(context, whole, args, value, name)
        if name in (
            "view",
            "reshape",
            "unsqueeze",
            "squeeze",
            "flatten",
            "unflatten",
            "_unsafe_view",
            "contiguous",
            "to",
        ):
            return context.reshape(value, context.sizes_of(whole))
        walker._give_up(view, str(view.target), "a write through this view")
        return whole


def walker_context(walker: Walker, node: torch.fx.Node) -> Any:
    """Return a context whose result is that of ``node``."""
    from porters.pytorch.registry import Context

    return Context(walker.g, walker.symbols, walker._results(node.meta.get("val")))


def _write_slice(c: Any, whole: ir.Value, args: list[Any], value: ir.Value, name: str) -> ir.Value:
    """Put ``value`` where ``select(dim, index)`` or ``slice(dim, start, end, step 1)`` looked into ``whole``."""
    axis = c.axis(whole, args[1] if len(args) > 1 else 0)
    size = c.sizes_of(whole)[axis]
    if name == "select":
        start = args[2]
        value = c.op("Unsqueeze", value, [axis])
        length = 1
    else:
        start = (args[2] if len(args) > 2 else 0) or 0
        if len(args) > 4 and args[4] != 1:
            raise NotImplementedError("a write through a strided slice")
        length = c.sizes_of(value)[axis]
    if not isinstance(start, int) or not isinstance(length, int):
        raise NotImplementedError("a write through a slice of symbolic extent")
    if start < 0:
        if not isinstance(size, int):
            raise NotImplementedError("a write through a slice counted from a symbolic end")
        start += size
    parts = []
    if start > 0:
        parts.append(c.op("Slice", whole, [0], [start], [axis]))
    parts.append(c.cast(value, whole.dtype))
    if not isinstance(size, int) or start + length < size:
        parts.append(c.op("Slice", whole, [start + length], [(1 << 63) - 1], [axis]))
    result = parts[0] if len(parts) == 1 else c.op("Concat", *parts, axis=axis)
    c.symbols.remember(result, c.sizes_of(whole))
    return result


def _write_permuted(c: Any, whole: ir.Value, args: list[Any], value: ir.Value, name: str) -> ir.Value:
    import torch

    rank = c.rank(whole)
    order = torch.arange(rank).reshape([1] * 0 + [rank])
    probe = torch.empty([2] * rank).as_strided([2] * rank, [int(i) + 1 for i in order])
    permuted = getattr(torch.ops.aten, name)(probe, *args[1:])
    axes = [stride - 1 for stride in permuted.stride()]
    inverse = [axes.index(axis) for axis in range(rank)]
    result = c.op("Transpose", value, perm=inverse)
    c.symbols.remember(result, c.sizes_of(whole))
    return result
