"""Aligns the modules of two checkpoints in the order in which their files name them, by what tensors they hold."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from weight_maps.tensors import Spec

# What a pair of modules scores for holding the same tensors; their names add at most 1. A gap costs nothing.
_SAME = 1.0


@dataclass(frozen=True)
class Module:
    """The tensors that share everything of their names but the last word.

    Attributes:
        name: What they share.
        tensors: Their names, in the order of the file.
        signature: What is known of them without their names: roles and sizes.
    """

    name: str
    tensors: tuple[str, ...]
    signature: tuple[tuple[str, tuple[int, ...]], ...]


def modules(specs: Mapping[str, Spec], role: Callable[[str], str]) -> list[Module]:
    """Return the modules of a checkpoint in the order in which they first appear."""
    members: dict[str, list[str]] = {}
    for name in specs:
        members.setdefault(re.split(r"[./][^./]*$", name)[0], []).append(name)
    return [
        Module(
            owner,
            tuple(names),
            tuple(
                sorted((role(name), tuple(sorted(size for size in specs[name].shape if size != 1))) for name in names)
            ),
        )
        for owner, names in members.items()
    ]


def align(
    ours: Sequence[Module], theirs: Sequence[Module], similar: Callable[[str, str], float]
) -> list[tuple[Module, Module]]:
    """Return the pairs of the best alignment that keeps both orders (Needleman and Wunsch, 1970, without gap costs).

    Args:
        ours: Modules of the source.
        theirs: Modules of the target.
        similar: How alike two names are, 0 to 1.
    """
    score = np.full((len(ours), len(theirs)), -np.inf)
    for row, one in enumerate(ours):
        for column, other in enumerate(theirs):
            if one.signature == other.signature:
                score[row, column] = _SAME + similar(one.name, other.name)
    best = np.zeros((len(ours) + 1, len(theirs) + 1))
    for row in range(1, len(ours) + 1):
        for column in range(1, len(theirs) + 1):
            best[row, column] = max(
                best[row - 1, column], best[row, column - 1], best[row - 1, column - 1] + score[row - 1, column - 1]
            )
    pairs = []
    row, column = len(ours), len(theirs)
    while row and column:
        if best[row, column] == best[row - 1, column]:
            row -= 1
        elif best[row, column] == best[row, column - 1]:
            column -= 1
        else:
            row, column = row - 1, column - 1
            pairs.append((ours[row], theirs[column]))
    return pairs[::-1]
