"""Neural-network layers: convolution, linear, normalisation, pooling, activations, embedding, resizing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from porters.pytorch import dtypes
from porters.pytorch.registry import Context, Dim, translates


def pairs(value: Any, rank: int) -> list[int]:
    """Return ``value`` once for each spatial axis."""
    items = [value] * rank if isinstance(value, int) else list(value)
    return items * rank if len(items) == 1 else items


def _spatial(c: Context, x: ir.Value) -> int:
    return c.rank(x) - 2


# -- convolution --------------------------------------------------------------------------------------------------


@translates("aten.conv1d", "aten.conv2d", "aten.conv3d")
def conv(
    c: Context,
    x: ir.Value,
    weight: ir.Value,
    bias: ir.Value | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> ir.Value:
    """Conv; padding may be ``valid`` or ``same`` (torch puts the odd pixel at the end)."""
    spatial = c.rank(weight) - 2
    batched = c.rank(x) == spatial + 2
    steps, spread = pairs(stride, spatial), pairs(dilation, spatial)
    pads = _conv_pads(c, weight, padding, spread)
    data = x if batched else c.op("Unsqueeze", x, [0])
    kernel = [int(size) for size in c.sizes_of(weight)[2:] if isinstance(size, int)]
    result = c.op(
        "Conv", data, weight, bias, strides=steps, pads=pads, dilations=spread, group=groups, kernel_shape=kernel
    )
    return result if batched else c.op("Squeeze", result, [0])


def _conv_pads(c: Context, weight: ir.Value, padding: Any, dilation: Sequence[int]) -> list[int]:
    spatial = len(dilation)
    if padding == "valid":
        return [0] * (2 * spatial)
    if padding == "same":
        kernel = c.sizes_of(weight)[2:]
        total = [step * (int(size) - 1) for step, size in zip(dilation, kernel, strict=True) if isinstance(size, int)]
        return [extent // 2 for extent in total] + [extent - extent // 2 for extent in total]
    return pairs(padding, spatial) * 2


@translates("aten.convolution", "aten._convolution")
def convolution(
    c: Context,
    x: ir.Value,
    weight: ir.Value,
    bias: ir.Value | None,
    stride: Any,
    padding: Any,
    dilation: Any,
    transposed: bool,
    output_padding: Any,
    groups: int,
    *_: Any,
) -> ir.Value:
    """The general form; transposed or not."""
    if transposed:
        return conv_transpose(c, x, weight, bias, stride, padding, output_padding, groups, dilation)
    return conv(c, x, weight, bias, stride, padding, dilation, groups)


@translates("aten.conv_transpose1d", "aten.conv_transpose2d", "aten.conv_transpose3d")
def conv_transpose(
    c: Context,
    x: ir.Value,
    weight: ir.Value,
    bias: ir.Value | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> ir.Value:
    """ConvTranspose."""
    spatial = c.rank(weight) - 2
    batched = c.rank(x) == spatial + 2
    data = x if batched else c.op("Unsqueeze", x, [0])
    result = c.op(
        "ConvTranspose",
        data,
        weight,
        bias,
        strides=pairs(stride, spatial),
        pads=pairs(padding, spatial) * 2,
        output_padding=pairs(output_padding, spatial),
        dilations=pairs(dilation, spatial),
        group=groups,
    )
    return result if batched else c.op("Squeeze", result, [0])


# -- linear -------------------------------------------------------------------------------------------------------


@translates("aten.linear")
def linear(c: Context, x: ir.Value, weight: ir.Value, bias: ir.Value | None = None) -> ir.Value:
    """Gemm on matrices; MatMul with the weight transposed on more axes (the weight itself stays as upstream has it)."""
    if c.rank(x) == 2 and c.rank(weight) == 2:
        return c.op("Gemm", x, weight, bias, transB=1)
    turned = transposed(c, weight) if c.rank(weight) == 2 else weight
    product = c.op("MatMul", x, turned)
    return product if bias is None else c.op("Add", product, bias)


def transposed(c: Context, matrix: ir.Value) -> ir.Value:
    """Return ``matrix`` transposed; once for each matrix, however often it is used."""
    known: dict[int, ir.Value] = c.symbols.__dict__.setdefault("transposed", {})
    if id(matrix) not in known:
        known[id(matrix)] = c.op("Transpose", matrix, perm=[1, 0])
        c.symbols.remember(known[id(matrix)], c.sizes_of(matrix)[::-1])
    return known[id(matrix)]


@translates("aten.addmm")
def addmm(c: Context, bias: ir.Value, a: ir.Value, b: ir.Value, *, beta: float = 1, alpha: float = 1) -> ir.Value:
    """Gemm."""
    return c.op("Gemm", a, b, bias, alpha=float(alpha), beta=float(beta))


@translates("aten.matmul", "aten.mm", "aten.bmm", "aten.mv", "aten.dot", "aten.__matmul__")
def matmul(c: Context, a: ir.Value, b: ir.Value) -> ir.Value:
    """MatMul, NumPy's rules."""
    return c.op("MatMul", a, b)


@translates("aten.baddbmm")
def baddbmm(c: Context, x: ir.Value, a: ir.Value, b: ir.Value, *, beta: float = 1, alpha: float = 1) -> ir.Value:
    """Beta * x + alpha * (a @ b)."""
    product = c.op("MatMul", a, b)
    if alpha != 1:
        product = c.op("Mul", product, alpha)
    if beta == 0:
        return product
    return c.op("Add", x if beta == 1 else c.op("Mul", x, beta), product)


@translates("aten.einsum")
def einsum(c: Context, equation: str, operands: Sequence[ir.Value], **_: Any) -> ir.Value:
    """Einsum."""
    return c.op("Einsum", *operands, equation=equation)


@translates("aten.embedding")
def embedding(c: Context, weight: ir.Value, indices: ir.Value, *_: Any) -> ir.Value:
    """Gather on the first axis."""
    return c.op("Gather", weight, indices, axis=0)


# -- normalisation ------------------------------------------------------------------------------------------------


@translates("aten.batch_norm", "aten._native_batch_norm_legit_no_training")
def batch_norm(
    c: Context,
    x: ir.Value,
    weight: ir.Value | None,
    bias: ir.Value | None,
    mean: ir.Value | None,
    var: ir.Value | None,
    training: Any = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
    *_: Any,
) -> ir.Value:
    """BatchNormalization with running statistics."""
    if training is True or mean is None or var is None:
        raise NotImplementedError("batch norm on the batch's own statistics: call .eval() on the model")
    if not isinstance(training, bool):  # the native form has no such argument
        momentum, eps = training, momentum
    channels = c.sizes_of(mean)[0]
    one, zero = (np.full([channels], value, np.float32) for value in (1, 0))
    scale = weight if weight is not None else c.const(one, mean.dtype)
    shift = bias if bias is not None else c.const(zero, mean.dtype)
    return c.op("BatchNormalization", x, scale, shift, mean, var, epsilon=float(eps))


@translates("aten.layer_norm", "aten.native_layer_norm")
def layer_norm(
    c: Context,
    x: ir.Value,
    shape: Sequence[int],
    weight: ir.Value | None = None,
    bias: ir.Value | None = None,
    eps: float = 1e-5,
    *_: Any,
) -> ir.Value:
    """LayerNormalization over the last axes."""
    scale = weight if weight is not None else c.const(np.ones([int(s) for s in shape]), x.dtype)
    return c.op("LayerNormalization", x, scale, bias, axis=-len(shape), epsilon=float(eps))


@translates("aten.rms_norm", "aten._fused_rms_norm")
def rms_norm(
    c: Context, x: ir.Value, shape: Sequence[int], weight: ir.Value | None = None, eps: float | None = None
) -> ir.Value:
    """RMSNormalization over the last axes; torch's default epsilon is that of the dtype."""
    import torch

    assert x.dtype is not None
    scale = weight if weight is not None else c.const(np.ones([int(s) for s in shape]), x.dtype)
    small = torch.finfo(dtypes.to_torch(x.dtype)).eps if eps is None else eps
    return c.op("RMSNormalization", x, scale, axis=-len(shape), epsilon=float(small))


@translates("aten.group_norm")
def group_norm(
    c: Context,
    x: ir.Value,
    groups: int,
    weight: ir.Value | None = None,
    bias: ir.Value | None = None,
    eps: float = 1e-5,
    *_: Any,
) -> ir.Value:
    """GroupNormalization, scale and bias per channel."""
    channels = c.sizes_of(x)[1]
    scale = weight if weight is not None else c.const(np.ones([int(channels)]), x.dtype)  # type: ignore[arg-type]
    shift = bias if bias is not None else c.const(np.zeros([int(channels)]), x.dtype)  # type: ignore[arg-type]
    return c.op("GroupNormalization", x, scale, shift, num_groups=groups, epsilon=float(eps))


@translates("aten.instance_norm")
def instance_norm(
    c: Context,
    x: ir.Value,
    weight: ir.Value | None,
    bias: ir.Value | None,
    mean: ir.Value | None,
    var: ir.Value | None,
    use_input_stats: bool,
    momentum: float,
    eps: float,
    *_: Any,
) -> ir.Value:
    """InstanceNormalization on the input's own statistics, BatchNormalization on the running ones."""
    if not use_input_stats:
        return batch_norm(c, x, weight, bias, mean, var, False, momentum, eps)
    channels = c.sizes_of(x)[1]
    scale = weight if weight is not None else c.const(np.ones([int(channels)]), x.dtype)  # type: ignore[arg-type]
    shift = bias if bias is not None else c.const(np.zeros([int(channels)]), x.dtype)  # type: ignore[arg-type]
    return c.op("InstanceNormalization", x, scale, shift, epsilon=float(eps))


# -- activations --------------------------------------------------------------------------------------------------


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


@translates("aten.elu")
def elu(c: Context, x: ir.Value, alpha: float = 1.0, scale: float = 1.0, input_scale: float = 1.0) -> ir.Value:
    """Elu."""
    inner = x if input_scale == 1 else c.op("Mul", x, input_scale)
    result = c.op("Elu", inner, alpha=float(alpha))
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


@translates("aten.prelu")
def prelu(c: Context, x: ir.Value, weight: ir.Value) -> ir.Value:
    """PRelu; the slope belongs to axis 1."""
    count = c.sizes_of(weight)[0] if c.rank(weight) else 1
    if c.rank(x) > 2 and count != 1:
        weight = c.op("Reshape", weight, [count, *[1] * (c.rank(x) - 2)])
    return c.op("PRelu", x, weight)


@translates("aten.glu")
def glu(c: Context, x: ir.Value, axis: int = -1) -> ir.Value:
    """First half * sigmoid(second half)."""
    first, second = c.ops("Split", x, outputs=2, axis=axis, num_outputs=2)
    return c.op("Mul", first, c.op("Sigmoid", second))


@translates("aten.softmax", "aten._softmax")
def softmax(c: Context, x: ir.Value, axis: int, *_: Any, **__: Any) -> ir.Value:
    """Softmax, in the dtype asked for."""
    return c.op("Softmax", c.cast(x, c.dtype), axis=axis)


@translates("aten.log_softmax", "aten._log_softmax")
def log_softmax(c: Context, x: ir.Value, axis: int, *_: Any, **__: Any) -> ir.Value:
    """LogSoftmax."""
    return c.op("LogSoftmax", c.cast(x, c.dtype), axis=axis)


@translates("aten.logsigmoid", "aten.log_sigmoid")
def log_sigmoid(c: Context, x: ir.Value) -> ir.Value:
    """-softplus(-x)."""
    return c.op("Neg", c.op("Softplus", c.op("Neg", x)))


# -- pooling ------------------------------------------------------------------------------------------------------


def _pooled(c: Context, x: ir.Value, spatial: int, op_type: str, **attributes: Any) -> ir.Value:
    batched = c.rank(x) == spatial + 2
    result = c.op(op_type, x if batched else c.op("Unsqueeze", x, [0]), **attributes)
    return result if batched else c.op("Squeeze", result, [0])


@translates("aten.max_pool1d", "aten.max_pool2d", "aten.max_pool3d")
def max_pool(
    c: Context,
    x: ir.Value,
    kernel: Any,
    stride: Any = (),
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
) -> ir.Value:
    """MaxPool; ONNX and torch differ in ceil mode only where the last window starts in the padding."""
    spatial = _pool_rank(c, x, kernel)
    size = pairs(kernel, spatial)
    steps = pairs(stride, spatial) if stride not in ((), [], None) else size
    return _pooled(
        c,
        x,
        spatial,
        "MaxPool",
        kernel_shape=size,
        strides=steps,
        pads=pairs(padding, spatial) * 2,
        dilations=pairs(dilation, spatial),
        ceil_mode=int(ceil_mode),
    )


def _pool_rank(c: Context, x: ir.Value, kernel: Any) -> int:
    return len(kernel) if isinstance(kernel, (list, tuple)) and len(kernel) > 1 else max(1, min(c.rank(x) - 2, 3))


@translates("aten.avg_pool1d", "aten.avg_pool2d", "aten.avg_pool3d")
def avg_pool(
    c: Context,
    x: ir.Value,
    kernel: Any,
    stride: Any = (),
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> ir.Value:
    """AveragePool; ``divisor_override`` is a product with the window's own size over the divisor."""
    spatial = _pool_rank(c, x, kernel)
    size = pairs(kernel, spatial)
    steps = pairs(stride, spatial) if stride not in ((), [], None) else size
    if divisor_override is not None and ceil_mode:
        raise NotImplementedError("avg_pool with both ceil_mode and divisor_override")
    result = _pooled(
        c,
        x,
        spatial,
        "AveragePool",
        kernel_shape=size,
        strides=steps,
        pads=pairs(padding, spatial) * 2,
        ceil_mode=int(ceil_mode),
        count_include_pad=int(count_include_pad or divisor_override is not None),
    )
    if divisor_override is None:
        return result
    return c.op("Mul", result, float(np.prod(size)) / divisor_override)


@translates("aten.adaptive_avg_pool1d", "aten.adaptive_avg_pool2d", "aten.adaptive_avg_pool3d",
            "aten._adaptive_avg_pool2d")  # fmt: skip
def adaptive_avg_pool(c: Context, x: ir.Value, output: Any) -> ir.Value:
    """GlobalAveragePool for size one; AveragePool where the input is a multiple; else one mean per window."""
    return _adaptive(c, x, list(output), "AveragePool", "GlobalAveragePool", "ReduceMean")


@translates("aten.adaptive_max_pool1d", "aten.adaptive_max_pool2d", "aten.adaptive_max_pool3d")
def adaptive_max_pool(c: Context, x: ir.Value, output: Any) -> tuple[ir.Value, ...]:
    """As adaptive_avg_pool, with maxima; the indices are not translated."""
    return (_adaptive(c, x, pairs(output, len(output)), "MaxPool", "GlobalMaxPool", "ReduceMax"),)


def _adaptive(c: Context, x: ir.Value, output: Any, pool: str, whole: str, reduce: str) -> ir.Value:
    spatial = len(output)
    sizes = c.sizes_of(x)[-spatial:]
    wanted = [have if want is None else want for want, have in zip(output, sizes, strict=True)]
    if wanted == sizes:
        return x
    if all(size == 1 for size in wanted):
        return _pooled(c, x, spatial, whole)
    if any(isinstance(size, Dim) for size in [*sizes, *wanted]):
        raise NotImplementedError("adaptive pooling of a symbolic extent")
    if all(have % want == 0 for have, want in zip(sizes, wanted, strict=True)):  # type: ignore[operator]
        kernel = [have // want for have, want in zip(sizes, wanted, strict=True)]  # type: ignore[operator]
        return _pooled(c, x, spatial, pool, kernel_shape=kernel, strides=kernel)
    result = x
    for offset, (have, want) in enumerate(zip(sizes, wanted, strict=True)):
        result = _adaptive_axis(c, result, c.rank(x) - spatial + offset, int(have), int(want), reduce)  # type: ignore[arg-type]
    return result


def _adaptive_axis(c: Context, x: ir.Value, axis: int, have: int, want: int, reduce: str) -> ir.Value:
    # Window i covers floor(i * have / want) to ceil((i + 1) * have / want): torch's definition.
    if have == want:
        return x
    windows = [
        c.op(
            reduce,
            c.op("Slice", x, [i * have // want], [-(-(i + 1) * have // want)], [axis]),
            [axis],
            keepdims=1,
        )
        for i in range(want)
    ]
    return c.op("Concat", *windows, axis=axis)


# -- resizing -----------------------------------------------------------------------------------------------------


@translates("aten.upsample_nearest1d", "aten.upsample_nearest2d", "aten.upsample_nearest3d")
def upsample_nearest(c: Context, x: ir.Value, *_: Any, **__: Any) -> ir.Value:
    """Resize, nearest, asymmetric floor: torch's ``nearest``."""
    return _resize(c, x, "nearest", "asymmetric", nearest_mode="floor")


@translates("aten._upsample_nearest_exact1d", "aten._upsample_nearest_exact2d", "aten._upsample_nearest_exact3d")
def upsample_nearest_exact(c: Context, x: ir.Value, *_: Any, **__: Any) -> ir.Value:
    """Resize, nearest, half pixel: torch's ``nearest-exact``."""
    return _resize(c, x, "nearest", "half_pixel", nearest_mode="round_prefer_ceil")


@translates("aten.upsample_linear1d", "aten.upsample_bilinear2d", "aten.upsample_trilinear3d",
            "aten._upsample_bilinear2d_aa")  # fmt: skip
def upsample_linear(c: Context, x: ir.Value, size: Any, align_corners: bool, *_: Any, **__: Any) -> ir.Value:
    """Resize, linear."""
    return _resize(c, x, "linear", "align_corners" if align_corners else "half_pixel")


@translates("aten.upsample_bicubic2d")
def upsample_bicubic(c: Context, x: ir.Value, size: Any, align_corners: bool, *_: Any, **__: Any) -> ir.Value:
    """Resize, cubic with torch's coefficient -0.75."""
    return _resize(c, x, "cubic", "align_corners" if align_corners else "half_pixel", cubic_coeff_a=-0.75)


def _resize(c: Context, x: ir.Value, mode: str, coordinates: str, **attributes: Any) -> ir.Value:
    # Sizes and not scales: torch derives the ratio from the sizes too, unless recompute_scale_factor is off.
    spatial = c.shape[2:]
    axes = list(range(2, 2 + len(spatial)))
    return c.op(
        "Resize",
        x,
        None,
        None,
        c.vector(spatial),
        mode=mode,
        coordinate_transformation_mode=coordinates,
        axes=axes,
        **attributes,
    )


@translates("aten.pixel_shuffle")
def pixel_shuffle(c: Context, x: ir.Value, factor: int) -> ir.Value:
    """DepthToSpace, column-row-depth order."""
    return c.op("DepthToSpace", x, blocksize=factor, mode="CRD")


@translates("aten.channel_shuffle")
def channel_shuffle(c: Context, x: ir.Value, groups: int) -> ir.Value:
    """Reshape, transpose, reshape."""
    sizes = c.sizes_of(x)
    split = c.op("Reshape", x, c.vector([0, groups, -1, *sizes[2:]]))
    order = [0, 2, 1, *range(3, len(sizes) + 1)]
    turned = c.op("Transpose", split, perm=order)
    return c.op("Reshape", turned, c.vector([0, -1, *sizes[2:]]))
