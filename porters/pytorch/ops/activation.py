"""Activations: one ONNX operator each wherever ONNX has it."""

from __future__ import annotations

import onnx_ir as ir

from porters.pytorch.ops.arithmetic import clamped
from porters.pytorch.ops.shared import at_least_vector, cast, is_float, known
from porters.pytorch.registry import Context, translates


@translates("aten.relu")
def relu(c: Context, x: ir.Value) -> ir.Value:
    """Relu; of integers, which runtimes do not take there, Max."""
    return c.op("Relu", x) if is_float(x) else clamped(c, x, 0, None)


@translates("aten.relu6")
def relu6(c: Context, x: ir.Value) -> ir.Value:
    """Clip to [0, 6]."""
    return c.op("Clip", x, c.scalar(0, c.dtype), c.scalar(6, c.dtype))


@translates("aten.hardtanh")
def hardtanh(c: Context, x: ir.Value, low: float = -1.0, high: float = 1.0) -> ir.Value:
    """Clip to [low, high]; relu6 is this with 0 and 6."""
    return c.op("Clip", x, c.scalar(low, c.dtype), c.scalar(high, c.dtype))


@translates("aten.gelu")
def gelu(c: Context, x: ir.Value, *, approximate: str = "none") -> ir.Value:
    """Gelu, exact or tanh."""
    return c.op("Gelu", x, approximate=approximate)


@translates("aten.silu")
def silu(c: Context, x: ir.Value) -> ir.Value:
    """X * sigmoid(x): ONNX's own Swish needs opset 24."""
    return c.op("Mul", x, c.op("Sigmoid", x))


@translates("aten.hardswish")
def hardswish(c: Context, x: ir.Value) -> ir.Value:
    """HardSwish."""
    return c.op("HardSwish", x)


@translates("aten.hardsigmoid")
def hardsigmoid(c: Context, x: ir.Value) -> ir.Value:
    """HardSigmoid with slope 1/6, torch's."""
    return c.op("HardSigmoid", x, alpha=1.0 / 6.0, beta=0.5)


@translates("aten.mish")
def mish(c: Context, x: ir.Value) -> ir.Value:
    """Mish."""
    return c.op("Mish", x)


@translates("aten.leaky_relu")
def leaky_relu(c: Context, x: ir.Value, slope: float = 0.01) -> ir.Value:
    """LeakyRelu."""
    return c.op("LeakyRelu", x, alpha=float(slope))


@translates("aten.rrelu")
def rrelu(
    c: Context, x: ir.Value, lower: float = 0.125, upper: float = 1 / 3, training: bool = False, _: None = None
) -> ir.Value:
    """LeakyRelu with the middle of the range; random in training."""
    if training:
        raise NotImplementedError("rrelu in training mode: call .eval() on the model")
    return c.op("LeakyRelu", x, alpha=float(lower + upper) / 2)


@translates("aten.elu")
def elu(c: Context, x: ir.Value, alpha: float = 1.0, scale: float = 1.0, input_scale: float = 1.0) -> ir.Value:
    """Elu; torch's input scale belongs to the negative side alone."""
    if input_scale != 1:
        raise NotImplementedError("elu with an input scale")
    result = c.op("Elu", x, alpha=float(alpha))
    return result if scale == 1 else c.op("Mul", result, scale)


@translates("aten.celu")
def celu(c: Context, x: ir.Value, alpha: float = 1.0) -> ir.Value:
    """Celu."""
    return c.op("Celu", x, alpha=float(alpha))


@translates("aten.selu")
def selu(c: Context, x: ir.Value) -> ir.Value:
    """Selu."""
    return c.op("Selu", x)


@translates("aten.softplus")
def softplus(c: Context, x: ir.Value, beta: float = 1.0, threshold: float = 20.0) -> ir.Value:
    """log(1 + exp(beta x)) / beta, linear above the threshold as in torch."""
    scaled = x if beta == 1 else c.op("Mul", x, beta)
    soft = c.op("Softplus", scaled)
    if beta != 1:
        soft = c.op("Div", soft, beta)
    return c.op("Where", c.op("Greater", scaled, threshold), x, soft)


@translates("aten.softshrink")
def softshrink(c: Context, x: ir.Value, threshold: float = 0.5) -> ir.Value:
    """Shrink towards zero by the threshold."""
    return c.op("Shrink", x, lambd=float(threshold), bias=float(threshold))


@translates("aten.hardshrink")
def hardshrink(c: Context, x: ir.Value, threshold: float = 0.5) -> ir.Value:
    """Zero between the thresholds."""
    return c.op("Shrink", x, lambd=float(threshold), bias=0.0)


@translates("aten.threshold")
def threshold_(c: Context, x: ir.Value, threshold: float, value: float) -> ir.Value:
    """``value`` where x is not above the threshold."""
    return c.op("Where", c.op("Greater", x, threshold), x, c.scalar(value, c.dtype))


@translates("aten.prelu", "aten._prelu_kernel")
def prelu(c: Context, x: ir.Value, weight: ir.Value) -> ir.Value:
    """PRelu; the slope belongs to axis 1."""
    count = c.sizes_of(weight)[0] if c.rank(weight) == 1 else 1
    if c.rank(x) > 2 and c.rank(weight) == 1 and count != 1:
        weight = c.op("Reshape", weight, c.vector([count, *[1] * (c.rank(x) - 2)]))
    data = at_least_vector(c, x)
    return c.reshape(known(c, c.op("PRelu", data, weight), c.sizes_of(data)), c.sizes_of(x))


@translates("aten.glu")
def glu(c: Context, x: ir.Value, axis: int = -1) -> ir.Value:
    """First half * sigmoid(second half)."""
    first, second = c.ops("Split", x, outputs=2, axis=c.axis(x, axis), num_outputs=2)
    return c.op("Mul", first, c.op("Sigmoid", second))


@translates("aten.softmax", "aten._softmax")
def softmax(c: Context, x: ir.Value, axis: int, *_: object, **__: object) -> ir.Value:
    """Softmax, in the dtype asked for."""
    return _along(c, "Softmax", x, axis)


@translates("aten.log_softmax", "aten._log_softmax")
def log_softmax(c: Context, x: ir.Value, axis: int, *_: object, **__: object) -> ir.Value:
    """LogSoftmax, in the dtype asked for."""
    return _along(c, "LogSoftmax", x, axis)


def _along(c: Context, op_type: str, x: ir.Value, axis: int) -> ir.Value:
    data = at_least_vector(c, cast(c, x, c.dtype))
    result = known(c, c.op(op_type, data, axis=c.axis(x, axis)), c.sizes_of(data))
    return c.reshape(result, c.shape)


@translates("aten.log_sigmoid")
def log_sigmoid(c: Context, x: ir.Value) -> ir.Value:
    """-softplus(-x)."""
    return c.op("Neg", c.op("Softplus", c.op("Neg", x)))


@translates("aten.log_sigmoid_forward")
def log_sigmoid_forward(c: Context, x: ir.Value) -> tuple[ir.Value]:
    """-softplus(-x); the buffer that only training reads is not translated."""
    return (c.op("Neg", c.op("Softplus", c.op("Neg", x))),)
