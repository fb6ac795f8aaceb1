"""In-place writes and views: a write replaces the memory's value, its other views are read anew when they are used."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from porters.pytorch.complex_numbers import ComplexValue, put_back_parts
from porters.pytorch.writes import put_back

if TYPE_CHECKING:
    import torch

    from porters.pytorch.walker import Walker

# In inference these return their very argument, although their schema and their fake result say otherwise.
_PASS_THROUGH = ("aten.dropout.", "aten.feature_dropout.", "aten.alpha_dropout.", "aten.feature_alpha_dropout.")
# Parts that torch vouches for: what is written to them is never read through the whole.
_APART = ("aten.unsafe_split", "aten.unsafe_chunk")
# Views of some arguments, copies of others.
_MAYBE = frozenset({"reshape", "reshape_as", "contiguous", "to", "flatten", "ravel"})


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
    """Say whether the node's result shares memory with its first argument.

    The schema tells for most operators, the memory of torch's fake results for those that view or copy as it suits.
    """
    target = str(node.target)
    if not node.args or not hasattr(node.args[0], "meta") or target.startswith(_APART):
        return False
    memory = _memory(node.args[0].meta.get("val"))
    if target.startswith(_PASS_THROUGH) or (memory is not None and memory == _memory(node.meta.get("val"))):
        return True
    schema = getattr(node.target, "_schema", None)
    if schema is None or not any(item.alias_info and not item.alias_info.is_write for item in schema.returns):
        return False
    return _shares(node) if target.split(".")[1] in _MAYBE else True


def _shares(node: torch.fx.Node) -> bool:
    """Run the operator on the fake arguments: a program read from a file has lost what shares memory with what."""
    import torch

    def fake(item: Any) -> Any:
        return item.meta["val"] if isinstance(item, torch.fx.Node) else item

    args = torch.fx.node.map_aggregate(node.args, fake)
    with args[0].fake_mode:
        return _memory(node.target(*args, **node.kwargs)) == _memory(args[0])


def _memory(fake: Any) -> int | None:
    if isinstance(fake, (tuple, list)):
        fake = fake[0] if fake else None
    if not hasattr(fake, "untyped_storage"):
        return None
    handle: int = fake.untyped_storage()._cdata
    return handle


class Aliases:
    """Keeps, for each view, the node it views, and which of them still hold what the memory holds.

    The nodes over one memory form a tree. A write carries the new value up to the root; every other node of the tree
    is then stale, and derived again from the node it views when it is next read.
    """

    def __init__(self, walker: Walker) -> None:
        self._walker = walker
        self._base: dict[torch.fx.Node, torch.fx.Node] = {}
        self._writes: dict[torch.fx.Node, int] = {}
        self._seen: dict[torch.fx.Node, int] = {}

    def viewed(self, node: torch.fx.Node, base: torch.fx.Node) -> None:
        """Remember that ``node``, just computed, shares the memory of ``base``."""
        while base in self._base and self._is_same(base):
            base = self._base[base]
        self._base[node] = base
        self._seen[node] = self._writes.get(self._root(node), 0)

    def forget(self, node: torch.fx.Node) -> None:
        """Forget a node that is about to be translated once more."""
        self._base.pop(node, None)
        self._seen.pop(node, None)

    @contextmanager
    def scope(self) -> Iterator[None]:
        """Forget behind a sub-graph what was learnt in it."""
        before = (self._base, self._writes, self._seen)
        self._base, self._writes, self._seen = dict(self._base), dict(self._writes), dict(self._seen)
        try:
            yield
        finally:
            self._base, self._writes, self._seen = before

    def read(self, node: torch.fx.Node) -> Any:
        """Return what ``node`` holds now, after every write so far."""
        env = self._walker.env
        base = self._base.get(node)
        if base is None:
            return env[node]
        writes = self._writes.get(self._root(node), 0)
        if self._seen.get(node, 0) != writes:
            whole = self.read(base)
            env[node] = whole if self._is_same(node) else self._derive(node)
            self._seen[node] = writes
        return env[node]

    def wrote(self, target: torch.fx.Node, value: Any, writer: torch.fx.Node) -> None:
        """Take note that ``writer`` replaced what ``target`` holds by ``value``.

        Raises:
            NotImplementedError: If the write cannot be carried back to the memory that ``target`` views.
        """
        folded = value is self.read(target)
        # The in-place operator returns its own target: it is one more name for it.
        self.viewed(writer, target)
        if folded:
            return  # A constant that torch itself wrote to, through every view of it; or nothing was written.
        if not isinstance(value, ComplexValue):
            value = self._walker.value(value)
        writes = self._writes.get(self._root(target), 0) + 1
        self._seen[writer] = writes
        env, node = self._walker.env, target
        while (base := self._base.get(node)) is not None:
            before = self.read(base)
            env[node], self._seen[node] = value, writes
            if not self._is_same(node):
                value = self._put_back(node, base, before, value)
            node = base
        env[node] = value
        self._writes[node] = writes

    def _root(self, node: torch.fx.Node) -> torch.fx.Node:
        while node in self._base:
            node = self._base[node]
        return node

    def _is_same(self, node: torch.fx.Node) -> bool:
        """Say whether ``node`` is its base under another name: an in-place result, the input of a region ..."""
        if node.op == "placeholder" or str(node.target).startswith(_PASS_THROUGH):
            return True
        if node.target is operator.getitem:
            return not _selects(node)
        return written_argument(node) is not None

    def _derive(self, view: torch.fx.Node) -> Any:
        if _selects(view):
            split, index = view.args
            return self._walker.recompute(split)[index]
        return self._walker.recompute(view)

    def _put_back(self, view: torch.fx.Node, base: torch.fx.Node, before: Any, value: Any) -> Any:
        """Return the value of ``base`` after its view became ``value``."""
        walker = self._walker
        operation, index = view.args if _selects(view) else (view, 0)
        name = str(operation.target).split(".")[1]
        args = [walker.read(item) for item in operation.args[1:]]
        sizes = [[walker.symbols.size(dim) for dim in fake.shape] for fake in _fakes(operation)[: index + 1]]
        with walker.attributed(operation):
            whole = walker.operand(before)
            if isinstance(whole, ComplexValue) or isinstance(value, ComplexValue):
                return put_back_parts(walker.context(base), whole, value, name, args, sizes)
            return put_back(walker.context(base), whole, value, name, args, sizes)


def _selects(node: torch.fx.Node) -> bool:
    """Say whether ``node`` picks one view of several (``split``, ``unbind``), rather than the output of a region."""
    return node.target is operator.getitem and not str(getattr(node.args[0], "target", "")).startswith("wrap_with_")


def _fakes(node: torch.fx.Node) -> list[Any]:
    fake = node.meta.get("val")
    return list(fake) if isinstance(fake, (tuple, list)) else [fake]
