"""Plans the device memory of a program: an address for every tensor, so that what is alive together never overlaps."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Final

from zoo.ascend.kernels import Kernel

# Addresses of tensors are multiples of this; the device's allocator gives 512 bytes (L0C alignment of the chip facts).
ALIGNMENT: Final = 512


@dataclasses.dataclass(frozen=True)
class Lifetime:
    """When a tensor is needed.

    Attributes:
        name: The tensor.
        bytes: Its size, a multiple of ``ALIGNMENT``.
        first: The kernel that makes it; -1 for an input.
        last: The last kernel that reads it; the number of kernels for an output.
    """

    name: str
    bytes: int
    first: int
    last: int


@dataclasses.dataclass(frozen=True)
class Plan:
    """Where everything lies.

    Attributes:
        lifetimes: Every tensor that is not a weight.
        offsets: The address of each in the arena, by name, in bytes.
        arena_bytes: Size of the arena.
        least_bytes: The most that is alive at one time: no arena can be smaller.
        weight_bytes: What the constants take beside it.
    """

    lifetimes: Sequence[Lifetime]
    offsets: Mapping[str, int]
    arena_bytes: int
    least_bytes: int
    weight_bytes: int

    @property
    def peak_bytes(self) -> int:
        """Device memory of the program: weights and arena."""
        return self.weight_bytes + self.arena_bytes


def plan(kernels: Sequence[Kernel]) -> Plan:
    """Return a memory plan for ``kernels``.

    Tensors are placed from the largest to the smallest, each at the lowest address where it overlaps with none that is
    alive at the same time (greedy by size: Pisarchyk and Lee, "Efficient memory management for deep neural net
    inference", 2020).
    """
    lifetimes = _lifetimes(kernels)
    placed: list[tuple[int, Lifetime]] = []
    for item in sorted(lifetimes, key=lambda tensor: (-tensor.bytes, tensor.first, tensor.name)):
        beside = [(at, other) for at, other in placed if other.first <= item.last and item.first <= other.last]
        address = 0
        for at, other in beside:
            if at - address >= item.bytes:
                break
            address = max(address, at + other.bytes)
        placed.append((address, item))
        placed.sort(key=lambda entry: (entry[0], entry[1].name))
    weights = {tensor.name: tensor.bytes for kernel in kernels for tensor in kernel.reads if tensor.constant}
    return Plan(
        lifetimes=lifetimes,
        offsets={item.name: at for at, item in placed},
        arena_bytes=max((at + item.bytes for at, item in placed), default=0),
        least_bytes=_most_alive(lifetimes, len(kernels)),
        weight_bytes=sum(_aligned(size) for size in weights.values()),
    )


def _lifetimes(kernels: Sequence[Kernel]) -> list[Lifetime]:
    first: dict[str, int] = {}
    last: dict[str, int] = {}
    size: dict[str, int] = {}
    for kernel in kernels:
        for tensor in (*kernel.reads, *kernel.writes):
            if tensor.constant:
                continue
            made = tensor in kernel.writes
            first.setdefault(tensor.name, kernel.index if made else -1)
            last[tensor.name] = kernel.index
            size[tensor.name] = max(size.get(tensor.name, 0), _aligned(tensor.bytes))
    # What is written and never read leaves the program.
    read = {tensor.name for kernel in kernels for tensor in kernel.reads}
    return [
        Lifetime(name, size[name], first[name], last[name] if name in read else len(kernels)) for name in sorted(first)
    ]


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def _most_alive(lifetimes: Sequence[Lifetime], steps: int) -> int:
    change = [0] * (steps + 3)
    for item in lifetimes:
        change[item.first + 1] += item.bytes
        change[item.last + 2] -= item.bytes
    most = alive = 0
    for step in change:
        alive += step
        most = max(most, alive)
    return most
