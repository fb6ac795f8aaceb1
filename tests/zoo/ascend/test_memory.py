"""A memory plan never puts two living tensors on one address, and wastes little."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from zoo.ascend.formats import Format
from zoo.ascend.kernels import Kernel, Tensor
from zoo.ascend.memory import ALIGNMENT, plan


def tensor(name, size, constant=False):
    return Tensor(name, (size,), Format.ND, size, constant)


@st.composite
def chains(draw):
    """Kernels that each read some earlier tensors and write one."""
    made, kernels = [tensor("input", draw(st.integers(1, 5000)))], []
    for index in range(draw(st.integers(1, 12))):
        reads = draw(st.lists(st.sampled_from(made), min_size=1, max_size=3, unique=True))
        writes = tensor(f"t{index}", draw(st.integers(1, 5000)))
        weights = (tensor(f"w{index}", 100, constant=True),) if draw(st.booleans()) else ()
        kernels.append(Kernel(index, f"k{index}", "Add", ("Add",), "vector", "", (*reads, *weights), (writes,)))
        made.append(writes)
    return kernels


@given(chains())
def test_what_lives_together_never_overlaps(kernels):
    found = plan(kernels)
    spans = [(item, found.offsets[item.name]) for item in found.lifetimes]
    for number, (one, at) in enumerate(spans):
        assert at % ALIGNMENT == 0
        assert at + one.bytes <= found.arena_bytes
        for other, there in spans[:number]:
            together = one.first <= other.last and other.first <= one.last
            assert not together or at + one.bytes <= there or there + other.bytes <= at


@given(chains())
def test_the_arena_is_no_smaller_than_what_lives_and_no_larger_than_everything(kernels):
    found = plan(kernels)
    assert found.least_bytes <= found.arena_bytes <= sum(item.bytes for item in found.lifetimes)
    weights = {item.name for kernel in kernels for item in kernel.reads if item.constant}
    assert found.weight_bytes == len(weights) * ALIGNMENT


def test_a_chain_needs_two_tensors_at_a_time():
    sizes = [512 * size for size in (4, 8, 2, 8, 1)]
    names = [tensor(f"t{index}", size) for index, size in enumerate(sizes)]
    kernels = [
        Kernel(index, f"k{index}", "Relu", ("Relu",), "vector", "", (one,), (other,))
        for index, (one, other) in enumerate(itertools.pairwise(names))
    ]
    assert plan(kernels).arena_bytes == max(np.add(sizes[:-1], sizes[1:]))
