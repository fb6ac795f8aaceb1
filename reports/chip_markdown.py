"""Writes a chip's modelled figures as Markdown: the tables of the page, and its charts as tables."""

from __future__ import annotations

from reports import chips
from reports import formats as f
from reports.facts import Modelled
from reports.language import label, tr
from reports.markup import escape, fenced, table
from reports.summary import listed, sentence


def modelled(chip: Modelled) -> list[list[str]]:
    """Return the blocks about one chip."""
    known = [chips.validation(chip.validation, chip.target), chip.calibration or ""]
    said = " ".join(sentence(words) for words in known if words)
    mode = tr(" Precision {mode}.", mode=chip.precision) if chip.precision else ""
    predicted = tr("Predicted by the chip's cost model, not measured.")
    blocks = [
        [f"### {escape(tr('Modelled on {chip}', chip=chip.target))}"],
        [escape(f"{predicted}{mode} {said}")],
        *_batches(chip),
        *_published(chip),
        *_kernels(chip),
    ]
    if chip.advice:
        blocks += [[f"#### {escape(tr('What would pay'))} ({_worth(chip)})"], _list(chip.advice)]
    blocks.append([f"- {escape(tr('unsupported: {operator}', operator=name))}" for name in chips.unexplained(chip)])
    return [*blocks, *_compatibility(chip)]


def _of_model(head: str) -> str:
    return f"{head} ({label('modelled')})"


def _worth(chip: Modelled) -> str:
    return escape(f"{label('modelled')}; {chips.worth(chip.validation)}")


def _list(lines: tuple[str, ...] | list[str]) -> list[str]:
    return [f"- {escape(line)}" for line in lines]


def _batches(chip: Modelled) -> list[list[str]]:
    used, energy = chips.has(chip, "utilisation"), chips.has(chip, "energy_j")
    heads = [tr("batch"), *map(_of_model, (tr("latency ms"), tr("per second"), tr("peak memory")))]
    heads += [_of_model(tr("use of the cube"))] * used + [_of_model(tr("energy J"))] * energy
    rows = [
        [
            *(f.count(b.batch), f.milliseconds(b.latency_ms), f.significant(b.throughput)),
            f.size(b.peak_memory_bytes),
            *([f.percent(b.utilisation, 1)] * used),
            *([f.significant(b.energy_j)] * energy),
        ]
        for b in chip.batches
    ]
    return [table(heads, rows, numbers=len(heads)) if rows else [], [chips.energy_words()] if energy else []]


def _published(chip: Modelled) -> list[list[str]]:
    curves = chips.curves(chip)
    if not curves:
        return []
    heads = [tr("batch"), *(tr("per second (published {number})", number=curve.number) for curve in curves)]
    rows = [[f.count(batch), *map(f.significant, rates)] for batch, rates in chips.published_rows(chip)]
    return [
        [f"#### {escape(tr('Published rates on {chip}', chip=chip.target))}"],
        [escape(chips.published_words())],
        [f"- {label('published')} {curve.number}: {escape(chips.origin(curve))}" for curve in curves],
        table(heads, rows, numbers=len(heads)),
    ]


def _kernels(chip: Modelled) -> list[list[str]]:
    longest, total = chips.longest(chip), chips.execution_us(chip)
    if not longest:
        return []
    shown = tr("The {shown} longest of {n} kernels.", shown=len(longest), n=f.count(len(chip.ops)))
    bounds = listed(f"{chips.part_name(part.name)} {f.percent(part.share, 1)}" for part in chips.by_bound(chip))
    kinds = [[chips.part_name(part.name), f.percent(part.share, 1)] for part in chips.by_operator(chip)]
    rows = [
        [
            *(op.op or op.name, op.unit, op.bound, op.source, f.significant(op.time_us)),
            *(f.percent(chips.share(op, total), 1), f.significant(op.intensity), f.significant(op.gops)),
        ]
        for op in longest
    ]
    heads = [tr("operators"), tr("unit"), tr("bound"), tr("source")]
    figures = [tr("time µs"), tr("share"), tr("operations per byte"), tr("10⁹ operations/s")]
    said = [shown] if len(longest) < len(chip.ops) else []
    said += [tr("Shares are of the time of an execution."), tr("By bound: {bounds}.", bounds=bounds)]
    return [
        [f"#### {tr('Kernels')} {chips.at_batch(chip)} ({_worth(chip)})".replace("  ", " ")],
        [escape(" ".join(said))],
        table([tr("operators"), _of_model(tr("share of the time"))], kinds, numbers=1),
        table([*heads, *map(_of_model, figures)], rows, numbers=4),
        *_roofs(chip),
    ]


def _roofs(chip: Modelled) -> list[list[str]]:
    roofs = chips.roofs(chip)
    said = listed(f"{chips.part_name(name)} {value}" for name, value in roofs.items())
    return [[escape(tr("Roofs: {roofs}.", roofs=said))]] if roofs else []


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
        [f"#### {escape(tr('Compatibility with {chip}', chip=chip.target))}"],
        [escape(sentence(support))] if support else [],
        table([tr("operator"), tr("unit"), tr("why"), tr("instead"), tr("for example"), tr("count")], rows, 1)
        if rows
        else [],
        _list(conditions),
        fenced([command]) if command else [],
    ]
