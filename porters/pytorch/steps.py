"""The exported graph run operator by operator, in its own precision and in float64, weights read as they are needed."""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from porters.porter import PrecisionUnavailableError, Step
from porters.pytorch.nodes import SILENT, attribute, flatten, is_node, map_parts, on_cpu, target_name
from porters.pytorch.out_of_place import out_of_place
from porters.pytorch.precision import default_dtype, eager_control_flow, promoted_mode
from zoo.inputs import Feed, InputSpec

if TYPE_CHECKING:
    import torch

    from porters.pytorch.original import TorchOriginal


class TorchSteps:
    """See ``porters.porter.Steps``.

    The program is the one that the porter walks. Where it writes in place it works on copies, so that every result
    stays what it was; where that is not enough it is traced once more, and a result is known by the node it came from.
    """

    def __init__(self, original: TorchOriginal, ported: Sequence[InputSpec]) -> None:
        from porters.pytorch.capture import capture, input_names

        # With the port's own sizes: where it had to fix one, the graph is that of this size.
        original = replace(original, inputs=list(ported))
        program, _ = capture(original, {})
        self._names = input_names(program, original)
        module = out_of_place(program.graph_module)
        if module is None:
            program = program.run_decompositions({})
        self._nodes = list((module or program.graph_module).graph.nodes)
        self._order = {node: place for place, node in enumerate(self._nodes)}
        self._constants = _Constants(program, original)
        self._by_handle = _handles(self._nodes, retraced=module is None)
        self._readers = Counter(read for node in self._nodes for read in _reads(node))
        self._feed: Feed = {}
        self._numbers: dict[torch.fx.Node, Any] = {}

    def handles(self) -> Sequence[str]:
        """Return the handles of every result in the order in which they are computed."""
        return list(self._by_handle)

    def walk(self, feed: Feed, wanted: Collection[str]) -> Iterator[Step]:
        """Run on ``feed`` and yield the results in ``wanted`` as they come; see the protocol."""
        from porters.pytorch.original import to_numpy

        self._feed, self._numbers = feed, {}
        looked_at: dict[torch.fx.Node, list[str]] = {}
        for handle in wanted:
            looked_at.setdefault(self._by_handle[handle][0], []).append(handle)
        own, truth = _Chain(self._constants, wide=False), _Chain(self._constants, wide=True)
        left = Counter(self._readers)
        for node in self._nodes:
            if node.op == "output":
                return
            for chain in (own, truth):
                chain.run(node, self._given(node, chain.wide))
            if not _tensors(own.held.get(node)):
                self._numbers[node] = own.held.get(node)
            for handle in looked_at.get(node, ()):
                index = self._by_handle[handle][1]
                single, wide = (to_numpy(_part(chain.held[node], index)) for chain in (own, truth))
                yield Step(handle, single, wide, _unordered(node))
            _release(node, left, own, truth)

    def single(self, handles: Sequence[str], known: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return results in float64 computed from ``known`` ones; see the protocol."""
        from porters.pytorch.original import to_numpy, to_tensor

        chain = _Chain(self._constants, wide=True)
        for handle, array in known.items():
            chain.held |= dict.fromkeys(self._readers_of(*self._by_handle[handle]), _wide(to_tensor(array)))
        wanted = [self._by_handle[handle] for handle in handles]
        needed = self._needed([node for node, _ in wanted], chain.held)
        left = Counter(read for node in needed for read in _reads(node))
        left.update(node for node, _ in wanted)
        for node in needed:
            if node in self._numbers:
                chain.held[node] = self._numbers[node]
            else:
                chain.run(node, self._given(node, wide=True))
            _release(node, left, chain)
        return {
            handle: to_numpy(_part(chain.held[node], index))
            for handle, (node, index) in zip(handles, wanted, strict=True)
        }

    @staticmethod
    def _readers_of(node: torch.fx.Node, index: int | None) -> list[torch.fx.Node]:
        """Return the nodes that are a result: the operator itself, or what picks one of its several results."""
        if index is None:
            return [node]
        return [user for user in node.users if user.target is operator.getitem and user.args[1] == index]

    def _needed(self, wanted: Sequence[torch.fx.Node], held: Mapping[Any, Any]) -> list[torch.fx.Node]:
        """Return what must be computed for ``wanted``, in order, where ``held`` is there already."""
        found: set[torch.fx.Node] = set()
        pending = list(wanted)
        while pending:
            node = pending.pop()
            if node in found or node in held:
                continue
            found.add(node)
            if node not in self._numbers:
                pending += _reads(node)
        return sorted(found, key=self._order.__getitem__)

    def _given(self, node: torch.fx.Node, wide: bool) -> Any:
        """Return what a placeholder of an input stands for; ``None`` for every other node."""
        from porters.pytorch.original import to_tensor

        name = self._names.get(node.name, node.name)
        if node.op != "placeholder" or self._constants.has(node) or name not in self._feed:
            return None
        tensor = to_tensor(self._feed[name])
        return _wide(tensor) if wide else tensor


class _Constants:
    """The weights, buffers and constants of a program by placeholder, read when they are asked for."""

    def __init__(self, program: Any, original: TorchOriginal) -> None:
        from torch.export.graph_signature import InputKind

        self._held = {**program.constants, **program.state_dict}
        self._on_disk = original.on_disk
        if self._on_disk is not None:
            self._held |= dict(self._on_disk.buffers)
        self._targets = {
            spec.arg.name: spec.target for spec in program.graph_signature.input_specs
            if spec.kind != InputKind.USER_INPUT
        }  # fmt: skip

    def has(self, node: torch.fx.Node) -> bool:
        """Say whether a node is the placeholder of a weight or a constant."""
        return node.op == "placeholder" and node.name in self._targets

    def get(self, node: torch.fx.Node) -> Any:
        """Return what the placeholder of a weight or a constant stands for."""
        from porters.pytorch.original import to_tensor

        name = self._targets[node.name]
        if self._on_disk is not None and name in self._on_disk.tensors:
            return to_tensor(self._on_disk.tensors[name].numpy())
        held = self._held[name]
        return held.detach() if hasattr(held, "detach") else held


class _Chain:
    """One run of the program in one precision; ``held`` is what is still read of it."""

    def __init__(self, constants: _Constants, *, wide: bool) -> None:
        self._constants = constants
        self.wide = wide
        self.held: dict[Any, Any] = {}

    def run(self, node: torch.fx.Node, given: Any) -> None:
        """Compute one node from what is held.

        Raises:
            PrecisionUnavailableError: If the operator cannot be run so.
        """
        if node.op == "placeholder":
            if not self._constants.has(node):
                self.held[node] = given
        elif target_name(node.target) in SILENT:
            self.held[node] = None  # such as a check of dtypes, which are others here
        elif node.op == "get_attr":
            self.held[node] = _wide(attribute(node)) if self.wide else attribute(node)
        else:
            try:
                self.held[node] = self._call(node)
            except (RuntimeError, NotImplementedError, TypeError) as error:
                precision = "in float64" if self.wide else "alone"
                raise PrecisionUnavailableError(f"{node.target} does not run {precision}: {error}") from error

    def _call(self, node: torch.fx.Node) -> Any:
        import torch

        args, kwargs = (on_cpu(map_parts(item, self._read)) for item in (node.args, node.kwargs))
        assert callable(node.target)
        if node.target is operator.getitem:
            return args[0][args[1]]
        with torch.no_grad(), self._precision(node.target):
            return node.target(*args, **kwargs)

    @contextmanager
    def _precision(self, target: Any) -> Iterator[None]:
        import torch

        with ExitStack() as stack:
            if isinstance(target, torch._ops.HigherOrderOperator):  # it takes longer than most operators
                stack.enter_context(eager_control_flow())
            if self.wide:
                stack.enter_context(default_dtype(torch.float64))
                stack.enter_context(promoted_mode())
            yield

    def _read(self, item: Any) -> Any:
        if not is_node(item):
            return item
        # A weight is read anew for each operator and widened for it alone: a large one is never held twice.
        if not self._constants.has(item):
            return self.held[item]
        constant = self._constants.get(item)
        return _wide(constant) if self.wide else constant


def _wide(item: Any) -> Any:
    """Return floats and complex numbers in double precision, anything else as it is."""
    import torch

    if not isinstance(item, torch.Tensor):
        return item
    return item.double() if item.is_floating_point() else item.to(torch.complex128) if item.is_complex() else item


def _handles(nodes: Sequence[torch.fx.Node], *, retraced: bool) -> dict[str, tuple[torch.fx.Node, int | None]]:
    """Return (node, which of its results) by handle: names of the program that the porter walked.

    A retraced node is known by the one node that it came from; where that one became several, the last is its result.
    """
    found: dict[str, tuple[torch.fx.Node, int | None]] = {}
    for node in nodes:
        if node.op != "call_function" or (node.target is operator.getitem and not retraced):
            continue
        name = _origin(node) if retraced else node.name
        fake = node.meta.get("val")
        if name and isinstance(fake, (tuple, list)):
            found |= {f"{name}#{index}": (node, index) for index, item in enumerate(fake) if hasattr(item, "dtype")}
        elif name and hasattr(fake, "dtype"):
            found.pop(name, None)  # the order is that of the last
            found[name] = (node, None)
    return found


def _origin(node: torch.fx.Node) -> str:
    """Return the name that a node had before it was traced once more."""
    sources = node.meta.get("from_node") or []
    return sources[-1].name if sources else ""


def _reads(node: torch.fx.Node) -> list[torch.fx.Node]:
    return [read for read in flatten((node.args, node.kwargs)) if is_node(read)]


def _release(node: torch.fx.Node, left: Counter[torch.fx.Node], *chains: _Chain) -> None:
    """Count what ``node`` has read off ``left``, and forget what nothing to come reads."""
    left.subtract(_reads(node))
    for item in (*_reads(node), node):
        if left[item] <= 0:
            for chain in chains:
                chain.held.pop(item, None)


def _part(held: Any, index: int | None) -> Any:
    return held if index is None else held[index]


def _tensors(held: Any) -> bool:
    import torch

    return any(isinstance(item, torch.Tensor) for item in flatten(held)) or held is None


def _unordered(node: torch.fx.Node) -> int | None:
    """Return the axis along which an operator answers in any order: ``topk`` does where it is not told to sort."""
    if not str(node.target).startswith("aten.topk"):
        return None
    given = dict(zip(("self", "k", "dim", "largest", "sorted"), node.args, strict=False)) | dict(node.kwargs)
    return None if given.get("sorted", True) else int(given.get("dim", -1))
