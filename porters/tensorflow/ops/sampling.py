"""Images sampled anew: crops of boxes, projective maps, and resizes that are products with a matrix for each axis."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx_ir as ir

from porters.tensorflow.context import Context
from porters.tensorflow.dims import Shape, from_array
from porters.tensorflow.formula import Formula, formula, number, sizes
from porters.tensorflow.moves import static
from porters.tensorflow.node import Node
from porters.tensorflow.ops.shape import known
from porters.tensorflow.registry import Untranslatable, translates
from porters.tensorflow.tensor import Tensor, channels_first

FLOAT, LONG = ir.DataType.FLOAT, ir.DataType.INT64


# -- resizes by matrices -----------------------------------------------------------------------------------------------


def by_matrices(ctx: Context, x: Tensor, size: tuple[int, int], run: Callable[[Any, int], Any]) -> Tensor:
    """Return a resize that is linear and separable as two products.

    Args:
        ctx: Emits.
        x: Images [batch, height, width, channels] whose sizes are known.
        size: The new height and width.
        run: TensorFlow's resize of images one pixel wide along ``axis`` 0 (height) or 1 (width): of unit images it
            yields the weights.
    """
    matrices = [_weights(length, axis, run) for axis, length in enumerate(static(x.shape[1:3], "a resize"))]
    image = formula(ctx, x, channels_first(4), dtype=FLOAT)
    rows = number(ctx, matrices[0]).of("MatMul", image)
    found = rows.of("MatMul", np.ascontiguousarray(matrices[1].T))
    return found.held((x.shape[0], *size, x.shape[3]), channels_first(4))


def _weights(length: int, axis: int, run: Callable[[Any, int], Any]) -> np.ndarray:
    """Return the matrix [new length, length] of a resize along one axis."""
    import tensorflow as tf

    with tf.init_scope(), tf.device("/CPU:0"):
        unit = tf.eye(length, dtype=tf.float32)
        shape = (length, length, 1, 1) if axis == 0 else (length, 1, length, 1)
        found: np.ndarray = run(tf.reshape(unit, shape), axis).numpy()
    return np.ascontiguousarray(found.reshape(length, -1).T)


@translates("ResizeArea")
def resize_area(ctx: Context, node: Node, x: Tensor, size: Tensor) -> Tensor:
    """Translate a resize by the mean over the area of each new pixel."""
    import tensorflow as tf

    wanted = _size(size)

    def run(images: Any, axis: int) -> Any:
        one = [wanted[0], 1] if axis == 0 else [1, wanted[1]]
        return tf.raw_ops.ResizeArea(images=images, size=one, align_corners=node.attr("align_corners"))

    return by_matrices(ctx, x, wanted, run)


def tabulated_bicubic(ctx: Context, node: Node, x: Tensor, size: Tensor) -> Tensor:
    """Translate a bicubic resize whose coefficients are those of TensorFlow's table, not the exact ones."""
    import tensorflow as tf

    wanted = _size(size)

    def run(images: Any, axis: int) -> Any:
        one = [wanted[0], 1] if axis == 0 else [1, wanted[1]]
        return tf.raw_ops.ResizeBicubic(
            images=images,
            size=one,
            align_corners=node.attr("align_corners"),
            half_pixel_centers=node.attr("half_pixel_centers"),
        )

    return by_matrices(ctx, x, wanted, run)


@translates("ScaleAndTranslate")
def scale_and_translate(
    ctx: Context, node: Node, x: Tensor, size: Tensor, scale: Tensor, translation: Tensor
) -> Tensor:
    """Translate a resize by any kernel, scaled and moved by known amounts."""
    import tensorflow as tf

    wanted = _size(size)
    factors, offsets = known(scale, "a scale").tolist(), known(translation, "a translation").tolist()
    options = {"kernel_type": node.attr("kernel_type"), "antialias": node.attr("antialias")}

    def run(images: Any, axis: int) -> Any:
        one = [wanted[0], 1] if axis == 0 else [1, wanted[1]]
        places = [[factors[0], 1.0], [1.0, factors[1]]][axis], [[offsets[0], 0.0], [0.0, offsets[1]]][axis]
        return tf.raw_ops.ScaleAndTranslate(images=images, size=one, scale=places[0], translation=places[1], **options)

    return by_matrices(ctx, x, wanted, run)


def _size(size: Tensor) -> tuple[int, int]:
    height, width = static(from_array(known(size, "the size of the image")), "a resize")
    return height, width


# -- pixels by coordinates ---------------------------------------------------------------------------------------------


def pixels(image: Formula, batch: Formula, rows: Formula, columns: Formula) -> Formula:
    """Return the pixels of an image [batch, height, width, channels] at whole coordinates that broadcast together."""
    whole = [item.cast(LONG) for item in (batch, rows, columns)]
    # Zeros of the shape to which the three broadcast.
    zero = whole[0] * 0 + whole[1] * 0 + whole[2] * 0
    index = [(item + zero).unsqueeze(-1) for item in whole]
    return image.of("GatherND", index[0].of("Concat", index[1], index[2], axis=-1))


@translates("CropAndResize")
def crop_and_resize(ctx: Context, node: Node, x: Tensor, boxes: Tensor, owners: Tensor, size: Tensor) -> Tensor:
    """Translate boxes cut out of images and resized; what lies outside an image is a given number."""
    height, width = _size(size)
    image, corners = formula(ctx, x, dtype=FLOAT), formula(ctx, boxes)
    limits = [sizes(ctx, [dim]).cast(FLOAT) for dim in x.shape[1:3]]
    down, above = _along(ctx, corners, 0, height, limits[0])
    across, beside = _along(ctx, corners, 1, width, limits[1])
    rows, columns = down.unsqueeze(2), across.unsqueeze(1)
    batch = formula(ctx, owners).reshape([-1, 1, 1])
    if node.attr("method") in (b"nearest", "nearest"):
        found = pixels(image, batch, _rounded(rows), _rounded(columns))
    else:
        found = _bilinear(image, batch, rows, columns)
    valid = (above.unsqueeze(2) & beside.unsqueeze(1)).unsqueeze(3)
    outside = float(node.attr("extrapolation_value"))
    return valid.where(found, outside).held((boxes.shape[0], height, width, x.shape[3]))


def _along(ctx: Context, corners: Formula, axis: int, count: int, length: Formula) -> tuple[Formula, Formula]:
    """Return where the samples of each box lie along an axis, and which lie inside; outside they are put at zero."""
    first, last = corners.slice(axis, axis + 1, 1), corners.slice(axis + 2, axis + 3, 1)
    limit = length - 1.0
    if count > 1:
        scale = (last - first) * limit / float(count - 1)
        places = first * limit + number(ctx, np.arange(count), FLOAT) * scale
    else:
        places = (first + last) * 0.5 * limit
    inside = (places >= 0.0) & (places <= limit)
    return inside.where(places, 0.0), inside


def _rounded(x: Formula) -> Formula:
    """Round positive numbers half up, as C's round does."""
    return (x + 0.5).fn("Floor")


def _bilinear(image: Formula, batch: Formula, rows: Formula, columns: Formula) -> Formula:
    top, left = rows.fn("Floor"), columns.fn("Floor")
    bottom, right = rows.fn("Ceil"), columns.fn("Ceil")
    down, across = (rows - top).unsqueeze(3), (columns - left).unsqueeze(3)
    corners = [pixels(image, batch, row, column) for row in (top, bottom) for column in (left, right)]
    upper = corners[0] + (corners[1] - corners[0]) * across
    lower = corners[2] + (corners[3] - corners[2]) * across
    return upper + (lower - upper) * down


# -- projective maps ---------------------------------------------------------------------------------------------------


@translates("ImageProjectiveTransformV2", "ImageProjectiveTransformV3")
def projective(ctx: Context, node: Node, x: Tensor, maps: Tensor, size: Tensor, fill: Tensor | None = None) -> Tensor:
    """Translate a projective map: each new pixel reads where the map takes it."""
    height, width = _size(size)
    image, table = formula(ctx, x, dtype=FLOAT), formula(ctx, maps)
    entries = [table.slice(place, place + 1, 1).unsqueeze(2) for place in range(8)]
    columns = number(ctx, np.arange(width).reshape(1, 1, width), FLOAT)
    rows = number(ctx, np.arange(height).reshape(1, height, 1), FLOAT)
    depth = entries[6] * columns + entries[7] * rows + 1.0
    across = (entries[0] * columns + entries[1] * rows + entries[2]) / depth
    down = (entries[3] * columns + entries[4] * rows + entries[5]) / depth
    mode = node.attr("fill_mode")
    mode = mode.decode() if isinstance(mode, bytes) else mode
    limits = [sizes(ctx, [x.shape[axis]]).cast(FLOAT) for axis in (1, 2)]
    down, across = _mapped(down, limits[0], mode), _mapped(across, limits[1], mode)
    outside = formula(ctx, fill, dtype=FLOAT) if fill is not None else number(ctx, 0.0, FLOAT)
    batch = _line(ctx, x.shape)
    reader = _Reader(image, batch, limits, outside)
    nearest = node.attr("interpolation") in (b"NEAREST", "NEAREST")
    found = reader.nearest(down, across) if nearest else reader.bilinear(down, across)
    shape: Shape = (x.shape[0], height, width, x.shape[3])
    value = depth.equals(0.0).unsqueeze(3).where(outside, found)
    whole = value if x.dtype == FLOAT else value.fn("Round")
    return whole.cast(x.dtype).held(shape)


def _line(ctx: Context, shape: Shape) -> Formula:
    count = sizes(ctx, [shape[0]]).squeeze(0)
    return number(ctx, 0, LONG).of("Range", count, number(ctx, 1, LONG)).reshape([-1, 1, 1])


def _truncated(x: Formula) -> Formula:
    return x.fn("Sign") * x.fn("Abs").fn("Floor")


def _mapped(place: Formula, length: Formula, mode: str) -> Formula:
    """Return a coordinate brought into an axis, as TensorFlow's map functors do (image/image_ops.h)."""
    if mode == "CONSTANT":
        return place
    top = length - 1.0
    if mode == "REFLECT":
        double = length * 2.0
        low = (place < double).where(double * _truncated(-place / double) + place, place)
        low = (low < -length).where(low + double, -low - 1.0)
        high = place - double * _truncated(place / double)
        high = (high >= length).where(double - high - 1.0, high)
    elif mode == "WRAP":
        low = place + length * (_truncated(-place / top) + 1.0)
        high = place - length * _truncated(place / top)
    elif mode == "NEAREST":
        low = high = place
    else:
        raise Untranslatable(f"the fill mode {mode}")
    single = length <= 1.0
    moved = (place < 0.0).where(single.where(0.0, low), (place > top).where(single.where(0.0, high), place))
    return moved.maximum(0.0).minimum(top)


class _Reader:
    """Reads pixels, and a filling where there are none."""

    def __init__(self, image: Formula, batch: Formula, limits: list[Formula], outside: Formula) -> None:
        self.image, self.batch, self.limits, self.outside = image, batch, limits, outside

    def at(self, rows: Formula, columns: Formula) -> Formula:
        """Return pixels at whole coordinates."""
        height, width = self.limits
        inside = (rows >= 0.0) & (rows < height) & (columns >= 0.0) & (columns < width)
        safe = [inside.where(item, 0.0) for item in (rows, columns)]
        return inside.unsqueeze(3).where(pixels(self.image, self.batch, *safe), self.outside)

    def nearest(self, rows: Formula, columns: Formula) -> Formula:
        """Return the pixels next to coordinates, the halves away from zero."""
        return self.at(*(item.fn("Sign") * _rounded(item.fn("Abs")) for item in (rows, columns)))

    def bilinear(self, rows: Formula, columns: Formula) -> Formula:
        """Return the mean of the four pixels around coordinates."""
        top, left = rows.fn("Floor"), columns.fn("Floor")
        down, across = (rows - top).unsqueeze(3), (columns - left).unsqueeze(3)
        upper = (1.0 - across) * self.at(top, left) + across * self.at(top, left + 1.0)
        lower = (1.0 - across) * self.at(top + 1.0, left) + across * self.at(top + 1.0, left + 1.0)
        return (1.0 - down) * upper + down * lower
