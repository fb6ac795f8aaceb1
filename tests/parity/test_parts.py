"""Thresholds, guards, cases and power, each by itself."""

from __future__ import annotations

import numpy as np
import pytest

from parity import cases, guards
from parity.metrics import Pool
from parity.signal import Signal
from parity.tolerance import LIMITS, Limits, budget, power

F32 = np.dtype(np.float32)


def pool(reference, candidate):
    result = Pool()
    result.add(reference, candidate)
    return result


def test_the_ratio_is_port_error_over_original_error():
    truth = np.linspace(1, 2, 1000)
    found = budget(pool(truth, truth + 2e-6), pool(truth, truth + 1e-6), F32, Limits())
    assert found.ratio == pytest.approx(2.0, rel=1e-6)
    assert found.holds


def test_the_floor_is_one_gap_of_the_dtype():
    truth = np.linspace(1, 2, 1000)
    found = budget(pool(truth, truth * (1 + 2.0**-23)), pool(truth, truth), F32, Limits())
    assert found.ratio == pytest.approx(1.0, rel=1e-6)


def test_a_sparse_error_fails_on_its_largest_difference():
    truth = np.linspace(1, 2, 100_000)
    noise = 1e-6 * np.random.default_rng(0).standard_normal(truth.size)
    port = truth + noise
    port[5] += 1e-4
    found = budget(pool(truth, port), pool(truth, truth + noise), F32, Limits())
    assert found.ratio < 3
    assert found.max_abs_ratio > 6
    assert not found.holds


def test_the_limits_of_float32_are_the_designs():
    assert (LIMITS["fp32"].ratio, LIMITS["fp32"].max_abs, LIMITS["fp32"].signal) == (3.0, 6.0, 1000.0)


@pytest.mark.parametrize(
    ("signal", "noise", "width", "reason"),
    [(1.0, 1e-6, 1e-6, ""), (1.0, 0.01, 1e-4, "blind"), (1.0, 1e-6, 0.45, "ill-conditioned"), (0.0, 0.0, 0.0, "blind")],
)
def test_power(signal, noise, width, reason):
    found = power(signal, noise, width, Limits())
    assert (found.reason, found.decides) == (reason, not reason)


def test_signal_is_what_varies_from_input_to_input():
    random = np.random.default_rng(0)
    fixed = random.standard_normal((1, 500)) * 100
    collected = Signal()
    for _ in range(8):
        truth = fixed + random.standard_normal((4, 500))
        collected.add(truth, truth + 1e-3 * random.standard_normal(truth.shape), batched=True)
    signal, noise = collected.measure()
    assert signal == pytest.approx(1.0, rel=0.05)
    assert noise == pytest.approx(1e-3, rel=0.05)


def names(findings):
    return [finding.guard for finding in findings]


def test_guards():
    good = {"y": np.array([1.0, 2.0], np.float32)}
    assert guards.inspect("c", good, good) == []
    assert names(guards.inspect("c", good, {"z": good["y"]})) == ["names"]
    assert names(guards.inspect("c", good, {"y": np.zeros((1, 2), np.float32)})) == ["shape"]
    assert names(guards.inspect("c", good, {"y": good["y"].astype(np.float64)})) == ["dtype"]
    assert names(guards.inspect("c", good, {"y": np.array([np.nan, 2.0], np.float32)})) == ["nan"]
    assert names(guards.inspect("c", good, {"y": np.array([np.inf, 2.0], np.float32)})) == ["inf"]
    assert names(guards.inspect("c", good, {"y": np.full(2, 7.0, np.float32)})) == ["constant"]


@pytest.mark.parametrize(
    ("count", "size", "pooled", "enough"),
    [(3, 99, 999, False), (4, 99, 999, True), (4, 16, 64, False), (8, 16, 128, True), (8, 1, 8, False)],
)
def test_how_many_inputs_make_a_verdict(count, size, pooled, enough):
    assert cases.enough(count, size, pooled) is enough
