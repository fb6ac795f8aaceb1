"""The rounding primitives against plain NumPy models, bit for bit."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import onnx_ir as ir
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from zoo.ascend.functions import DOMAIN, add_functions
from zoo.ascend.rounding import BF16, FORMATS, FP16

SETTINGS = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
CORNERS = [0.0, -0.0, 65503.9, 65504.0, 65519.99, 65520.0, -65520.0, 2.0**-25, 6e-8, 3.3895e38, 3.4e38, np.inf, np.nan]
VALUES = hnp.arrays(
    np.float32,
    st.integers(1, 60),
    elements=st.one_of(st.floats(width=32), st.sampled_from(CORNERS).map(lambda v: float(np.float32(v)))),
)


@pytest.fixture(scope="session")
def primitive(read, run):
    """Run one function of the domain on one tensor."""
    programs = {}

    def call(name, saturates, values):
        if (name, saturates) not in programs:
            model = read("g (float[N] x) => (float[N] y) { y = Identity(x) }")
            model.graph.node(0).domain, model.graph.node(0).op_type = DOMAIN, name
            add_functions(model, [name], saturates)
            programs[name, saturates] = model
        return run(programs[name, saturates], {"x": values}, optimize=False)[0]

    return call


def narrow(values, form):
    dtype = np.float16 if form is FP16 else ml_dtypes.bfloat16
    with np.errstate(over="ignore", invalid="ignore"):
        return values.astype(dtype).astype(np.float32)


def saturated(values, form):
    return np.nan_to_num(narrow(values, form), nan=0.0, posinf=form.largest, neginf=-form.largest)


@SETTINGS
@given(values=VALUES)
@pytest.mark.parametrize("form", FORMATS.values(), ids=list(FORMATS))
def test_rounding_to_a_format(primitive, form, values):
    np.testing.assert_array_equal(primitive(f"Round{form.label}", False, values), narrow(values, form))
    np.testing.assert_array_equal(primitive(f"Round{form.label}", True, values), saturated(values, form))


@SETTINGS
@given(values=VALUES)
@pytest.mark.parametrize("form", FORMATS.values(), ids=list(FORMATS))
def test_cheaper_roundings_are_the_same_where_they_may_be_used(primitive, form, values):
    known = values[~np.isnan(values)]
    np.testing.assert_array_equal(primitive(f"RoundFinite{form.label}", True, known), saturated(known, form))
    small = known[np.abs(known) <= form.largest]
    for saturates in (True, False):
        np.testing.assert_array_equal(primitive(f"RoundSmall{form.label}", saturates, small), narrow(small, form))


@SETTINGS
@given(values=VALUES)
def test_hf32_is_the_nearest_of_12_significant_bits(primitive, values):
    result = primitive("RoundHf32", False, values)
    ordinary = np.isfinite(values) & (np.abs(values) < 2.0**114)
    np.testing.assert_array_equal(result[~ordinary], values[~ordinary])
    x, y = values[ordinary].astype(np.float64), result[ordinary].astype(np.float64)
    # The model: the gap of 12 significant bits at x (float32's own where x is denormal).
    gap = 2.0 ** (np.maximum(np.frexp(x)[1], -125) - 12)
    assert (np.abs(y - x) <= np.maximum(gap / 2, 0)).all(), "not the nearest"
    denormal = np.abs(x) < 2.0**-126
    assert (np.mod(y[~denormal], gap[~denormal]) == 0).all(), "more than 12 significant bits"


def test_the_formats_are_those_of_ieee_and_brain_float():
    assert (FP16.largest, FP16.gap) == (float(np.finfo(np.float16).max), float(np.finfo(np.float16).eps))
    assert (BF16.largest, BF16.gap) == (float(ml_dtypes.finfo("bfloat16").max), float(ml_dtypes.finfo("bfloat16").eps))
    assert [ir.DataType(form.onnx).name for form in FORMATS.values()] == ["FLOAT16", "BFLOAT16"]
