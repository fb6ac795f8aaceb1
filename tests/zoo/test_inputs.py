"""Seeded inputs: the same everywhere, within their ranges, and described by the card."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from zoo.card import dump_card
from zoo.errors import UserError
from zoo.inputs import DTYPES, Feed, InputSpec, is_integer, moved, parse_input, probes, sample

IMAGE = InputSpec("x", "float32", ("batch", 3, 4, 4), "image", mean=0.5, std=2.0)
IDS = InputSpec("ids", "int64", ("batch", "seq"), "tokens", low=1, high=30, sizes={"seq": 6})
MASK = InputSpec("mask", "int64", ("batch", "seq"), "mask", sizes={"seq": 6})


def digest(feed: Feed) -> str:
    return hashlib.sha256(b"".join(name.encode() + array.tobytes() for name, array in feed.items())).hexdigest()


# -- signatures ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("x=batch,3,224,224:float32", InputSpec("x", "float32", ("batch", 3, 224, 224), "image")),
        ("x=1x3x8x8", InputSpec("x", "float32", (1, 3, 8, 8), "image")),
        ("ids=batch, seq:int64", InputSpec("ids", "int64", ("batch", "seq"), "tokens")),
        ("attention_mask=batch,seq:int64", InputSpec("attention_mask", "int64", ("batch", "seq"), "mask")),
        ("token_type_ids=2,5:int32", InputSpec("token_type_ids", "int32", (2, 5), "segments")),
        ("position_ids=2,5:int64", InputSpec("position_ids", "int64", (2, 5), "positions")),
        ("v=7:float16", InputSpec("v", "float16", (7,), "features")),
    ],
)
def test_an_input_is_parsed(text: str, spec: InputSpec) -> None:
    assert parse_input(text) == spec


@pytest.mark.parametrize(
    "text", ["", "x", "x=", "=3:float32", "x=3:float31", "x=3,:float32", "x=-1,3", "x=²,3", "x=b!,3", "x=3:"]
)
def test_an_unreadable_input_shows_the_form(text: str) -> None:
    with pytest.raises(UserError, match=r"expected: NAME=SHAPE:DTYPE such as x=batch,3,224,224:float32") as caught:
        parse_input(text)
    assert caught.value.got == text


@given(
    st.builds(
        InputSpec,
        name=st.text(min_size=1),
        dtype=st.sampled_from(DTYPES),
        shape=st.lists(st.integers(0, 2**40) | st.text(min_size=1), max_size=5).map(tuple),
        kind=st.sampled_from(["image", "tokens", "mask", "features"]),
        low=st.integers(-(2**31), 2**31),
        high=st.integers(-(2**31), 2**31),
        mean=st.floats(allow_nan=False),
        std=st.floats(0, allow_nan=False),
        sizes=st.dictionaries(st.text(min_size=1), st.integers(0, 2**40), max_size=3),
    )
)
def test_a_spec_survives_the_card(spec: InputSpec) -> None:
    entry = yaml.safe_load(dump_card({"inputs": [spec.to_card()]}))["inputs"][0]
    again = InputSpec.from_card(entry)
    assert (again.name, again.dtype, again.shape, again.kind, again.sizes) == (
        (spec.name, spec.dtype, spec.shape, spec.kind, spec.sizes)
    )
    if is_integer(spec.dtype):
        assert (again.low, again.high) == (spec.low, spec.high)
    elif spec.dtype != "bool":
        assert (again.mean, again.std) == (spec.mean, spec.std)


@pytest.mark.parametrize(
    "entry",
    [None, [], {}, {"name": "x", "dtype": "float32"}, {"name": "x", "dtype": "f8", "shape": [1]}]
    + [{"name": "x", "dtype": "float32", "shape": shape} for shape in (None, 3, [1.5])],
)
def test_a_spoiled_entry_of_a_card_is_refused(entry: Any) -> None:
    with pytest.raises(UserError, match="an input of the card cannot be read"):
        InputSpec.from_card(entry)


# -- samples -------------------------------------------------------------------------------------------------------


def test_samples_are_the_same_in_every_process(spawn: Callable[..., Any]) -> None:
    script = (
        "import hashlib; from zoo.inputs import *\n"
        "feed = sample([parse_input('x=batch,3,4,4'), parse_input('ids=batch,seq:int64')], 7, 3)\n"
        "print(hashlib.sha256(b''.join(n.encode() + a.tobytes() for n, a in feed.items())).hexdigest())"
    )
    here = digest(sample([parse_input("x=batch,3,4,4"), parse_input("ids=batch,seq:int64")], 7, 3))
    answers = {spawn("-c", script).stdout.strip() for _ in range(2)}
    assert answers == {here}


def test_seed_case_and_name_make_the_values_and_other_inputs_do_not() -> None:
    base = sample([IMAGE], 1, 0)["x"]
    assert np.array_equal(sample([IDS, IMAGE], 1, 0)["x"], base)
    others = [sample([IMAGE], 2, 0)["x"], sample([IMAGE], 1, 1)["x"]]
    others.append(sample([InputSpec("y", *[IMAGE.dtype, IMAGE.shape, IMAGE.kind])], 1, 0)["y"])
    assert not any(np.array_equal(base, other) for other in others)


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_is_drawn_in_itself(dtype: str) -> None:
    drawn = sample([InputSpec("v", dtype, (64, 3))], 0)["v"]
    assert (drawn.dtype.name, drawn.shape) == (dtype, (64, 3))
    assert len(np.unique(drawn.astype(np.float64))) > 1


def test_ranges_moments_and_sizes_are_kept() -> None:
    feed = sample([IMAGE, IDS], 0, sizes={"batch": 400})
    assert feed["x"].shape == (400, 3, 4, 4)
    assert feed["x"].mean() == pytest.approx(0.5, abs=0.1)
    assert feed["x"].std() == pytest.approx(2.0, abs=0.1)
    assert feed["ids"].shape == (400, 6)
    assert (feed["ids"].min(), feed["ids"].max()) == (1, 29)


def test_masks_end_in_padding_and_leave_the_first_row_whole() -> None:
    mask = sample([MASK], 0, sizes={"batch": 50, "seq": 12})["mask"]
    assert mask[0].all()
    assert not mask.all()
    assert (np.diff(mask, axis=1) <= 0).all()
    assert (mask.sum(1) >= 6).all()


def test_positions_count_from_zero() -> None:
    assert sample([parse_input("position_ids=2,4:int64")], 0)["position_ids"].tolist() == [[0, 1, 2, 3]] * 2


def test_a_negative_seed_is_refused() -> None:
    with pytest.raises(UserError, match="the seed is negative"):
        sample([IMAGE], -1)


# -- probes --------------------------------------------------------------------------------------------------------


def test_probes_are_small_large_constant_and_a_ramp() -> None:
    feeds = {name: feed["x"] for name, feed in probes([IMAGE], 0).items()}
    assert list(feeds) == ["small", "large", "constant", "ramp"]
    assert np.abs(feeds["small"]).max() < 0.02
    assert np.abs(feeds["large"]).max() > 50
    first, second = ((sample.mean(), sample.std()) for sample in feeds["constant"])
    for level, spread in (first, second):
        assert 0 < spread < 0.02 * abs(level), "nearly constant: of equal numbers all roundings go one way"
    assert abs(first[0] - second[0]) > 0.5, "each sample has its own level"
    for ramp in feeds["ramp"]:
        steps = np.diff(ramp.ravel())
        assert (steps > 0).all() or (steps < 0).all()
    assert {array.dtype.name for array in feeds.values()} == {"float32"}


def test_probes_leave_integers_ordinary_beside_floats() -> None:
    feeds = probes([IMAGE, IDS], 0)
    assert len({feed["ids"].tobytes() for feed in feeds.values()}) == 1


def test_integers_alone_are_probed_at_their_ends() -> None:
    feeds = probes([IDS, MASK], 0)
    assert {name: np.unique(feed["ids"]).tolist() for name, feed in feeds.items()} == {"low": [1], "high": [29]}
    assert feeds["low"]["mask"][0].all()


def test_moved_goes_one_ulp_and_leaves_integers() -> None:
    feed = sample([IMAGE, IDS], 0)
    again = moved(feed, 0)
    gaps = (again["x"].view(np.int32) - feed["x"].view(np.int32)).ravel()
    assert set(gaps.tolist()) == {-1, 1}
    assert np.array_equal(again["ids"], feed["ids"])
