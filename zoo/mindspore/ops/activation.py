"""Activations: a function in an expression, a Cell in a SequentialCell."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from zoo.mindspore.code import Code, literal
from zoo.mindspore.registry import Call, Operand, translates


def _either(function: str, cell: str) -> Callable[[Call, Operand], Code | str]:
    return lambda c, x: c.cell(cell, x) if c.in_sequence else f"{function}({x.tensor})"


for _op_type, _function, _cell in (
    ("Relu", "ops.relu", "nn.ReLU"),
    ("Silu", "ops.silu", "nn.SiLU"),
    ("HardSwish", "ops.hardswish", "nn.HSwish"),
    ("Mish", "ops.mish", "nn.Mish"),
):
    translates(_op_type)(_either(_function, _cell))


@translates("Softplus")
def softplus(c: Call, x: Operand) -> str:
    """log(1 + exp(x)) as max(x, 0) + log1p(exp(-|x|)), which does not overflow."""
    return str(c.function("softplus", x.tensor))


@translates("Gelu")
def gelu(c: Call, x: Operand) -> Code | str:
    """GELU by erf, or by tanh."""
    approximate = c.attribute("approximate", "none") == "tanh"
    if c.in_sequence:
        return c.cell("nn.GELU", x, approximate=approximate)
    return f'ops.gelu({x.tensor}, approximate="tanh")' if approximate else f"ops.gelu({x.tensor})"


@translates("Swish")
def swish(c: Call, x: Operand) -> str:
    """``x * sigmoid(alpha * x)``."""
    alpha = c.attribute("alpha", 1.0)
    if alpha == 1.0:
        return f"ops.silu({x.tensor})"
    return f"{x.tensor.atom} * ops.sigmoid({_float(alpha)} * {x.tensor.atom})"


@translates("HardSigmoid")
def hard_sigmoid(c: Call, x: Operand) -> str:
    """``clamp(alpha * x + beta, 0, 1)``."""
    alpha, beta = _float(c.attribute("alpha", 0.2)), _float(c.attribute("beta", 0.5))
    return f"ops.clamp({x.tensor.atom} * {alpha} + {beta}, 0.0, 1.0)"


@translates("LeakyRelu")
def leaky_relu(c: Call, x: Operand) -> Code | str:
    """Leaky ReLU."""
    alpha = _float(c.attribute("alpha", 0.01))
    return (
        c.cell("nn.LeakyReLU", x, alpha=c.attribute("alpha", 0.01))
        if c.in_sequence
        else f"ops.leaky_relu({x.tensor}, {alpha})"
    )


@translates("Elu")
def elu(c: Call, x: Operand) -> str:
    """ELU; MindSpore's own takes no alpha but 1."""
    alpha = c.attribute("alpha", 1.0)
    return f"ops.elu({x.tensor})" if alpha == 1.0 else str(c.function("elu", x.tensor, alpha=_float(alpha)))


@translates("Selu")
def selu(c: Call, x: Operand) -> str:
    """SELU with the constants of its authors."""
    alpha, gamma = c.attribute("alpha", 1.67326319), c.attribute("gamma", 1.05070102)
    if abs(alpha - 1.67326324) > 1e-6 or abs(gamma - 1.05070098) > 1e-6:
        return f"{_float(gamma)} * {c.function('elu', x.tensor, alpha=_float(alpha))}"
    return f"ops.selu({x.tensor})"


@translates("Celu")
def celu(c: Call, x: Operand) -> str:
    """CELU."""
    return f"ops.celu({x.tensor}, {_float(c.attribute('alpha', 1.0))})"


@translates("ThresholdedRelu")
def thresholded_relu(c: Call, x: Operand) -> str:
    """What is not above the threshold is 0."""
    alpha = _float(c.attribute("alpha", 1.0))
    return f"ops.where({x.tensor.atom} > {alpha}, {x.tensor}, 0.0)"


@translates("Shrink")
def shrink(c: Call, x: Operand) -> str:
    """Shrinkage, hard or soft."""
    bias, limit = _float(c.attribute("bias", 0.0)), _float(c.attribute("lambd", 0.5))
    return str(c.function("shrink", x.tensor, limit=limit, bias=bias))


@translates("PRelu")
def prelu(c: Call, x: Operand, slope: Operand) -> str:
    """``where(x >= 0, x, slope * x)``: MindSpore's own takes one slope for each channel alone."""
    return f"ops.where({x.tensor.atom} >= 0, {x.tensor}, {x.tensor.atom} * {slope.tensor.atom})"


@translates("Softmax")
def softmax(c: Call, x: Operand) -> Code | str:
    """Softmax along an axis."""
    axis = c.attribute("axis", -1)
    return c.cell("nn.Softmax", x, axis=axis) if c.in_sequence else f"ops.softmax({x.tensor}, axis={axis})"


@translates("LogSoftmax")
def log_softmax(c: Call, x: Operand) -> str:
    """The logarithm of softmax."""
    return f"ops.log_softmax({x.tensor}, axis={c.attribute('axis', -1)})"


def _float(value: float) -> str:
    return literal(np.float32(value))
