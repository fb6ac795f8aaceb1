"""Precision modes of ATC and MindSpore: what each makes of a float32 operator on a chip; the data is precision.yaml."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Final, Literal

import yaml

from zoo.ascend.hardware import Chip
from zoo.errors import UserError, nearest

DEFAULT_MODE = "cube_fp16"
HIGH_PRECISION: Final = "high_precision"
HIGH_PERFORMANCE: Final = "high_performance"
Implementation = Literal["high_precision", "high_performance"]
# What a node computes in: the key ``precision`` of its metadata. ``exact`` nodes touch no floating-point number.
Arithmetic = Literal["fp32", "fp16", "fp16_fp32", "bf16", "hf32", "int8", "exact"]
PRECISION, REASON = "precision", "precision_reason"


@dataclasses.dataclass(frozen=True)
class Mode:
    """One precision mode, as ``precision.yaml`` describes it.

    Attributes:
        name: The name of ATC's ``--precision_mode``.
        cube: What matrix products and convolutions become: an arithmetic, ``origin`` or ``lists``.
        vector: What every other operator becomes.
        lists: The type that the lists lower to, "" where no list decides.
        budget: The budget of ``parity.tolerance`` that a port is held to.
        source: Where the mode is described.
        aliases: Other names of the same, those of ``--precision_mode_v2`` among them.
    """

    name: str
    cube: str
    vector: str
    budget: str
    source: str
    lists: str = ""
    aliases: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Settings:
    """What the compiler is asked for.

    Attributes:
        mode: The precision mode.
        keep: Patterns (``fnmatch``) of node names or of source modules that stay in float32, as ATC's
            ``--keep_dtype`` keeps nodes.
        implementation: Which kernels the vector unit uses for float16 (ATC's ``--op_select_implmode``).
    """

    mode: Mode
    keep: tuple[str, ...] = ()
    implementation: Implementation = HIGH_PERFORMANCE


def mode_names() -> list[str]:
    """Return every name of a precision mode, aliases behind the names that they stand for."""
    return [name for mode in _modes().values() for name in (mode.name, *mode.aliases)]


def find_mode(name: str) -> Mode:
    """Return the precision mode called ``name``.

    Raises:
        UserError: If there is none; the message names the nearest ones.
    """
    for mode in _modes().values():
        if name in (mode.name, *mode.aliases):
            return mode
    raise UserError(
        f"there is no precision called {name!r}",
        expected=f"one of {', '.join(mode_names())}",
        got=name,
        hint=f"did you mean: {nearest(name, mode_names())}",
    )


def default_mode(route: str, chip: Chip) -> Mode:
    """Return the mode that a route (``atc`` or ``mindspore``) uses on a chip where nothing is asked for."""
    entry = _data()["routes"][route]
    first_generation = chip.arch == "dav-c100" and "first_generation" in entry
    return find_mode(entry["first_generation"] if first_generation else entry["mode"])


def settings(
    chip: Chip,
    precision: str = DEFAULT_MODE,
    keep: Collection[str] = (),
    implementation: str = HIGH_PERFORMANCE,
) -> Settings:
    """Return what the compiler is asked for, once ``chip`` can do it.

    Raises:
        UserError: If there is no such precision or implementation, or the chip lacks the type.
    """
    mode = find_mode(precision)
    if "bf16" in (mode.cube, mode.vector, mode.lists) and not chip.supports_bfloat16:
        raise UserError(
            f"{chip.name} has no bfloat16",
            place=f"precision {precision}",
            expected="a chip with bfloat16: " + ", ".join(_with_bfloat16()),
            got=chip.name,
            hint="allow_mix_precision_fp16 is the same with float16",
        )
    if implementation not in (HIGH_PRECISION, HIGH_PERFORMANCE):
        raise UserError(
            f"there is no implementation called {implementation!r}",
            expected=f"{HIGH_PRECISION} or {HIGH_PERFORMANCE}",
            got=implementation,
        )
    chosen: Implementation = "high_precision" if implementation == HIGH_PRECISION else "high_performance"
    return Settings(mode, tuple(keep), chosen)


def budget_of(mode: Mode, chip: Chip) -> str:
    """Return the budget of ``parity.tolerance`` that a port in ``mode`` is held to on ``chip``."""
    keeps_float32 = mode.cube == "origin" and not chip.facts["dtypes"].value["hf32"]
    return "fp32" if keeps_float32 else mode.budget


def origin_on_cube(op_type: str, chip: Chip) -> tuple[Arithmetic, str, bool]:
    """Return what a float32 cube operator that keeps its type runs in: arithmetic, reason, and whether on the cube."""
    if "fp32" not in chip.cube_inputs:
        return "fp32", f"the cube of {chip.name} takes no float32: the AI CPU runs it", False
    hf32 = _data()["hf32"]
    # The figure for the chip and not its cube inputs: 310B has the instruction, but no option that uses it.
    if op_type in hf32["operators"] and chip.facts["dtypes"].value["hf32"]:
        return "hf32", "HF32 replaces float32 by default here", True
    return "fp32", "the cube takes float32", True


def listed(op_type: str) -> Literal["white", "black", "grey"]:
    """Return on which list of the mixed precision modes an operator is."""
    lists = _data()["lists"]
    return "white" if op_type in lists["white"] else "black" if op_type in lists["black"] else "grey"


def _with_bfloat16() -> list[str]:
    from zoo.ascend.hardware import chip_names, load_chip

    return [name for name in chip_names() if load_chip(name).supports_bfloat16]


@functools.cache
def _data() -> Mapping[str, Any]:
    content: Mapping[str, Any] = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8"))
    return content


@functools.cache
def _modes() -> Mapping[str, Mode]:
    entries = _data()["modes"]
    return {
        name: Mode(name, **{**entry, "aliases": tuple(entry.get("aliases", ()))}) for name, entry in entries.items()
    }
