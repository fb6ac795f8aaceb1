"""Decisions that a model takes by its data, captured where they decide nothing or where one way is an error.

``if mask.any(): x[mask] = y`` gives the same answer when the branch is always taken, a loop over the experts that any
token chose when it goes over all of them, and ``if count != expected: raise`` never goes on where it is true.
torch.export stops at each. Here such a place in the model's code is settled once, one way for all data, and only with
a reason: the other way is nothing but a ``raise``, as the code there says; or an empty mask, or rows that nothing
chose, go through code that they leave without effect, and the original, run in float64 with the place settled, answers
as it does by itself on inputs where it decides otherwise. Questions about values (``if x.sum() > 0``) stay: no sample
shows that they decide nothing. The original that a port is compared with is never settled.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import math
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import numpy as np

from porters.pytorch.around_calls import around_calls, intercepting

if TYPE_CHECKING:
    import torch

# Two answers in float64 are the same when they are this near, relative to the largest value of the output.
ROUNDING = 1e-9
# Indices of tensors with more elements are not all taken.
LARGEST_TAKEN = 1 << 10
# Files through which a question of the model's about a size goes on its way to torch's solver.
_SOLVER = ("torch/fx/experimental/", "torch/__init__.py", "torch/utils/_stats.py", "unittest/mock.py")

Answers = Callable[[Any], list[dict[str, np.ndarray]]]


@dataclass(frozen=True)
class Place:
    """A line of the model's code and what it asks there: the ``truth`` of something, or ``indices`` to go over."""

    file: str
    line: int
    kind: str

    def __str__(self) -> str:
        return f"{self.file.rpartition('site-packages/')[2]}:{self.line}"


class UndecidedError(Exception):
    """A place that nothing has settled yet."""

    def __init__(self, place: Place) -> None:
        super().__init__(f"the model decides by its data at {place}")
        self.place = place


@dataclass
class Settled:
    """Which way each place goes, and the reasons for the card."""

    ways: dict[Place, bool] = field(default_factory=dict)
    reasons: list[str] = field(default_factory=list)

    def settle(self, place: Place, answers: Answers) -> bool:
        """Settle a place if there is a reason to, and say whether there was.

        Args:
            place: The place.
            answers: Runs the original on seeded inputs inside a context, and returns its outputs for each.
        """
        way: bool | None = _not_raising(place)
        reason = "the other way is an error"
        if (
            way is None
            and (place.kind == "indices" or _asks_for_marks(place))
            and _changes_nothing(place, self.ways, answers)
        ):
            way, reason = True, "the original answers the same where it is not"
        if way is None:
            return False
        self.ways[place] = way
        said = "all indices are gone over" if place.kind == "indices" else f"what is asked is always {way}"
        self.reasons.append(f"{place}: {said}: {reason}")
        return True


def _changes_nothing(place: Place, ways: Mapping[Place, bool], answers: Answers) -> bool:
    """Say whether the original answers the same with a place settled as true, seen where by itself it is not."""
    watched = Decisions({})
    plain = answers(watched.mode())
    if False not in watched.seen.get(place, ()):
        return False
    try:
        settled = answers(Decisions({**ways, place: True}).mode())
    except Exception:
        return False
    return all(_alike(first, second) for first, second in zip(plain, settled, strict=True))


def _alike(first: Mapping[str, np.ndarray], second: Mapping[str, np.ndarray]) -> bool:
    if first.keys() != second.keys():
        return False
    return all(_same(item, second[name]) for name, item in first.items())


def _same(first: np.ndarray, second: np.ndarray) -> bool:
    if first.shape != second.shape or first.dtype != second.dtype:
        return False
    if first.dtype.kind != "f":
        return np.array_equal(first, second)
    scale = float(np.abs(first[np.isfinite(first)]).max(initial=0.0))
    return np.allclose(first, second, rtol=0, atol=ROUNDING * scale, equal_nan=True)


# -- what the code says -------------------------------------------------------------------------------------------


def _not_raising(place: Place) -> bool | None:
    """Return the way at an ``if`` whose other way does nothing but raise; None where there is no such ``if``."""
    branch = _branch(place)
    if branch is None:
        return None
    for block, way in ((branch.body, False), (branch.orelse, True)):
        if block and isinstance(block[-1], ast.Raise) and all(isinstance(step, ast.Assign) for step in block[:-1]):
            leaf = _leaf(branch.test, way)
            return None if leaf is None else leaf[1]
    return None


def _asks_for_marks(place: Place) -> bool:
    """Say whether a place asks if a mask marks anything, to do nothing but use that mask, or to drop it if not."""
    branch = _branch(place)
    leaf = None if branch is None else _leaf(branch.test, True)
    if branch is None or leaf is None or branch.orelse:
        return False
    match leaf[0]:
        case ast.Call(ast.Attribute(ast.Name("torch"), "any"), [ast.Name(name)], []):
            pass
        case ast.Call(ast.Attribute(ast.Name(name), "any"), [], []):
            pass
        case _:
            return False
    return all(any(isinstance(part, ast.Name) and part.id == name for part in ast.walk(step)) for step in branch.body)


def _branch(place: Place) -> ast.If | None:
    for node in ast.walk(_parsed(place.file)):
        if isinstance(node, ast.If) and node.test.lineno <= place.line <= (node.test.end_lineno or 0):
            return node
    return None


@functools.cache
def _parsed(file: str) -> ast.Module:
    try:
        return ast.parse(Path(file).read_text(encoding="utf-8"))
    except (OSError, SyntaxError, ValueError):
        return ast.Module([], [])


def _leaf(test: ast.expr, way: bool) -> tuple[ast.expr, bool] | None:
    """Return the one question about data in a condition, and its answer where the whole of it is ``way``."""
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        return _leaf(test.operand, not way)
    if isinstance(test, ast.BoolOp):
        *others, last = test.values
        return _leaf(last, way) if all(_asks_no_data(item) for item in others) else None
    if isinstance(test, ast.Compare) and len(test.ops) > 1:
        return None
    return test, way


def _asks_no_data(test: ast.expr) -> bool:
    if isinstance(test, ast.Compare):
        return all(isinstance(op, (ast.Is, ast.IsNot)) for op in test.ops)
    return isinstance(test, ast.Call) and isinstance(test.func, ast.Name) and test.func.id in ("isinstance", "hasattr")


# -- following the model ------------------------------------------------------------------------------------------


@contextlib.contextmanager
def deciding(model: torch.nn.Module, ways: Mapping[Place, bool]) -> Iterator[None]:
    """Capture ``model`` inside with places settled; one that is not raises :class:`UndecidedError`."""
    from torch.fx.experimental import symbolic_shapes

    def mode_of(module: torch.nn.Module) -> Any:
        return Decisions(ways, symbolic_shapes.GuardOnDataDependentSymNode).mode()

    own = symbolic_shapes.ShapeEnv._evaluate_expr
    asked = functools.partialmethod(_answered, own=own, ways=ways)
    # Within what follows known values: what is known is no decision.
    with (
        around_calls(model, mode_of, outermost=False),
        mock.patch.object(symbolic_shapes.ShapeEnv, "_evaluate_expr", asked),
    ):
        yield


def _answered(shapes: Any, expression: Any, *args: Any, own: Any, ways: Mapping[Place, bool], **kwargs: Any) -> Any:
    """Ask torch's solver, and answer for it what a place of the model's that is settled asks of sizes."""
    import sympy
    from torch.fx.experimental.symbolic_shapes import GuardOnDataDependentSymNode

    try:
        return own(shapes, expression, *args, **kwargs)
    except GuardOnDataDependentSymNode as error:
        place = _asking(sys._getframe(1))
        if place is None or not isinstance(expression, sympy.logic.boolalg.Boolean):
            raise
        if place not in ways:
            raise UndecidedError(place) from error
        way = ways[place]
        shapes.guard_or_defer_runtime_assert(expression if way else sympy.Not(expression), "settled")
        return sympy.true if way else sympy.false


def _asking(frame: Any) -> Place | None:
    """Return the line of the model's that asks about a size; None where some operator of torch's does."""
    while frame is not None and any(part in frame.f_code.co_filename for part in (*_SOLVER, "/functools.py")):
        frame = frame.f_back
    return _place(frame, "truth")


def _place(frame: Any, kind: str) -> Place | None:
    """Return where the model asks; torch's own operators ask for theirs, its distributions as a model would."""
    file = "/torch/" if frame is None else frame.f_code.co_filename
    if "/torch/" in file and "/torch/distributions/" not in file:
        return None
    return Place(file, frame.f_lineno, kind)


class Decisions:
    """Settles places while a model runs; ``seen`` says how it decided the others.

    Args:
        ways: How each settled place is decided.
        stop: What a place that is not settled raises instead of an answer, where it cannot have one.
    """

    def __init__(self, ways: Mapping[Place, bool], stop: type[Exception] | None = None) -> None:
        from torch.utils.weak import WeakIdKeyDictionary

        self.seen: dict[Place, set[bool]] = {}
        self._ways, self._stop = ways, stop
        self._found: Any = WeakIdKeyDictionary()

    def mode(self) -> Any:
        """Return the context in which it does so."""
        return intercepting(self._call)

    def _call(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        import torch

        name = getattr(func, "__name__", "")
        if name == "__bool__" or (name == "item" and args[0].dtype == torch.bool):
            return self._truth(func, args, _place(sys._getframe(2), "truth"))
        if name == "nonzero" and not kwargs and len(args) == 1:
            return self._indices(func, args[0], _place(sys._getframe(2), "indices"))
        if name in ("__iter__", "unbind", "__len__"):
            place = self._found.get(args[0])
            if place is not None and type(args[0].shape[0]) is not int:
                raise UndecidedError(place)
        return func(*args, **kwargs)

    def _truth(self, func: Any, args: Any, place: Place | None) -> Any:
        if place is not None and place in self._ways:
            return self._ways[place]
        try:
            answer = func(*args)
        except Exception as error:
            if self._stop is None or place is None or not isinstance(error, self._stop):
                raise
            raise UndecidedError(place) from error
        if place is not None and isinstance(answer, bool):
            self.seen.setdefault(place, set()).add(answer)
        return answer

    def _indices(self, func: Any, item: Any, place: Place | None) -> Any:
        import torch

        static = all(type(size) is int for size in item.shape)
        count = math.prod(item.shape) if static else LARGEST_TAKEN + 1
        if place in self._ways and count <= LARGEST_TAKEN:
            return torch.tensor(list(np.ndindex(*item.shape)), dtype=torch.int64)
        found = func(item)
        if place is not None and count <= LARGEST_TAKEN:
            self._found[found] = place
            if type(found.shape[0]) is int:
                self.seen.setdefault(place, set()).add(found.shape[0] == count)
        return found
