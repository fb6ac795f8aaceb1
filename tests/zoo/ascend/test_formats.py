"""Packing into the chip's layouts loses nothing, has the announced shape, and puts elements where the format says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.ascend.formats import Format, pack, storage_elements, storage_shape, unpack

images = st.tuples(st.integers(1, 3), st.integers(1, 40), st.integers(1, 5), st.integers(1, 5))
matrices = st.lists(st.integers(1, 40), min_size=2, max_size=4).map(tuple)
filters = st.tuples(st.integers(1, 40), st.integers(1, 40), st.integers(1, 3), st.integers(1, 3))


def numbered(shape):
    return np.arange(1, np.prod(shape) + 1, dtype=np.float32).reshape(shape)


@given(st.one_of(images, filters), st.sampled_from(list(Format)), st.sampled_from([8, 16, 32]))
def test_unpacking_gives_back_what_was_packed(shape, layout, c0):
    tensor = numbered(shape)
    stored = pack(tensor, layout, c0)
    assert stored.shape == storage_shape(shape, layout, c0)
    assert stored.size == storage_elements(shape, layout, c0)
    assert np.array_equal(unpack(stored, shape, layout, c0), tensor)
    # What is not an element is a zero.
    assert np.count_nonzero(stored) == tensor.size


@given(matrices)
def test_matrices_survive_fractals(shape):
    tensor = numbered(shape)
    stored = pack(tensor, Format.FRACTAL_NZ)
    assert stored.shape == storage_shape(shape, Format.FRACTAL_NZ)
    assert np.array_equal(unpack(stored, shape, Format.FRACTAL_NZ), tensor)


@given(images, st.data())
def test_nc1hwc0_puts_channel_c_into_block_c_div_16(shape, data):
    tensor = numbered(shape)
    n, c, h, w = (data.draw(st.integers(0, size - 1)) for size in shape)
    assert pack(tensor, Format.NC1HWC0)[n, c // 16, h, w, c % 16] == tensor[n, c, h, w]


@given(matrices, st.data())
def test_fractal_nz_is_small_z_big_n(shape, data):
    tensor = numbered(shape)
    *batch, row, column = (data.draw(st.integers(0, size - 1)) for size in shape)
    at = (*batch, column // 16, row // 16, row % 16, column % 16)
    assert pack(tensor, Format.FRACTAL_NZ)[at] == tensor[(*batch, row, column)]


@given(filters, st.data())
def test_fractal_z_orders_channel_blocks_before_the_window(shape, data):
    tensor = numbered(shape)
    n, c, h, w = (data.draw(st.integers(0, size - 1)) for size in shape)
    first = (c // 16) * shape[2] * shape[3] + h * shape[3] + w
    assert pack(tensor, Format.FRACTAL_Z)[first, n // 16, n % 16, c % 16] == tensor[n, c, h, w]


@pytest.mark.parametrize(
    ("shape", "layout", "stored"),
    [
        ((1, 3, 224, 224), Format.NC1HWC0, (1, 1, 224, 224, 16)),
        ((1, 3, 224, 224), Format.NC1HWC0_C04, (1, 1, 224, 224, 4)),
        ((64, 3, 7, 7), Format.FRACTAL_Z, (49, 4, 16, 16)),
        ((197, 768), Format.FRACTAL_NZ, (48, 13, 16, 16)),
        ((10,), Format.NC1HWC0, (10,)),
    ],
)
def test_storage_shapes_are_those_of_ge(shape, layout, stored):
    assert storage_shape(shape, layout) == stored
