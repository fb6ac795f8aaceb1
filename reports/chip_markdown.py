"""Writes a chip's modelled figures as Markdown: the tables of the page, and its charts as tables."""

from __future__ import annotations

from reports import chips
from reports import formats as f
from reports.facts import Modelled
from reports.markup import escape, fenced, table
from reports.summary import sentence


def modelled(chip: Modelled) -> list[list[str]]:
    """Return the blocks about one chip."""
    known = [chips.validation(chip.validation, chip.target), chip.calibration or ""]
    said = " ".join(sentence(words) for words in known if words)
    mode = f" Precision {chip.precision}." if chip.precision else ""
    blocks = [
        [f"### Modelled on {escape(chip.target)}"],
        [escape(f"Predicted by the chip's cost model, not measured.{mode} {said}")],
        *_batches(chip),
        *_published(chip),
        *_kernels(chip),
    ]
    if chip.advice:
        blocks += [[f"#### What would pay ({_worth(chip)})"], _list(chip.advice)]
    blocks.append([f"- unsupported: {escape(name)}" for name in chips.unexplained(chip)])
    return [*blocks, *_compatibility(chip)]


def _worth(chip: Modelled) -> str:
    return escape(f"modelled; {chips.worth(chip.validation)}")


def _list(lines: tuple[str, ...] | list[str]) -> list[str]:
    return [f"- {escape(line)}" for line in lines]


def _batches(chip: Modelled) -> list[list[str]]:
    used, energy = chips.has(chip, "utilisation"), chips.has(chip, "energy_j")
    heads = ["batch", "latency ms (modelled)", "per second (modelled)", "peak memory (modelled)"]
    heads += ["use of the cube (modelled)"] * used + ["energy J (modelled)"] * energy
    rows = [
        [
            *(f.count(b.batch), f.milliseconds(b.latency_ms), f.significant(b.throughput)),
            f.size(b.peak_memory_bytes),
            *([f.percent(b.utilisation, 1)] * used),
            *([f.significant(b.energy_j)] * energy),
        ]
        for b in chip.batches
    ]
    return [table(heads, rows, numbers=len(heads)) if rows else [], [chips.ENERGY] if energy else []]


def _published(chip: Modelled) -> list[list[str]]:
    curves = chips.curves(chip)
    if not curves:
        return []
    heads = ["batch", *(f"per second (published {curve.number})" for curve in curves)]
    rows = [[f.count(batch), *map(f.significant, rates)] for batch, rates in chips.published_rows(chip)]
    return [
        [f"#### Published rates on {escape(chip.target)}"],
        [escape(chips.PUBLISHED)],
        [f"- published {curve.number}: {escape(chips.origin(curve))}" for curve in curves],
        table(heads, rows, numbers=len(heads)),
    ]


def _kernels(chip: Modelled) -> list[list[str]]:
    longest, total = chips.longest(chip), chips.execution_us(chip)
    if not longest:
        return []
    shown = f"The {len(longest)} longest of {f.count(len(chip.ops))} kernels. " if len(longest) < len(chip.ops) else ""
    bounds = ", ".join(f"{part.name} {f.percent(part.share, 1)}" for part in chips.by_bound(chip))
    kinds = [[part.name, f.percent(part.share, 1)] for part in chips.by_operator(chip)]
    rows = [
        [
            *(op.op or op.name, op.unit, op.bound, op.source, f.significant(op.time_us)),
            *(f.percent(chips.share(op, total), 1), f.significant(op.intensity), f.significant(op.gops)),
        ]
        for op in longest
    ]
    heads = ["operators", "unit", "bound", "source", "time µs", "share", "operations per byte", "10⁹ operations/s"]
    return [
        [f"#### Kernels {chips.at_batch(chip)} ({_worth(chip)})".replace("  ", " ")],
        [escape(f"{shown}Shares are of the time of an execution. By bound: {bounds}.")],
        table(["operators", "share of the time (modelled)"], kinds, numbers=1),
        table([*heads[:4], *(f"{head} (modelled)" for head in heads[4:])], rows, numbers=4),
        *_roofs(chip),
    ]


def _roofs(chip: Modelled) -> list[list[str]]:
    roofs = chips.roofs(chip)
    return [[escape(f"Roofs: {', '.join(f'{name} {value}' for name, value in roofs.items())}.")]] if roofs else []


def _compatibility(chip: Modelled) -> list[list[str]]:
    support, obstacles = chips.support(chip), chips.obstacles(chip)
    conditions, command = chips.conditions(chip), chip.compatibility.atc
    if not (support or conditions or command):
        return []
    rows = [
        [item.op, item.unit, item.reason, item.rewrite, "; ".join(item.examples), f.count(item.count)]
        for item in obstacles
    ]
    return [
        [f"#### Compatibility with {escape(chip.target)}"],
        [escape(sentence(support))] if support else [],
        table(["operator", "unit", "why", "instead", "for example", "count"], rows, numbers=1) if rows else [],
        _list(conditions),
        fenced([command]) if command else [],
    ]
