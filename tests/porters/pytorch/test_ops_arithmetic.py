"""Arithmetic, logic and unary functions: values, dtype promotion, rounding of negatives."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch

FLOATS = {
    "add": lambda x, y: x + y,
    "add_alpha": lambda x, y: torch.add(x, y, alpha=3),
    "add_zero": lambda x, y: x + 0,
    "sub_alpha": lambda x, y: torch.sub(x, y, alpha=0.5),
    "rsub": lambda x, y: torch.rsub(x, y, alpha=2),
    "rsub_number": lambda x, y: 1.5 - x,
    "mul": lambda x, y: x * y,
    "div": lambda x, y: x / y,
    "div_trunc": lambda x, y: torch.div(x, y, rounding_mode="trunc"),
    "div_floor": lambda x, y: torch.div(x, y, rounding_mode="floor"),
    "div_floor_tenth": lambda x, y: torch.div(torch.round(x), 0.1, rounding_mode="floor"),
    "div_floor_half": lambda x, y: torch.div(x, -0.5, rounding_mode="floor"),
    "floor_divide": lambda x, y: x // y,
    "remainder": lambda x, y: x % y,
    "remainder_number": lambda x, y: x % -0.7,
    "fmod": torch.fmod,
    "pow_2": lambda x, y: x**2,
    "pow_3": lambda x, y: x**3,
    "pow_half": lambda x, y: x.abs() ** 0.5,
    "pow_minus_1": lambda x, y: x**-1,
    "pow_base": lambda x, y: 2.0**x,
    "pow_tensor": lambda x, y: x.abs() ** y,
    "float_power": lambda x, y: torch.float_power(x.abs(), 1.5).float(),
    "addcmul": lambda x, y: torch.addcmul(x, x, y, value=0.3),
    "addcdiv": lambda x, y: torch.addcdiv(x, x, y, value=-2),
    "lerp": lambda x, y: torch.lerp(x, y, 0.7),
    "lerp_tensor": lambda x, y: torch.lerp(x, y, y),
    "hypot": lambda x, y: torch.hypot(x * 1e20, y * 1e20),
    "atan2": torch.atan2,
    "copysign": torch.copysign,
    "copysign_number": lambda x, y: torch.copysign(x, -0.0),
    "minimum": torch.minimum,
    "fmax": lambda x, y: torch.fmax(torch.where(x > 1, torch.nan, x), torch.where(y > 1, torch.nan, y)),
    "fmin": lambda x, y: torch.fmin(torch.where(x > 1, torch.nan, x), y),
    "clamp": lambda x, y: x.clamp(-0.5, 0.7),
    "clamp_min": lambda x, y: x.clamp(min=0.1),
    "clamp_crossed": lambda x, y: x.clamp(0.5, -0.5),
    "clamp_tensors": lambda x, y: x.clamp(y - 1, y + 1),
    "clamp_tensor": lambda x, y: torch.clamp(x, max=y),
    "clamp_max": lambda x, y: torch.clamp_max(x, 0.2),
    "ldexp": lambda x, y: torch.ldexp(x, torch.round(y)),
    "reciprocal": lambda x, y: x.reciprocal(),
    "rsqrt": lambda x, y: x.abs().rsqrt(),
    "logaddexp": torch.logaddexp,
    "xlogy": lambda x, y: torch.xlogy(x, y.abs()),
}  # fmt: skip

UNARY = {
    name: getattr(torch, name)
    for name in (
        "abs", "neg", "sign", "ceil", "floor", "round", "trunc", "frac", "exp", "exp2", "sin", "cos", "tan", "atan",
        "sinh", "cosh", "asinh", "tanh", "sigmoid", "erf", "erfc", "expm1", "square", "isnan", "isinf", "isfinite",
        "signbit", "isposinf", "isneginf", "angle", "deg2rad", "rad2deg", "sinc", "positive", "logical_not",
    )
}  # fmt: skip
UNARY |= {
    "log": lambda x: x.abs().log(),
    "log2": lambda x: x.abs().log2(),
    "log10": lambda x: x.abs().log10(),
    "log1p": lambda x: torch.log1p(x.abs()),
    "log1p_small": lambda x: torch.log1p(x * 1e-6),
    "expm1_small": lambda x: torch.expm1(x * 1e-6),
    "sqrt": lambda x: x.abs().sqrt(),
    "asin": lambda x: torch.asin(x.clamp(-1, 1)),
    "acos": lambda x: torch.acos(x.clamp(-1, 1)),
    "atanh": lambda x: torch.atanh(x.clamp(-0.9, 0.9)),
    "acosh": lambda x: torch.acosh(x.abs() + 1),
    "erfinv": lambda x: torch.erfinv(x.clamp(-0.9, 0.9)),
    "logit": lambda x: torch.logit(x.sigmoid()),
    "logit_eps": lambda x: torch.logit(x, 0.1),
    "round_2": lambda x: torch.round(x, decimals=2),
    "round_tens": lambda x: torch.round(x * 100, decimals=-1),
    "half_even": lambda x: torch.round(torch.floor(x * 4) / 2),
    "nan_to_num": lambda x: torch.nan_to_num(torch.where(x > 0, torch.nan, x), 0.25),
    "nan_to_num_inf": lambda x: torch.nan_to_num(x / torch.zeros_like(x), posinf=3.0, neginf=-2.0),
    "signbit_zero": lambda x: torch.signbit(x * 0.0),
    "log_tail": lambda x: torch.special.log1p(x.abs() * 1e20),
}  # fmt: skip

INTEGERS = {
    "add": lambda x, y: x + y,
    "sub_alpha": lambda x, y: torch.sub(x, y, alpha=2),
    "true_div": lambda x, y: x / y,
    "floor_divide": lambda x, y: x // y,
    "floor_number": lambda x, y: x // -3,
    "trunc": lambda x, y: torch.div(x, y, rounding_mode="trunc"),
    "remainder": lambda x, y: x % y,
    "remainder_number": lambda x, y: x % -4,
    "fmod": torch.fmod,
    "pow_2": lambda x, y: x**2,
    "pow_of_two": lambda x, y: 2**y,
    "pow_3": lambda x, y: x**3,
    "relu": lambda x, y: torch.relu(x),
    "linear": lambda x, y: torch.nn.functional.linear(x, y[:1]),
    "abs": lambda x, y: x.abs(),
    "neg": lambda x, y: -x,
    "sign": lambda x, y: x.sign(),
    "and": lambda x, y: x & y,
    "or": lambda x, y: x | 5,
    "xor": lambda x, y: x ^ y,
    "not": lambda x, y: ~x,
    "left_shift": lambda x, y: x << 2,
    "right_shift": lambda x, y: x >> 1,
    "clamp": lambda x, y: x.clamp(-2, 3),
    "maximum": torch.maximum,
    "sqrt": lambda x, y: x.abs().sqrt(),
    "exp": lambda x, y: x.exp(),
    "round": lambda x, y: x.round(),
    "plus_float": lambda x, y: x + 0.5,
    "times_true": lambda x, y: x * True,
    "compare_float": lambda x, y: x < 0.5,
    "mean": lambda x, y: x.float().mean(-1),
    "isnan": lambda x, y: torch.isnan(x),
    "int32": lambda x, y: x.int() * 3 + y.int(),
    "int32_plus_int64": lambda x, y: x.int() + y,
    "uint8_wraps": lambda x, y: x.to(torch.uint8) + 200,
    "int8_wraps": lambda x, y: x.to(torch.int8) * 50,
    "uint8_compare": lambda x, y: x.to(torch.uint8) > 3,
    "int16_floor": lambda x, y: x.to(torch.int16) // 2,
    "to_bool": lambda x, y: x.bool(),
    "where": lambda x, y: torch.where(x > y, x, 7),
    "where_float": lambda x, y: torch.where(x > y, x, 0.5),
    "ne": lambda x, y: x != y,
    "ge": lambda x, y: x >= 2,
    "gcd_free": lambda x, y: x * y - y,
}  # fmt: skip

BOOLEANS = {
    "and": lambda x, y: x & y,
    "or": lambda x, y: x | y,
    "xor": lambda x, y: x ^ y,
    "not": lambda x, y: ~x,
    "logical_and": torch.logical_and,
    "eq": lambda x, y: x == y,
    "lt": lambda x, y: x < y,
    "add": lambda x, y: x + y,
    "mul": lambda x, y: x * y,
    "plus_int": lambda x, y: x + 1,
    "plus_float": lambda x, y: x * 0.5,
    "minus_bool": lambda x, y: x.int() - y.long(),
    "sum": lambda x, y: x.sum(-1),
    "any": lambda x, y: x.any(-1),
    "all": lambda x, y: x.all(1, keepdim=True),
    "maximum": torch.maximum,
    "where": lambda x, y: torch.where(x, 1.0, -torch.inf),
    "masked_fill": lambda x, y: x.float().masked_fill(y, -1e9),
    "masked_fill_bool": lambda x, y: x.masked_fill(y, True),
    "where_bool": lambda x, y: torch.where(x, y, ~y),
    "where_int8": lambda x, y: torch.where(x, y.to(torch.int8), 3),
    "unique": lambda x, y: torch.unique(x),
    "cumsum": lambda x, y: x.cumsum(1),
    "argmax": lambda x, y: x.int().argmax(1),
}  # fmt: skip

PROMOTION = {
    "double_times_float": lambda x, i: x.double() * x,
    "int_times_float": lambda x, i: i * x,
    "scalar_tensor_keeps": lambda x, i: i + torch.tensor(2),
    "zero_dim_float": lambda x, i: x + torch.tensor(0.5, dtype=torch.float64),
    "zero_dim_float_int": lambda x, i: i * torch.tensor(0.5),
    "zero_dim_int": lambda x, i: x * torch.tensor(3),
    "compare_mixed": lambda x, i: x > i,
    "where_mixed": lambda x, i: torch.where(x > 0, x, i),
    "cat_mixed": lambda x, i: torch.cat([x, i], 1),
    "stack_mixed": lambda x, i: torch.stack([i, x.double()], 1),
    "item_of_input": lambda x, i: x * i.flatten()[0] + x.sum(),
    "half": lambda x, i: (x.half() + 1).float(),
    "pow_int_float": lambda x, i: i.abs() ** 0.5,
    "to_int": lambda x, i: (x * 10).to(torch.int64),
    "to_bool": lambda x, i: x.round().bool(),
    "true_divide_int": lambda x, i: i / 3,
    "sum_int32": lambda x, i: i.int().sum(-1),
    "mean_dtype": lambda x, i: i.mean(-1, dtype=torch.float32),
    "addcmul": lambda x, i: torch.addcmul(x, x, i.float()),
}  # fmt: skip


@pytest.mark.parametrize(
    ("table", "inputs"),
    [
        pytest.param(FLOATS, ("batch,4,6", "batch,4,6"), id="floats"),
        pytest.param({"add": FLOATS["add"], "rsub": FLOATS["rsub"]}, ("batch,4,6", "6"), id="broadcast"),
        pytest.param(UNARY, ("batch,5,7:f*2",), id="unary"),
        pytest.param(INTEGERS, ("batch,9:i-9..10", "batch,9:i1..6"), id="integers"),
        pytest.param({k: INTEGERS[k] for k in ("floor_divide", "trunc", "remainder", "fmod")},
                     ("batch,9:i-9..10", "batch,9:i-6..0"), id="negative-divisors"),
        pytest.param(BOOLEANS, ("batch,9:?", "batch,9:?"), id="booleans"),
        pytest.param(PROMOTION, ("batch,9", "batch,9:i-5..6"), id="promotion"),
    ],
)  # fmt: skip
def test_values(port_and_compare: Any, table: dict[str, Callable[..., Any]], inputs: tuple[str, ...]) -> None:
    port_and_compare(table, *inputs)


def test_atan2_quadrants_and_signed_zeros(port_and_compare: Any) -> None:
    points = torch.tensor([[0.0, 1], [-0.0, 1], [0, -1], [-0.0, -1], [1, 0], [-1, 0], [0, 0], [2, -3], [-2, -3]])
    port_and_compare({"angle": lambda x: torch.atan2(x * 0 + points[:, 0], x * 0 + points[:, 1])}, "batch,9")


def test_special_values_of_floor_division(port_and_compare: Any) -> None:
    values = torch.tensor([1.0, -1.0, 0.3, -0.3, 7.5, -7.5, 0.0])
    table = {}
    for index, divisor in enumerate((0.1, -0.1, 0.3, 3.0, -2.5)):
        table[f"floor_{index}"] = lambda x, d=divisor: torch.floor_divide(values.to(x.dtype) + x * 0, d)
        table[f"rest_{index}"] = lambda x, d=divisor: torch.remainder(values.to(x.dtype) + x * 0, d)
    port_and_compare(table, "batch,7")


def test_powers_and_casts_are_single_nodes(port_and_compare: Any) -> None:
    ported = port_and_compare({"root": lambda x: (x * x + 1) ** 0.5 * math.pi}, "batch,4")
    assert ported.ops == {"Mul": 2, "Add": 1, "Sqrt": 1}
