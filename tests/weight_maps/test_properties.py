"""Properties of rules and maps: they invert, round-trip and compose; what is not used exactly once is always caught."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from weight_map_strategies import bits, checkpoint, lstms, maps, programs

from weight_maps.checkpoint import Tensors
from weight_maps.engine import Mapped, run
from weight_maps.plan import Entry, plan
from weight_maps.tensors import Spec, same_bits, spec_of
from weight_maps.weight_map import parse_map
from zoo.errors import UserError


@given(programs())
def test_rules_in_a_row_tell_their_shapes_and_give_back_every_bit(program: tuple[list[Spec], list[Any]]) -> None:
    given_, rules = program
    arrays = [bits(spec, place) for place, spec in enumerate(given_)]
    specs = given_
    for rule in rules:
        specs = rule.specs(specs)
    names = [tuple(map(str, range(len(side)))) for side in (given_, specs)]
    entry = Entry("x", names[0], names[1], tuple(rules), tuple(given_), tuple(specs))
    there = run(entry, arrays)
    assert [spec_of(array) for array in there] == specs
    assert entry.exact
    back = run(entry.inverse(), there)
    assert all(same_bits(one, other) for one, other in zip(arrays, back, strict=True))


@given(lstms())
def test_cudnns_buffer_is_taken_apart_and_put_together(drawn: tuple[Any, Spec]) -> None:
    rule, spec = drawn
    buffer = bits(spec, 0)
    parts = rule.apply([buffer])
    assert [spec_of(part) for part in parts] == rule.specs([spec])
    assert same_bits(rule.inverse([spec]).apply(parts)[0], buffer)


@given(maps())
def test_a_map_goes_there_and_back_by_its_plan_and_by_its_own_inverse(drawn: tuple[dict[str, Any], Any]) -> None:
    data, specs = drawn
    forward, arrays = parse_map(data, "test"), checkpoint(specs)
    source = Tensors(arrays)
    there = Mapped(source, plan(forward, specs))
    for back in (Mapped(there, plan(forward, specs).inverse()), Mapped(there, plan(forward.inverse(), there.specs()))):
        assert set(back.specs()) == set(specs)
        assert all(same_bits(back.read(name), array) for name, array in arrays.items())


@given(maps(), maps())
def test_maps_compose(one: tuple[dict[str, Any], Any], other: tuple[dict[str, Any], Any]) -> None:
    """A checkpoint through two maps in a row is the same as through the second what the first has written."""
    (first, specs), (second, more) = one, other
    # The second map renames what the first makes, and takes tensors of its own besides.
    second = {**second, "rules": [*second["rules"], {"from": "b{rest*}", "to": "c{rest}"}]}
    first = {**first, "rules": [*first["rules"], {"from": "other/{rest*}", "to": "a{rest}"}]}
    both = specs | {f"other/{name.removeprefix('a')}": spec for name, spec in more.items()}
    arrays = checkpoint(both)
    there = Mapped(Tensors(arrays), plan(parse_map(first, "first"), both))
    written = Tensors({name: there.read(name) for name in there.specs()})
    composed = Mapped(there, plan(parse_map(second, "second"), there.specs()))
    apart = Mapped(written, plan(parse_map(second, "second"), written.specs()))
    assert composed.specs() == apart.specs()
    assert all(same_bits(composed.read(name), apart.read(name)) for name in composed.specs())


def _violations(data: dict[str, Any], specs: dict[str, Spec], pick: int, kind: str) -> tuple[Any, Any, Any]:
    """Return a map, a source and a target of which one thing is wrong."""
    target = dict(plan(parse_map(data, "test"), specs).targets())
    name = sorted(specs)[pick % len(specs)]
    made = sorted(target)[pick % len(target)]
    rules = list(data["rules"])
    if kind == "unused":
        specs = {**specs, f"{name}.more": specs[name]}
    elif kind == "absent":
        specs = {key: spec for key, spec in specs.items() if not key.startswith(name.rpartition("/")[0])}
        specs = specs or {"z": Spec((1,), "float32")}
    elif kind == "twice":
        rules.append({"from": name, "to": "z"})
    elif kind == "made twice":
        specs, rules = {**specs, "z": target[made]}, [*rules, {"from": "z", "to": made}]
    elif kind == "missing":
        target["z"] = Spec((1,), "float32")
    elif kind == "unknown":
        del target[made]
    elif kind == "shape":
        target[made] = Spec((*target[made].shape, 1), target[made].dtype)
    elif kind == "dtype":
        target[made] = Spec(target[made].shape, "float16")
    elif kind == "renamed":
        target[f"{made}x"] = target.pop(made)
    else:
        del rules[pick % len(rules)]
    return {**data, "rules": rules}, specs, target


KINDS = ("unused", "absent", "twice", "made twice", "missing", "unknown", "shape", "dtype", "renamed", "no rule")


@pytest.mark.parametrize("kind", KINDS)
@given(drawn=maps(), pick=st.integers(0, 99))
def test_what_is_not_used_exactly_once_is_always_refused(kind: str, drawn: tuple[Any, Any], pick: int) -> None:
    data, specs, target = _violations(*drawn, pick, kind)
    with pytest.raises(UserError, match="exactly once"):
        plan(parse_map(data, "test"), specs, target)


@given(drawn=maps())
def test_what_is_right_is_not_refused(drawn: tuple[Any, Any]) -> None:
    data, specs = drawn
    weight_map = parse_map(data, "test")
    target = plan(weight_map, specs).targets()
    assert plan(weight_map, specs, target).targets() == target
    assert np.all([name in target for entry in plan(weight_map, specs).entries for name in entry.targets])
