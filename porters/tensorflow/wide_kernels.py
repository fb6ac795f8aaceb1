"""Operations that TensorFlow computes in float32 only, by their definition in float64."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from porters.tensorflow.node import Node
from porters.tensorflow.window import Window

# In how many steps between two pixels TensorFlow tabulates the coefficients of its bicubic resize.
_STEPS = 1024


def _batch_norm(node: Node, x: Any, scale: Any, offset: Any, mean: Any, variance: Any) -> Any:
    import tensorflow as tf

    if node.attr("is_training"):
        raise NotImplementedError("a batch normalisation that is being trained")
    shape = [1] * x.shape.rank
    shape[-1 if Window.is_channels_last(node) else 1] = -1
    scale, offset, mean, variance = (tf.reshape(item, shape) for item in (scale, offset, mean, variance))
    return (x - mean) * (scale / tf.sqrt(variance + float(node.attr("epsilon")))) + offset


def _max_pool_3d(node: Node, x: Any) -> Any:
    import tensorflow as tf

    return _pool_3d(node, x, lambda value, **window: tf.raw_ops.MaxPool(input=value, **window))


def _avg_pool_3d(node: Node, x: Any) -> Any:
    import tensorflow as tf

    return _pool_3d(node, x, lambda value, **window: tf.raw_ops.AvgPool(value=value, **window))


def _pool_3d(node: Node, x: Any, pool: Callable[..., Any]) -> Any:
    """Pool over height and width, then over depth: what a window holds inside the image is a box."""
    import tensorflow as tf

    if not Window.is_channels_last(node):
        raise NotImplementedError("a pooling over three axes with the channels first")
    sizes, strides, padding = list(node.attr("ksize")), list(node.attr("strides")), node.attr("padding")
    batch, depth, height, width, channels = x.shape
    slices = tf.reshape(x, (batch * depth, height, width, channels))
    slices = pool(slices, ksize=[1, *sizes[2:]], strides=[1, *strides[2:]], padding=padding)
    height, width = slices.shape[1:3]
    columns = tf.reshape(slices, (batch, depth, height * width, channels))
    columns = pool(columns, ksize=[1, sizes[1], 1, 1], strides=[1, strides[1], 1, 1], padding=padding)
    return tf.reshape(columns, (batch, columns.shape[1], height, width, channels))


def _resize(node: Node, x: Any, size: Any) -> Any:
    """Interpolate along one spatial axis, then along the other."""
    import tensorflow as tf

    weights = _bilinear if node.op == "ResizeBilinear" else _bicubic
    height, width = size.numpy().tolist()
    align, half = bool(node.attr("align_corners")), bool(node.attr("half_pixel_centers"))
    rows = weights(*_positions(int(x.shape[1]), height, align=align, half=half), int(x.shape[1]), half=half)
    columns = weights(*_positions(int(x.shape[2]), width, align=align, half=half), int(x.shape[2]), half=half)
    return tf.einsum("ih,bhwc,jw->bijc", rows, tf.cast(x, tf.float64), columns)


def _resized_convolution(node: Node, x: Any, size: Any, paddings: Any, kernel: Any) -> Any:
    import tensorflow as tf

    height, width = size.numpy().tolist()
    align = bool(node.attr("resize_align_corners"))
    rows, columns = (
        _bilinear(*_positions(int(before), after, align=align, half=False), int(before), half=False)
        for before, after in zip(x.shape[1:3], (height, width), strict=True)
    )
    resized = tf.einsum("ih,bhwc,jw->bijc", rows, x, columns)
    padded = tf.raw_ops.MirrorPad(input=resized, paddings=paddings, mode=node.attr("mode"))
    return tf.raw_ops.Conv2D(input=padded, filter=kernel, strides=node.attr("strides"), padding=node.attr("padding"))


def _positions(before: int, after: int, *, align: bool, half: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return where in the image each pixel of the result lies: the pixel before it, and how far behind that."""
    scale = (before - 1) / (after - 1) if align and after > 1 else before / after
    places = (np.arange(after) + 0.5) * scale - 0.5 if half else np.arange(after) * scale
    first = np.floor(places)
    return first.astype(np.int64), places - first


def _bilinear(first: np.ndarray, beyond: np.ndarray, length: int, *, half: bool) -> np.ndarray:
    """Return the matrix, one row for each pixel of the result, that interpolates along an axis of ``length``."""
    matrix = np.zeros((len(first), length))
    rows = np.arange(len(first))
    for offset, weight in ((0, 1 - beyond), (1, beyond)):
        np.add.at(matrix, (rows, np.clip(first + offset, 0, length - 1)), weight)
    return matrix


def _bicubic(first: np.ndarray, beyond: np.ndarray, length: int, *, half: bool) -> np.ndarray:
    """Return the like of :func:`_bilinear` of a cubic; beyond the edge it reads nothing, or the edge as TF 1 did."""
    sharpness = -0.5 if half else -0.75
    matrix = np.zeros((len(first), length))
    rows, tabulated = np.arange(len(first)), np.rint(beyond * _STEPS) / _STEPS
    for offset in (-1, 0, 1, 2):
        weight = _cubic(np.abs(tabulated - offset), sharpness)
        inside = (first + offset >= 0) & (first + offset < length)
        np.add.at(matrix, (rows, np.clip(first + offset, 0, length - 1)), np.where(inside | (not half), weight, 0.0))
    return matrix / matrix.sum(1, keepdims=True) if half else matrix


def _cubic(distance: np.ndarray, a: float) -> np.ndarray:
    near = ((a + 2) * distance - (a + 3)) * distance**2 + 1
    far = ((a * distance - 5 * a) * distance + 8 * a) * distance - 4 * a
    return np.where(distance <= 1, near, np.where(distance < 2, far, 0.0))


def _adjust_hue(node: Node, images: Any, delta: Any) -> Any:
    import tensorflow as tf

    hue, saturation, value = tf.unstack(tf.raw_ops.RGBToHSV(images=images), axis=-1)
    return tf.raw_ops.HSVToRGB(images=tf.stack([tf.math.floormod(hue + delta, 1.0), saturation, value], axis=-1))


def _adjust_saturation(node: Node, images: Any, scale: Any) -> Any:
    import tensorflow as tf

    hue, saturation, value = tf.unstack(tf.raw_ops.RGBToHSV(images=images), axis=-1)
    scaled = tf.clip_by_value(saturation * scale, 0.0, 1.0)
    return tf.raw_ops.HSVToRGB(images=tf.stack([hue, scaled, value], axis=-1))


# What TensorFlow calls the operation -> its only result that has a meaning in inference, from float64 operands.
KERNELS: Mapping[str, Callable[..., Any]] = {
    **dict.fromkeys(("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"), _batch_norm),
    **dict.fromkeys(("ResizeBilinear", "ResizeBicubic"), _resize),
    "FusedResizeAndPadConv2D": _resized_convolution,
    "AdjustHue": _adjust_hue,
    "AdjustSaturation": _adjust_saturation,
    "MaxPool3D": _max_pool_3d,
    "AvgPool3D": _avg_pool_3d,
}
