"""Rows that the model selects: matched, counted, and never let through where a port selects otherwise."""

from __future__ import annotations

import numpy as np
import pytest

from parity.rows import Decisions, matched, selected, side_by_side

NAMES = ["boxes", "labels", "scores"]


def detections(count=8, seed=0):
    random = np.random.default_rng(seed)
    return {
        "boxes": random.uniform(0, 100, (count, 4)).astype(np.float32),
        "labels": random.integers(0, 5, count),
        "scores": np.sort(random.uniform(0.1, 1, count).astype(np.float32))[::-1],
        "masks": random.uniform(0, 1, (count, 1, 9, 9)).astype(np.float32),
    }


def rows_of(side, order):
    return {name: array[order] for name, array in side.items()}


def test_outputs_of_the_same_unknown_length_belong_together():
    shapes = {
        "boxes": ["Min(100,u7)", 4],
        "labels": ["Min(100,u7)"],
        "logits": ["batch", 5],
        "other": ["u3"],
        "one": [],
    }
    groups = selected([{"name": name, "shape": shape} for name, shape in shapes.items()])
    assert groups == [["boxes", "labels"], ["other"]]


def test_the_same_rows_are_all_matched():
    left, right, otherwise = matched(detections(), detections(), NAMES)
    assert (left.tolist(), right.tolist(), otherwise) == (list(range(8)), list(range(8)), 0)


@pytest.mark.parametrize(
    ("order", "otherwise"),
    [
        ([0, 1, 2, 3, 5, 6, 7], 1),  # one is missing
        ([0, 1, 2, 4, 3, 5, 6, 7], 1),  # two are swapped: one of them stands out of order
        ([7, 6, 5, 4, 3, 2, 1, 0], 7),
        ([], 8),
    ],
)
def test_what_is_missing_or_out_of_order_counts(order, otherwise):
    here = detections()
    there = rows_of(here, np.array(order, int))
    assert matched(here, there, NAMES)[2] == matched(there, here, NAMES)[2] == otherwise


@pytest.mark.parametrize("name", ["boxes", "labels", "scores"])
def test_a_row_that_differs_in_one_output_is_another_row(name):
    here, there = detections(), detections()
    there[name] = there[name].copy()
    there[name][3] += 1
    assert matched(here, there, NAMES)[2] == 1


def test_a_small_error_stays_for_the_noise_budget_to_see():
    here, there = detections(), detections()
    there["boxes"] = there["boxes"] + np.float32(0.1)
    assert matched(here, there, NAMES)[2] == 0


def test_outputs_that_disagree_on_the_number_of_rows_match_nothing():
    there = detections()
    there["labels"] = there["labels"][:5]
    left, right, otherwise = matched(detections(), there, NAMES)
    assert (left.size, right.size, otherwise) == (0, 0, 8)


def test_masks_follow_their_rows_and_sides_keep_what_all_have():
    truth = detections()
    original, port = rows_of(truth, [0, 1, 2, 3, 4, 5, 6]), rows_of(truth, [0, 2, 1, 3, 4, 5, 6, 7])
    r, t, p, decisions = side_by_side(original, truth, port, [rows_of(truth, [1, 2, 3])], [*NAMES, "masks"])
    for name in (*NAMES, "masks"):
        assert len(r[name]) == 7
        np.testing.assert_array_equal(r[name], t[name])
        np.testing.assert_array_equal(p[name], t[name])
    assert decisions == Decisions(port=1, original=1, moved=5, rows=8)


def test_nothing_selected_is_a_fault_and_so_are_more_decisions_than_the_budget():
    assert "nothing was compared" in Decisions().fault(3.0)
    assert Decisions(port=0, original=0, rows=10).fault(3.0) == ""
    assert "1 of 10" in Decisions(port=1, original=0, rows=10).fault(3.0)
    assert Decisions(port=3, original=1, rows=10).fault(3.0) == ""
    assert "4 of 10" in Decisions(port=4, original=1, moved=1, rows=10).fault(3.0)
