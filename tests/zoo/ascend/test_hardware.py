"""Every chip of the specs loads, and a wrong name is answered with the nearest ones."""

from __future__ import annotations

import dataclasses

import pytest

from zoo.ascend.hardware import chip_names, load_chip
from zoo.errors import UserError


@pytest.mark.parametrize("name", chip_names())
def test_every_chip_is_plausible(name):
    chip = load_chip(name)
    assert chip.name == name
    assert chip.cube_mkn_fp16 == (16, 16, 16)
    assert 1 <= chip.ai_cores <= 32
    assert 0.4e9 < chip.clock_hz < 2e9
    assert chip.l0a_bytes < chip.l1_bytes < chip.l2_bytes
    assert 20e9 < chip.dram_bytes_per_s < 2e12
    assert "fp16" in chip.cube_inputs
    assert ("bf16" in chip.cube_inputs) == chip.supports_bfloat16


@pytest.mark.parametrize("name", chip_names())
def test_every_fact_has_a_source_and_a_status(name):
    for key, fact in load_chip(name).facts.items():
        assert fact.source, key
        assert fact.status in ("firm", "derived", "conflict", "shaky", "unknown"), key


@pytest.mark.parametrize("name", [name for name in chip_names() if name != "ascend910c"])
def test_peak_is_cores_times_cube_times_clock(name):
    # The peak of the 910C is stated for the package only.
    chip = load_chip(name)
    peak = chip.facts.get("peak_tflops_bf16") or chip.facts["peak_tflops_fp16"]
    assert peak.value * 1e12 == pytest.approx(chip.ai_cores * 2 * 16**3 * chip.clock_hz, rel=0.01)


def test_overflow_mode_follows_the_generation():
    saturating = {name for name in chip_names() if load_chip(name).saturates}
    assert set(chip_names()) - saturating == {f"ascend910{bin_}" for bin_ in ("b1", "b2", "b3", "b4", "c")}


def test_ascend910b_without_a_digit_is_the_first_generation():
    assert load_chip("Ascend910B").arch == "dav-c100"
    assert load_chip("Ascend910B1").arch == "dav-c220"


@pytest.mark.parametrize("name", ["ascend310p3", "Ascend310P3", " ASCEND310P3 "])
def test_names_in_any_case(name):
    assert load_chip(name).name == "ascend310p3"


def test_soc_names_of_atc():
    assert load_chip("Ascend910_9382").name == "ascend910c"


def test_unknown_chip_names_the_nearest():
    with pytest.raises(UserError) as error:
        load_chip("ascend310p4")
    assert "ascend310p3" in str(error.value.hint)
    assert "'ascend310p4'" in str(error.value)


def test_a_chip_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        load_chip("ascend310").ai_cores = 3
