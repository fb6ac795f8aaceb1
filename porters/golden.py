"""Golden data: seeded inputs, the original's outputs and, where it can, its float64 truth, recorded with the port."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from porters.porter import Original, PrecisionUnavailableError
from zoo.inputs import Feed, InputSpec, moved, sample

SEED = 20_240_229
# A verdict wants at least 4 inputs, and 8 where an output is small (design: decision 3).
CASES, CASES_SMALL, SMALL_ELEMENTS = 4, 8, 16
# Nothing larger than this is recorded; the port then names the reason in the card.
MOST_BYTES = 256 << 20


@dataclass(frozen=True)
class GoldenCase:
    """One recorded input with what the original made of it.

    Attributes:
        feed: The input.
        original: The original's outputs.
        truth: Its outputs in float64; empty where float64 was out of reach.
        moved: Then: its outputs on the input moved by one ULP, from which a budget can be had.
    """

    feed: Feed
    original: dict[str, np.ndarray]
    truth: dict[str, np.ndarray]
    moved: dict[str, np.ndarray] = field(default_factory=dict)


def record(original: Original, specs: Sequence[InputSpec]) -> tuple[list[GoldenCase], list[str]]:
    """Run the original on seeded inputs of its smallest sizes and return what it said, with notes for the card."""
    cases: list[GoldenCase] = []
    notes: list[str] = []
    wanted, total = CASES, 0
    while len(cases) < wanted:
        feed = sample(specs, SEED, len(cases), {"batch": 1})
        own = original.run(feed)
        truth: dict[str, np.ndarray] = {}
        if not notes:
            try:
                truth = original.run(feed, "float64")
            except PrecisionUnavailableError as error:
                notes.append(f"no float64 truth was recorded: {error}")
        shifted = {} if truth else original.run(moved(feed, SEED))
        cases.append(GoldenCase(feed, own, truth, shifted))
        if any(array.size <= SMALL_ELEMENTS for array in own.values()):
            wanted = CASES_SMALL
        total += sum(array.nbytes for part in (feed, own, truth, shifted) for array in part.values())
        if total > MOST_BYTES:
            notes.append(f"golden data stops after {len(cases)} case(s): {total >> 20} MiB")
            break
    if any(case.truth for case in cases) and original.details.get("truth"):
        notes.append(f"float64 truth: {original.details['truth']}")
    return cases, notes


def write(cases: Sequence[GoldenCase], file: Path) -> None:
    """Write cases to a safetensors file; names are ``case/part/tensor``."""
    from safetensors.numpy import save_file

    tensors = {}
    for index, case in enumerate(cases):
        parts = (("input", case.feed), ("original", case.original), ("truth", case.truth), ("moved", case.moved))
        for part, arrays in parts:
            for name, array in arrays.items():
                tensors[f"{index}/{part}/{name}"] = np.ascontiguousarray(array)
    save_file(tensors, file)


def read(tensors: Mapping[str, np.ndarray], outputs: Sequence[str] = ()) -> list[GoldenCase]:
    """Return the cases of a golden file's tensors, in order; a file keeps none among its tensors: ``outputs`` does."""
    parts: dict[int, dict[str, dict[str, np.ndarray]]] = {}
    for key, array in tensors.items():
        index, part, name = key.split("/", 2)
        parts.setdefault(int(index), {}).setdefault(part, {})[name] = array
    place = {name: index for index, name in enumerate(outputs)}

    def ordered(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {name: arrays[name] for name in sorted(arrays, key=lambda name: place.get(name, len(place)))}

    return [
        GoldenCase(
            case.get("input", {}),
            *(ordered(case.get(part, {})) for part in ("original", "truth", "moved")),
        )
        for _, case in sorted(parts.items())
    ]
