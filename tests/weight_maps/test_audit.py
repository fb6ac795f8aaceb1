"""The ambiguity audit: the right map wins by its margin, and each wrong one is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from attention_net import HEIGHT, MAP, ROWS, WIDTH, sides

from weight_maps.alternatives import Alternative, alternatives, ambiguous_edges, tried
from weight_maps.audit import Audit, audit
from weight_maps.engine import Mapped
from weight_maps.plan import Entry, Plan, plan
from weight_maps.rules.axes import Permute
from weight_maps.weight_map import parse_map

FEEDS = [np.random.default_rng(7).standard_normal((3, ROWS, HEIGHT, WIDTH)).astype(np.float32)]


def the_plan() -> Plan:
    source, target = sides()
    return plan(parse_map(MAP, "test"), source.checkpoint().specs(), target.checkpoint().specs())


def judged(work: Plan, data: dict[str, Any] | None = None, *, search: bool = False) -> Audit:
    source, target = sides()
    return audit(parse_map(data or MAP, "test"), work, source, target, FEEDS, search=search)


def test_every_edge_that_shape_leaves_open_is_listed_and_settled() -> None:
    found = judged(the_plan())
    assert found.holds
    assert found.error < 1e-6
    # 8 square matrices, 8 vectors of one shape, and the dense layer behind the flatten.
    assert (found.tensors, found.ambiguous) == (17, 17)
    kinds = [finding.kind for finding in found.findings]
    # Of the flatten's two steps only the second keeps the shape.
    assert kinds.count("without") == 8 + 1
    assert kinds.count("swap") >= 2 * 6 + 2 * 6
    assert all(finding.times >= 10 for finding in found.findings)


def flipped(work: Plan, alternative: Alternative) -> Plan:
    """Return the plan that says an alternative instead."""
    entries = list(work.entries)
    if alternative.kind == "swap":
        places = [next(n for n, e in enumerate(entries) if name in e.targets) for name in alternative.targets]
        one, other = (entries[place] for place in places)
        assert (len(one.targets), len(other.targets)) == (1, 1)
        entries[places[0]] = replace(one, targets=other.targets)
        entries[places[1]] = replace(other, targets=one.targets)
        return replace(work, entries=tuple(entries))
    place = next(n for n, e in enumerate(entries) if e.targets == alternative.targets)
    steps = list(entries[place].steps)
    if alternative.kind == "without":
        del steps[alternative.step]
    else:
        order = list(range(len(entries[place].made[0].shape)))
        one_axis, other_axis = alternative.axes
        order[one_axis], order[other_axis] = order[other_axis], order[one_axis]
        steps.append(Permute(tuple(order)))
    entries[place] = replace(entries[place], steps=tuple(steps))
    return replace(work, entries=tuple(entries))


def test_a_map_with_any_one_edge_flipped_is_refused_and_the_right_one_named() -> None:
    right = the_plan()
    every = alternatives(right)
    assert ambiguous_edges(every) == set(right.targets())
    refused = named = 0
    for alternative in every:
        wrong = judged(flipped(right, alternative), search=True)
        refused += not wrong.holds
        named += any(finding.verdict == "better" for finding in wrong.findings)
    # 100 %: each flip is refused. And each time but one the audit names an alternative that is nearer to the source:
    # a flatten that was forgotten is no alternative of a rule that has none.
    assert (refused, named) == (len(every), len(every) - 1)
    assert len(every) >= 35


def test_tensors_of_the_same_values_are_counted_and_no_verdict_made_of_them() -> None:
    source, target = sides()
    source.load({"net/two/shift": np.ones(WIDTH), "net/two/mean": np.ones(WIDTH)})
    weight_map = parse_map(MAP, "test")
    found = audit(weight_map, plan(weight_map, source.checkpoint().specs()), source, target, FEEDS)
    assert found.same == 1


class Sum:
    """Adds two vectors: which is which makes no difference."""

    def __init__(self, seed: int) -> None:
        random = np.random.default_rng(seed)
        self.tensors = {name: random.standard_normal(4).astype(np.float32) for name in ("left.bias", "right.bias")}

    def checkpoint(self) -> Any:
        from weight_maps.checkpoint import Tensors

        return Tensors(self.tensors)

    def load(self, tensors: Any) -> None:
        self.tensors = {**self.tensors, **tensors}

    def run(self, feeds: Any) -> list[np.ndarray]:
        return [feeds[0] + (self.tensors["left.bias"] + self.tensors["right.bias"])]


@pytest.mark.parametrize("declared", [False, True])
def test_what_the_model_itself_leaves_open_must_be_declared_neutral(declared: bool) -> None:
    data: dict[str, Any] = {"map": 1, "rules": [{"from": "{s:left|right}.bias", "to": "{s}.bias"}]}
    if declared:
        data["neutral"] = [{"to": "{s:left|right}.bias", "reason": "the two are added"}]
    weight_map = parse_map(data, "test")
    work = plan(weight_map, Sum(0).checkpoint().specs())
    found = audit(weight_map, work, Sum(0), Sum(1), [np.eye(4, dtype=np.float32)])
    assert found.agrees
    assert found.holds is declared
    assert [finding.verdict for finding in found.findings] == ["neutral" if declared else "undecided"]


def test_a_declaration_does_not_excuse_what_can_be_told_apart() -> None:
    data = {**MAP, "neutral": [{"to": "{path*}", "reason": "so it is said"}]}
    source, target = sides()
    target.load({})
    work = the_plan()
    wrong = flipped(work, next(item for item in alternatives(work) if item.kind == "without"))
    assert not audit(parse_map(data, "test"), wrong, source, target, FEEDS, search=True).holds


def test_outputs_that_do_not_depend_on_the_input_decide_nothing() -> None:
    same = [np.repeat(FEEDS[0][:1], 3, axis=0)]
    source, target = sides()
    found = audit(parse_map(MAP, "test"), the_plan(), source, target, same)
    assert found.signal < 1e-6
    assert not found.holds


def test_an_alternative_that_does_not_fit_is_none() -> None:
    work = the_plan()
    made = Mapped(sides()[0].checkpoint(), work)
    arrays = {name: made.read(name) for name in work.targets()}
    entry = Entry("x", ("a",), ("b",), (), (), ())
    assert tried(Alternative("transpose", ("head.weight",), "", entry, axes=(0, 1)), arrays, {}) is None
