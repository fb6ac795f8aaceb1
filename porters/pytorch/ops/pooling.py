"""Pooling: windows of fixed size, and adaptive ones."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from porters.pytorch.ops.conv import pairs
from porters.pytorch.ops.shared import cast, known, require_float, static_sizes
from porters.pytorch.registry import Context, Dim, Size, translates


def _windows(c: Context, x: ir.Value, name_rank: int, kernel: Any, stride: Any) -> tuple[list[int], list[int]]:
    """Return kernel and stride once for each spatial axis."""
    size = pairs(kernel, name_rank)
    return size, pairs(stride, name_rank) if stride not in ((), [], None) else size


def _end_pads(
    c: Context, x: ir.Value, kernel: Sequence[int], stride: Sequence[int], padding: Sequence[int],
    dilation: Sequence[int], ceil_mode: bool,
) -> list[int]:  # fmt: skip
    """Return the padding behind each axis that makes plain division give torch's number of windows.

    ONNX has a ceil mode of its own, but runtimes disagree on windows that would start in the padding (torch drops
    them) and on what such windows divide by.
    """
    if not ceil_mode:
        return list(padding)
    sizes = static_sizes(c.sizes_of(x)[-len(kernel) :], "pooling in ceil mode")
    counts = static_sizes(c.shape[-len(kernel) :], "pooling in ceil mode")
    return [
        max((count - 1) * step + spread * (width - 1) + 1 - size - pad, 0)
        for size, count, width, step, pad, spread in zip(sizes, counts, kernel, stride, padding, dilation, strict=True)
    ]


def _pooled(c: Context, x: ir.Value, spatial: int, op_type: str, outputs: int = 1, **attributes: Any) -> list[ir.Value]:
    batched = c.rank(x) == spatial + 2
    data = x if batched else c.op("Unsqueeze", x, [0])
    dtypes = [x.dtype, ir.DataType.INT64][:outputs]
    results = c.ops(op_type, data, outputs=outputs, dtypes=dtypes, **attributes)
    return list(results) if batched else [c.op("Squeeze", result, [0]) for result in results]


# -- maxima -------------------------------------------------------------------------------------------------------


def _register_max_pool() -> None:
    def plain(rank: int) -> Any:
        def translator(c: Context, x: ir.Value, *args: Any) -> ir.Value:
            return max_pooled(c, x, rank, 1, *args)[0]

        return translator

    def indexed(rank: int) -> Any:
        def translator(c: Context, x: ir.Value, *args: Any) -> tuple[ir.Value, ir.Value]:
            values, places = max_pooled(c, x, rank, 2, *args)
            return values, _within_plane(c, places, c.sizes_of(x)[-rank:])

        return translator

    for rank in (1, 2, 3):
        translates(f"aten.max_pool{rank}d")(plain(rank))
        translates(f"aten.max_pool{rank}d_with_indices")(indexed(rank))


def max_pooled(
    c: Context, x: ir.Value, spatial: int, outputs: int, kernel: Any, stride: Any = (), padding: Any = 0,
    dilation: Any = 1, ceil_mode: bool = False,
) -> list[ir.Value]:  # fmt: skip
    """Emit a MaxPool; the windows that ceil mode adds reach into padding, which never wins."""
    require_float(x, "pooling")
    size, steps = _windows(c, x, spatial, kernel, stride)
    begins, spread = pairs(padding, spatial), pairs(dilation, spatial)
    ends = _end_pads(c, x, size, steps, begins, spread, ceil_mode)
    if any(end >= width for end, width in zip(ends, size, strict=True)):
        # Only dilated windows reach that far; runtimes refuse such pads.
        raise NotImplementedError("pooling in ceil mode with dilated windows that end far behind the input")
    return _pooled(
        c, x, spatial, "MaxPool", outputs, kernel_shape=size, strides=steps, pads=[*begins, *ends], dilations=spread
    )


def _within_plane(c: Context, places: ir.Value, sizes: Sequence[Size]) -> ir.Value:
    """ONNX counts indices through the whole tensor, torch within each plane."""
    count: Any = 1
    for size in sizes:
        count = count * (size.expression if isinstance(size, Dim) else size)
    return c.op("Mod", places, count if isinstance(count, int) else c.symbols.scalar(count))


_register_max_pool()


# -- means --------------------------------------------------------------------------------------------------------


def _register_avg_pool() -> None:
    def make(rank: int) -> Any:
        def translator(c: Context, x: ir.Value, *args: Any) -> ir.Value:
            return avg_pooled(c, x, rank, *args)

        return translator

    for rank in (1, 2, 3):
        translates(f"aten.avg_pool{rank}d")(make(rank))


def avg_pooled(
    c: Context, x: ir.Value, spatial: int, kernel: Any, stride: Any = (), padding: Any = 0, ceil_mode: bool = False,
    count_include_pad: bool = True, divisor_override: int | None = None,
) -> ir.Value:  # fmt: skip
    """Emit an AveragePool; ``divisor_override`` is a product with the window's own size over the divisor."""
    require_float(x, "pooling")
    size, steps = _windows(c, x, spatial, kernel, stride)
    begins = pairs(padding, spatial)
    ends = _end_pads(c, x, size, steps, begins, [1] * spatial, ceil_mode)
    counted = count_include_pad or divisor_override is not None
    if ceil_mode and count_include_pad and divisor_override is None:
        # torch counts its own padding but not what ceil mode adds: the former becomes part of the input.
        x = _padded(c, x, begins)
        ends = [max(end - pad, 0) for end, pad in zip(ends, begins, strict=True)]
        begins, counted = [0] * spatial, False
    result = _pooled(
        c, x, spatial, "AveragePool", kernel_shape=size, strides=steps, pads=[*begins, *ends],
        count_include_pad=int(counted),
    )[0]  # fmt: skip
    if divisor_override is None:
        return result
    return c.op("Mul", result, float(np.prod(size)) / divisor_override)


def _padded(c: Context, x: ir.Value, pads: Sequence[int]) -> ir.Value:
    if not any(pads):
        return x
    axes = [-len(pads) + i for i in range(len(pads))]
    sizes = list(c.sizes_of(x))
    for axis, pad in zip(axes, pads, strict=True):
        size = sizes[axis]
        sizes[axis] = size + 2 * pad if isinstance(size, int) else size
    return known(c, c.op("Pad", x, [*pads, *pads], c.const(0, x.dtype), axes), sizes)


_register_avg_pool()


# -- adaptive -----------------------------------------------------------------------------------------------------


@translates("aten.adaptive_avg_pool1d", "aten.adaptive_avg_pool2d", "aten.adaptive_avg_pool3d",
            "aten._adaptive_avg_pool2d", "aten._adaptive_avg_pool3d")  # fmt: skip
def adaptive_avg_pool(c: Context, x: ir.Value, output: Sequence[Any]) -> ir.Value:
    """GlobalAveragePool for size one; AveragePool where the input is a multiple; else one mean per window."""
    spatial, sizes = len(output), c.sizes_of(x)[-len(output) :]
    wanted = _wanted(output, sizes)
    if wanted == sizes:
        return x
    if all(size == 1 for size in wanted):
        return _pooled(c, x, spatial, "GlobalAveragePool")[0]
    if all(want in (1, have) for have, want in zip(sizes, wanted, strict=True)):
        gone = [c.rank(x) - spatial + i for i in range(spatial) if wanted[i] == 1 and sizes[i] != 1]
        return c.op("ReduceMean", x, gone, keepdims=1)
    have, want = static_sizes(sizes, "adaptive pooling"), static_sizes(wanted, "adaptive pooling")
    if all(size % count == 0 for size, count in zip(have, want, strict=True)):
        kernel = [size // count for size, count in zip(have, want, strict=True)]
        return _pooled(c, x, spatial, "AveragePool", kernel_shape=kernel, strides=kernel)[0]
    result = x
    for offset in range(spatial):
        result = _mean_windows(c, result, c.rank(x) - spatial + offset, have[offset], want[offset])
    return result


def _wanted(output: Sequence[Any], sizes: Sequence[Size]) -> list[Size]:
    return [have if want is None else want for want, have in zip(output, sizes, strict=True)]


def _bounds(have: int, want: int) -> list[tuple[int, int]]:
    # Window i covers floor(i * have / want) to ceil((i + 1) * have / want): torch's definition.
    return [(i * have // want, -(-(i + 1) * have // want)) for i in range(want)]


def _mean_windows(c: Context, x: ir.Value, axis: int, have: int, want: int) -> ir.Value:
    if have == want:
        return x
    windows = [
        c.op("ReduceMean", c.op("Slice", x, [start], [end], [axis]), [axis], keepdims=1)
        for start, end in _bounds(have, want)
    ]
    return c.op("Concat", *windows, axis=axis)


@translates("aten.adaptive_max_pool1d", "aten.adaptive_max_pool2d", "aten.adaptive_max_pool3d")
def adaptive_max_pool(c: Context, x: ir.Value, output: Sequence[Any]) -> tuple[ir.Value, ir.Value]:
    """MaxPool where the input is a multiple of the output; else the maximum over a table of each window's elements."""
    spatial = len(output)
    sizes = static_sizes(c.sizes_of(x)[-spatial:], "adaptive pooling")
    wanted = static_sizes(_wanted(output, sizes), "adaptive pooling")
    if all(have % want == 0 for have, want in zip(sizes, wanted, strict=True)):
        kernel = [have // want for have, want in zip(sizes, wanted, strict=True)]
        values, places = _pooled(c, x, spatial, "MaxPool", 2, kernel_shape=kernel, strides=kernel)
        return values, _within_plane(c, places, sizes)
    return _max_by_table(c, x, sizes, wanted)


def _max_by_table(c: Context, x: ir.Value, sizes: Sequence[int], wanted: Sequence[int]) -> tuple[ir.Value, ir.Value]:
    lead = c.sizes_of(x)[: -len(sizes)]
    table = _window_table(sizes, wanted)
    plane = c.reshape(x, [*lead, int(np.prod(sizes))])
    elements = c.op("Gather", plane, c.const(table, ir.DataType.INT64), axis=len(lead))
    shape: list[Size] = [*lead, *wanted]
    values = known(c, c.op("ReduceMax", elements, [-1], keepdims=0), [*lead, len(table)])
    which = c.op("ArgMax", elements, axis=-1, keepdims=0)
    row = c.const(np.arange(len(table)) * table.shape[1], ir.DataType.INT64)
    places = c.op("Gather", c.const(table.reshape(-1), ir.DataType.INT64), c.op("Add", which, row), axis=0)
    return c.reshape(values, shape), c.reshape(known(c, places, [*lead, len(table)]), shape)


def _window_table(sizes: Sequence[int], wanted: Sequence[int]) -> np.ndarray:
    """Return the flat indices of each window's elements; short rows repeat their first, which changes no maximum."""
    spans = [_bounds(have, want) for have, want in zip(sizes, wanted, strict=True)]
    rows = []
    for window in itertools.product(*spans):
        cells = itertools.product(*(range(start, end) for start, end in window))
        rows.append([int(np.ravel_multi_index(cell, tuple(sizes))) for cell in cells])
    longest = max(len(row) for row in rows)
    return np.asarray([row + row[:1] * (longest - len(row)) for row in rows], np.int64)


# -- unpooling ----------------------------------------------------------------------------------------------------


@translates("aten.max_unpool2d", "aten.max_unpool3d")
def max_unpool(c: Context, x: ir.Value, places: ir.Value, *_: Any) -> ir.Value:
    """Each element at its index in a plane of zeros."""
    spatial = 2 if c.rank(x) <= 4 and len(c.shape) <= 4 else 3
    lead = c.shape[:-spatial]
    plane = int(np.prod(static_sizes(c.shape[-spatial:], "unpooling")))
    count = int(np.prod(static_sizes(c.sizes_of(x)[-spatial:], "unpooling")))
    zeros = c.op("Expand", c.const(0, c.dtype), c.vector([*lead, plane]))
    values = c.reshape(x, [*lead, count])
    index = c.reshape(cast(c, places, ir.DataType.INT64), [*lead, count])
    return c.reshape(known(c, c.op("ScatterElements", zeros, index, values, axis=-1), [*lead, plane]), c.shape)
