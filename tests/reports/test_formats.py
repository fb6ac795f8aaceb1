"""Numbers as text: digits, infinities, and nothing where nothing is known."""

from __future__ import annotations

import math

import pytest

from reports import formats
from reports.figure import log_ticks


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, ""),
        (0.0, "0"),
        (1.0234, "1.02"),
        (999.6, "1,000"),
        (0.9996, "1.00"),
        (184000.0, "184,000"),
        (0.00042, "4.20e-04"),
        (-2.5, "−2.50"),
        (math.inf, "inf"),
        (-math.inf, "−inf"),
        (math.nan, "nan"),
    ],
)
def test_significant(value: float | None, expected: str) -> None:
    assert formats.significant(value) == expected


def test_cosine_next_to_one_shows_its_distance() -> None:
    assert formats.cosine(1 - 3e-9) == "1 − 3.0e-09"
    assert formats.cosine(0.25) == "0.250000"
    assert formats.cosine(1.0) == "1.000000"


def test_size_is_in_binary_units() -> None:
    assert [formats.size(value) for value in (None, 512.0, 2.0**20, 3.5 * 2**40)] == [
        "",
        "512 B",
        "1.00 MiB",
        "3,584 GiB",
    ]


@pytest.mark.parametrize(("low", "high"), [(3e-7, 1.3e-6), (1e-9, 1e3), (17.0, 18.0), (1.0, 1e300)])
def test_log_ticks_are_few_and_inside(low: float, high: float) -> None:
    ticks = log_ticks(low, high)
    assert len(ticks) <= 7
    assert all(low <= tick <= high for tick in ticks)
