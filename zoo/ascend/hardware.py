"""What is known of each Ascend chip: small frozen values read from ``specs/<chip>.yaml``."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import yaml

from zoo.errors import InternalError, UserError, nearest

_SPECS = Path(__file__).parent / "specs"


@dataclasses.dataclass(frozen=True)
class Fact:
    """One figure of a chip and what it rests on.

    Attributes:
        value: A number, text, list or mapping; None where nothing was found.
        unit: The unit of the value, or None where it has none.
        source: Where the figure stands (a vendor file, a document, a formula).
        status: ``firm``, ``derived`` (computed from firm figures), ``conflict`` (sources differ, see the note),
            ``shaky`` (weak or recalled) or ``unknown``.
        note: What a reader should know before using the value.
    """

    value: Any
    source: str
    status: Literal["firm", "derived", "conflict", "shaky", "unknown"]
    unit: str | None = None
    note: str | None = None


@dataclasses.dataclass(frozen=True)
class Chip:
    """One chip, as the compiler and the cost model see it.

    Attributes:
        name: The name in lower case, which is also the name of its spec file: ``ascend310p3``.
        soc_names: The names ATC knows the chip by (``--soc_version``).
        arch: The instruction set, for example ``dav-m200``.
        ai_cores: Cores with a cube unit (per die where the chip has two).
        vector_cores: Vector cores beside the AI cores; 0 where the vector unit is inside the AI core.
        clock_hz: Clock of the AI cores.
        cube_mkn_fp16: The M, K, N of the block that the cube multiplies in one cycle, fp16 operands.
        cube_mkn_int8: The same for int8 operands.
        l0a_bytes: Buffer of the left cube operand, per core.
        l0b_bytes: Buffer of the right cube operand, per core.
        l0c_bytes: Buffer of the cube's fp32 accumulators, per core.
        l1_bytes: Buffer that feeds L0A and L0B, per core.
        ub_bytes: Unified Buffer of the vector unit, per core.
        l2_bytes: Cache shared by all cores.
        dram_bytes_per_s: Bandwidth of the device memory.
        cube_inputs: Operand types of the cube: ``fp16``, ``bf16``, ``fp32``, ``hf32``, ``int8``, ``int4``.
        supports_bfloat16: Whether the chip computes in bfloat16.
        saturates: Whether an overflowing fp16 becomes the largest finite value (and NaN becomes 0);
            otherwise it becomes Inf, as in IEEE 754.
        facts: Every figure of the spec file by name, with source and status.
    """

    name: str
    soc_names: tuple[str, ...]
    arch: str
    ai_cores: int
    vector_cores: int
    clock_hz: float
    cube_mkn_fp16: tuple[int, int, int]
    cube_mkn_int8: tuple[int, int, int]
    l0a_bytes: int
    l0b_bytes: int
    l0c_bytes: int
    l1_bytes: int
    ub_bytes: int
    l2_bytes: int
    dram_bytes_per_s: float
    cube_inputs: tuple[str, ...]
    supports_bfloat16: bool
    saturates: bool
    facts: Mapping[str, Fact] = dataclasses.field(repr=False, compare=False)

    @property
    def peak_flops(self) -> float:
        """The fp16 operations per second of all cubes: cores x clock x two per multiply-add of M x K x N."""
        return 2.0 * math.prod(self.cube_mkn_fp16) * self.ai_cores * self.clock_hz


def chip_names() -> tuple[str, ...]:
    """Return the names of all known chips, sorted."""
    return tuple(sorted(spec.stem for spec in _SPECS.glob("*.yaml")))


def load_chip(name: str) -> Chip:
    """Return the chip called ``name``: ours (``ascend310p3``) or ATC's (``Ascend310P3``, ``Ascend910_9382``).

    Raises:
        UserError: If there is no such chip; the message names the nearest ones.
    """
    wanted = name.strip().lower()
    if wanted in chip_names():
        return _read(wanted)
    for known in chip_names():
        chip = _read(known)
        if wanted in (soc.lower() for soc in chip.soc_names):
            return chip
    raise UserError(
        f"there is no chip called {name!r}",
        expected=f"one of {', '.join(chip_names())}",
        got=name,
        hint=f"did you mean: {nearest(wanted, chip_names())}",
    )


@functools.cache
def _read(name: str) -> Chip:
    """Return the chip of the spec file ``<name>.yaml``."""
    path = _SPECS / f"{name}.yaml"
    spec = yaml.safe_load(path.read_text(encoding="utf-8"))
    facts = {key: Fact(**fact) for key, fact in spec["facts"].items()}

    def value(*keys: str) -> Any:
        for key in keys:
            if key in facts and facts[key].value is not None:
                return facts[key].value
        raise InternalError(f"{path.name}: none of the facts {', '.join(keys)} has a value")

    soc = value("soc_version")
    dtypes = value("dtypes")
    return Chip(
        name=name,
        soc_names=(soc,) if isinstance(soc, str) else tuple(soc),
        arch=value("arch"),
        ai_cores=value("ai_core_count"),
        vector_cores=value("vector_core_count"),
        clock_hz=value("clock_mhz") * 1e6,
        cube_mkn_fp16=tuple(value("cube_mkn_fp16")),
        cube_mkn_int8=tuple(value("cube_mkn_int8")),
        **{f"{buffer}_bytes": value(f"{buffer}_bytes") for buffer in ("l0a", "l0b", "l0c", "l1", "ub", "l2")},
        # The training chips have HBM, the inference chips LPDDR4X; no chip has both.
        dram_bytes_per_s=value("hbm_gbps", "dram_gbps") * 1e9,
        cube_inputs=tuple(dtypes["cube_in"]),
        supports_bfloat16=bool(dtypes["bf16"]),
        saturates=value("overflow_mode")["default"] == "saturation",
        facts=MappingProxyType(facts),
    )
