"""Wilson's interval, and which metrics have a count behind them."""

from __future__ import annotations

import pytest

from reports.statistics import correct, is_small, wilson


@pytest.mark.parametrize(
    ("count", "n", "low", "high"),
    # Values of R's prop.test(correct=FALSE), to four digits.
    [(17, 20, 0.6396, 0.9476), (0, 20, 0.0, 0.1611), (20, 20, 0.8389, 1.0), (5, 10, 0.2366, 0.7634)],
)
def test_wilson_interval(count: int, n: int, low: float, high: float) -> None:
    assert wilson(count, n) == pytest.approx((low, high), abs=6e-5)


@pytest.mark.parametrize(
    ("metric", "value", "n", "expected"),
    [
        ("top1", 0.85, 20, 17),
        ("top-1", 0.85, 20, 17),
        ("accuracy", 2 / 3, 3, 2),
        ("spearman", 0.85, 20, None),
        ("top1", 0.851, 20, None),
        ("top1", 85.0, 20, None),
        ("top1", None, 20, None),
        ("top1", 0.85, 0, None),
        ("top1", float("nan"), 20, None),
    ],
)
def test_only_shares_of_right_answers_are_counted(
    metric: str, value: float | None, n: int, expected: int | None
) -> None:
    assert correct(metric, value, n) == expected


def test_small_n_is_what_cannot_tell_a_point() -> None:
    assert is_small(850, 1000)
    assert not is_small(42500, 50000)
