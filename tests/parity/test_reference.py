"""Published values: they gate where the whole data set was measured, and are only stated otherwise."""

from __future__ import annotations

import pytest

from parity.intervals import Comparison
from parity.reference import references

ENTRY = {"task": "image-classification", "metric": "top1", "dataset": "mine", "published": 0.75, "n": 100}


def measured(original, port):
    return {"top1": Comparison(original, port, port - original, (0, 0), (0, 1), (0, 1))}


def verdicts(entry, count, original, port):
    found = references({"evaluation": [entry]}, entry["task"], count, "onnxruntime", measured(original, port))
    return [reference.verdict for reference in found]


@pytest.mark.parametrize(
    ("count", "original", "port", "expected"),
    [
        (100, 0.75, 0.75, "pass"),
        (100, 0.7574, 0.7426, "pass"),
        (100, 0.75, 0.74, "fail"),
        (100, 0.80, 0.75, "fail"),
        (99, 0.1, 0.1, "not gated"),
    ],
)
def test_both_sides_are_held_to_the_tolerance_on_the_whole_set(count, original, port, expected):
    assert verdicts(ENTRY, count, original, port) == [expected]


def test_the_cards_own_tolerance_and_known_sizes():
    assert verdicts(ENTRY | {"tolerance": 0.02}, 100, 0.75, 0.735) == ["pass"]
    known = {key: value for key, value in ENTRY.items() if key != "n"}
    assert verdicts(known, 100, 0.75, 0.75) == ["not gated"]
    assert verdicts(known | {"dataset": "ImageNet-1k validation"}, 50_000, 0.75, 0.70) == ["fail"]


def test_other_tasks_and_metrics_are_left_alone():
    assert verdicts(ENTRY | {"metric": "top5"}, 100, 0.75, 0.75) == []
    assert references({"evaluation": [ENTRY]}, "embeddings", 100, "onnxruntime", measured(0.75, 0.75)) == []
