"""Normalisations."""

from __future__ import annotations

import math

from zoo.mindspore.code import Code
from zoo.mindspore.registry import Call, Default, Operand, translates


@translates("LayerNormalization")
def layer_norm(c: Call, x: Operand, scale: Operand, bias: Operand | None = None) -> Code:
    """``nn.LayerNorm`` over the last axes."""
    if len(c.node.outputs) > 1 and any(output.uses() for output in c.node.outputs[1:]):
        raise NotImplementedError("its mean and deviation are used")
    axis, epsilon = c.attribute("axis", -1) % len(x.shape), c.attribute("epsilon", 1e-5)
    shape = tuple(x.shape[axis:])
    if bias is None or not (scale.is_weight and bias.is_weight) or None in shape or scale.shape != list(shape):
        return c.function(
            "layer_norm", x.tensor, scale.tensor, None if bias is None else bias.tensor, axis=axis, epsilon=epsilon
        )
    weights = {"gamma": scale, "beta": bias}
    start = axis - len(x.shape)
    return c.cell(
        "nn.LayerNorm", x, weights=weights, _normalized_shape=shape, begin_norm_axis=Default(start, -1),
        begin_params_axis=Default(start, -1), epsilon=Default(epsilon, 1e-7),
    )  # fmt: skip


@translates("RMSNormalization")
def rms_norm(c: Call, x: Operand, scale: Operand) -> Code:
    """``x / sqrt(mean(x ** 2) + epsilon) * scale`` over the last axes."""
    axis, epsilon = c.attribute("axis", -1) % len(x.shape) - len(x.shape), Default(c.attribute("epsilon", 1e-5), 1e-6)
    if scale.is_weight and axis == -1 and len(scale.shape) == 1:
        return c.cell("RMSNorm", x, weights={"weight": scale}, _size=scale.shape[0], epsilon=epsilon)
    return c.function("rms_norm", x.tensor, scale.tensor, epsilon=epsilon, axis=Default(axis, -1))


@translates("BatchNormalization")
def batch_norm(c: Call, x: Operand, scale: Operand, bias: Operand, mean: Operand, variance: Operand) -> Code:
    """``nn.BatchNorm2d`` of pictures, a formula for other ranks."""
    if c.attribute("training_mode", 0):
        raise NotImplementedError("statistics of the batch itself, in training mode")
    epsilon = c.attribute("epsilon", 1e-5)
    operands = (scale, bias, mean, variance)
    kinds = {2: "nn.BatchNorm1d", 4: "nn.BatchNorm2d", 5: "nn.BatchNorm3d"}
    if not all(item.is_weight for item in operands) or len(x.shape) not in kinds:
        return c.function("batch_norm", x.tensor, *(item.tensor for item in operands), epsilon=epsilon)
    weights = dict(zip(("gamma", "beta", "moving_mean", "moving_variance"), operands, strict=True))
    return c.cell(kinds[len(x.shape)], x, weights=weights, _num_features=scale.shape[0], eps=Default(epsilon, 1e-5))


@translates("InstanceNormalization")
def instance_norm(c: Call, x: Operand, scale: Operand, bias: Operand) -> Code:
    """Each channel of each sample by its own mean and variance."""
    return c.function("instance_norm", x.tensor, scale.tensor, bias.tensor, epsilon=c.attribute("epsilon", 1e-5))


@translates("GroupNormalization")
def group_norm(c: Call, x: Operand, scale: Operand, bias: Operand) -> Code:
    """``nn.GroupNorm`` of pictures, a formula for other ranks."""
    groups, epsilon = c.attribute("num_groups"), c.attribute("epsilon", 1e-5)
    if scale.is_weight and bias.is_weight and len(x.shape) == 4:
        return c.cell(
            "nn.GroupNorm", x, weights={"gamma": scale, "beta": bias}, _num_groups=groups,
            _num_channels=scale.shape[0], eps=Default(epsilon, 1e-5),
        )  # fmt: skip
    return c.function("group_norm", x.tensor, scale.tensor, bias.tensor, groups=groups, epsilon=epsilon)


@translates("LRN")
def lrn(c: Call, x: Operand) -> Code:
    """Local response normalisation over neighbouring channels."""
    size = c.attribute("size")
    return c.function(
        "local_response_norm", x.tensor, size=size, alpha=c.attribute("alpha", 1e-4), beta=c.attribute("beta", 0.75),
        bias=c.attribute("bias", 1.0), before=(size - 1) // 2, after=math.ceil((size - 1) / 2),
    )  # fmt: skip


@translates("MeanVarianceNormalization")
def mean_variance(c: Call, x: Operand) -> Code:
    """Zero mean and unit variance over axes."""
    return c.function("standardize", x.tensor, axes=tuple(c.attribute("axes", (0, 2, 3))))


@translates("LpNormalization")
def lp_norm(c: Call, x: Operand) -> str:
    """Each vector by its norm."""
    axis, p = c.attribute("axis", -1), c.attribute("p", 2)
    norm = (
        f"ops.sqrt(ops.sum(ops.square({x.tensor}), {axis}, keepdim=True))"
        if p == 2
        else (f"ops.sum(ops.abs({x.tensor}), {axis}, keepdim=True)")
    )
    return f"{x.tensor.atom} / {norm}"
