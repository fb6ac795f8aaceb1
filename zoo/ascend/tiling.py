"""Cuts a matrix product into what each core computes and what fits its buffers, and counts the cycles that takes."""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Final

from zoo.ascend.hardware import Chip
from zoo.ascend.products import BLOCK, Product

# Bytes per cycle and core between L1 and the cube's operand buffers, and between L0C and memory: CANN's tiling
# constants, the same for every chip (chip facts).
_L0A_BYTES_PER_CYCLE: Final = 512
_L0B_BYTES_PER_CYCLE: Final = 256
# Sides of a tile of L0C, in blocks; larger ones do not fit any chip's L0C.
_SIDES: Final = (1, 2, 4, 8, 16)


@dataclasses.dataclass(frozen=True)
class Tiling:
    """How a product is cut.

    Attributes:
        images: Cores that share out the independent products and images.
        rows: Cores that share out the rows of one.
        columns: Cores that share out its columns.
        tile: Rows, depth and columns of one round in L0, in elements.
        cube_cycles: Cycles of the busiest core's cube, at one block of 16 x 16 x 16 a cycle.
        load_cycles: Cycles in which that core fills L0A and L0B, whichever takes longer.
        left_reads: How often each element of the left operand is read into L1, over all cores.
        right_reads: The same of the right operand.
    """

    images: int
    rows: int
    columns: int
    tile: tuple[int, int, int]
    cube_cycles: float
    load_cycles: float
    left_reads: int
    right_reads: int

    @property
    def cores(self) -> int:
        """Cores that have something to do."""
        return self.images * self.rows * self.columns


@functools.lru_cache(maxsize=65536)
def tile(product: Product, chip: Chip, element_bytes: int = 2) -> Tiling:
    """Return the fastest way found to cut ``product`` for ``chip``.

    Work is shared out over images, rows and columns in whole blocks, so that a small product leaves cores idle and an
    uneven one waits for the busiest. Inside a core the tile is the one that fills L0A and L0B with the least traffic,
    both buffered twice.

    Args:
        product: The product.
        chip: The chip.
        element_bytes: Size of an operand's element.
    """
    rows, columns = -(-product.m // BLOCK), product.n // BLOCK
    units = product.count * product.images
    best: Tiling | None = None
    for images in _shares(units, chip.ai_cores):
        for row_cores in _shares(rows, chip.ai_cores // images):
            for column_cores in _shares(columns, chip.ai_cores // (images * row_cores)):
                found = _cut(product, chip, (images, row_cores, column_cores), element_bytes)
                if best is None or _time(found) < _time(best):
                    best = found
    assert best is not None
    return best


def _time(tiling: Tiling) -> tuple[float, int]:
    return max(tiling.cube_cycles, tiling.load_cycles), tiling.left_reads + tiling.right_reads


def _shares(blocks: int, cores: int) -> list[int]:
    """Return the useful numbers of cores to share ``blocks`` out over: those that lower the share of the busiest."""
    found, last = [], None
    for count in range(1, max(1, min(blocks, cores)) + 1):
        share = -(-blocks // count)
        if share != last:
            found.append(count)
        last = share
    return found


def _cut(product: Product, chip: Chip, cores: tuple[int, int, int], element_bytes: int) -> Tiling:
    images, row_cores, column_cores = cores
    units = -(-product.count * product.images // images)
    blocks = -(-product.m // BLOCK)
    rows = -(-blocks // row_cores)
    columns = -(-(product.n // BLOCK) // column_cores)
    depth = max(1, product.k // BLOCK)
    block_bytes = BLOCK * BLOCK * element_bytes
    best: tuple[float, int, int] | None = None
    for high in _SIDES:
        for wide in _SIDES:
            if high * wide * BLOCK * BLOCK * 4 * 2 > chip.l0c_bytes:
                continue
            left = depth * rows * math.ceil(columns / min(wide, columns)) * block_bytes / _L0A_BYTES_PER_CYCLE
            right = depth * columns * math.ceil(rows / min(high, rows)) * block_bytes / _L0B_BYTES_PER_CYCLE
            if best is None or max(left, right) < best[0]:
                best = max(left, right), min(high, rows), min(wide, columns)
    assert best is not None
    load, high, wide = best
    deep = min(
        depth, max(1, min(chip.l0a_bytes // (2 * high * block_bytes), chip.l0b_bytes // (2 * wide * block_bytes)))
    )
    per_cycle = math.prod(chip.cube_mkn_fp16) / BLOCK**3
    return Tiling(
        images,
        row_cores,
        column_cores,
        (high * BLOCK, deep * BLOCK, wide * BLOCK),
        cube_cycles=units * rows * columns * depth / per_cycle,
        load_cycles=units * load,
        left_reads=column_cores,
        right_reads=images * row_cores if product.shared else row_cores,
    )
