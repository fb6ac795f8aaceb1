"""Writes what a port is made of as Markdown: the precision of its operators on a chip, and its weights."""

from __future__ import annotations

from reports import formats as f
from reports.facts import Model
from reports.language import label, tr
from reports.markup import escape, table
from reports.summary import SHOWN


def precision_map(model: Model) -> list[list[str]]:
    """Return the blocks about what single operators lose, and what has to stay in float32."""
    blocks = []
    for result in model.parity:
        rows = [
            [item.node, item.op, item.precision, item.module, item.line, f.error(item.loss), f.count(item.overflows)]
            for item in result.operators[:SHOWN]
        ]
        if rows:
            heads = [
                tr("node"),
                tr("operator"),
                tr("Computed in"),
                tr("module"),
                tr("source"),
                tr("Lost"),
                tr("Overflows"),
            ]
            blocks += [[f"### {_title(result.executor)}"], table(heads, rows, numbers=2)]
    for chip in model.modelled:
        if chip.search:
            found = chip.search
            said = tr(
                "{metric} {before} with nothing kept, {after} with {kept} of {n} operators in float32; limit {limit}.",
                metric=found.metric or "",
                before=f.error(found.before),
                after=f.error(found.after),
                kept=len(found.keep),
                n=f.count(found.operators),
                limit=f.error(found.limit),
            )
            blocks += [[f"### {escape(tr('What has to stay in float32 on {chip}', chip=chip.target))}"], [escape(said)]]
            blocks.append([f"- {escape(line)}" for line in found.keep])
    return blocks


def _title(executor: str) -> str:
    return escape(f"{tr('Precision map')}: {executor} ({label('emulated')})")


def weight_ledger(model: Model) -> list[list[str]]:
    """Return the blocks about what became of the weights."""
    known = model.ledger
    if known.tensors is None and known.map is None:
        return []
    size = tr(
        "{n} tensors, {elements} elements, {size}",
        n=f.count(known.tensors),
        elements=f.count(known.elements),
        size=f.size(known.bytes),
    )
    names = tr("carried over by the weight map {map}", map=known.map) if known.map else tr("upstream's own")
    facts = [[tr("Weights"), size if known.tensors is not None else ""], [tr("Names"), names]]
    words = {"consumed": tr("consumed"), "produced": tr("produced"), "dropped": tr("dropped")}
    words["initialised"] = tr("initialised")
    facts += [[words.get(key, key), f.count(number)] for key, number in known.totals.items()]
    if known.identical is not None:
        back = tr(
            "{n} source tensors come back to the bit, {other} otherwise",
            n=f.count(known.identical),
            other=f.count(known.different),
        )
        facts.append([tr("Way back"), back])
    return [[f"### {tr('Weight ledger')}"], table([tr("fact"), tr("value")], [fact for fact in facts if fact[1]])]
