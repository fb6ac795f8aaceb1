"""Intervals of few samples: Wilson's, McNemar's exact test, the paired bootstrap."""

from __future__ import annotations

import numpy as np
import pytest

from parity.intervals import compare, mcnemar, wilson
from parity.scores import Scores, counted, mean_of


def test_eighteen_of_twenty():
    assert wilson(18, 20) == pytest.approx((0.699, 0.972), abs=5e-4)
    assert wilson(0, 10) == pytest.approx((0, 0.2775), abs=5e-4)


def test_mcnemar_counts_what_one_side_alone_has_right():
    original = np.array([True] * 90 + [False] * 10)
    port = original.copy()
    port[:6] = False
    port[95] = True
    found = mcnemar(original, port)
    assert (found.only_original, found.only_port) == (6, 1)
    # Two tails of 7 tosses of which 1 or fewer fall one way.
    assert found.p == pytest.approx(2 * (1 + 7) / 2**7)
    assert mcnemar(original, original).p == 1.0


def test_shares_carry_count_test_and_warning():
    right = np.array([True] * 18 + [False] * 2)
    found = compare("top1", counted({"top1": right}, [0] * 20), counted({"top1": right}, [0] * 20))
    assert found.right == (18, 18)
    assert found.original_interval == wilson(18, 20)
    assert found.small
    many = np.arange(40_000) % 4 > 0
    assert not compare("top1", counted({"top1": many}, many), counted({"top1": many}, many)).small


def test_the_bootstrap_is_paired():
    random = np.random.default_rng(0)
    values = random.normal(0, 10, 200)
    theirs = Scores({"x": mean_of(values)}, list(values))
    ours = Scores({"x": mean_of(values + 0.5)}, list(values))
    found = compare("x", theirs, ours)
    # The samples differ widely, the sides by the same on each: drawn apart, the interval would be about 4 wide.
    assert found.interval == pytest.approx((0.5, 0.5))
    assert found.original_interval[1] - found.original_interval[0] == pytest.approx(4 * 10 / np.sqrt(200), rel=0.2)
    assert found.right is None
    assert found.mcnemar is None


def test_draws_on_which_a_metric_is_undefined_do_not_count():
    metric = {"x": lambda picks: np.where(picks[:, 0] == 0, np.nan, 1.0)}
    assert compare("x", Scores(metric, [0, 1]), Scores(metric, [0, 1])).port_interval == (1.0, 1.0)


def test_draws_in_blocks_are_the_same_draws(monkeypatch):
    values = np.random.default_rng(1).normal(size=50)
    scores = Scores({"x": mean_of(values)}, list(values))
    whole = compare("x", scores, scores)
    monkeypatch.setattr("parity.intervals.BLOCK", 333)
    assert compare("x", scores, scores) == whole
