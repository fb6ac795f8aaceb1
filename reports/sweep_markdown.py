"""Writes a sweep as Markdown: coverage by family, failures by cause, and every model that does not pass."""

from __future__ import annotations

from reports import formats as f
from reports.facts import Sweep
from reports.language import tr
from reports.language import verdict as word
from reports.markup import escape, table
from reports.summary import SHOWN, listed
from reports.sweeps import EXAMPLES, clusters, families, passes, tally


def swept(sweep: Sweep) -> list[list[str]]:
    """Return the blocks about one sweep."""
    counts = tally(sweep.rows)
    said = tr(
        "{passed} of {ran} models whose original runs pass; {n} in the sweep.",
        passed=counts["pass"],
        ran=counts["pass"] + counts["fail"],
        n=len(sweep.rows),
    )
    covered = [
        [of.name, *map(f.count, (of.models, of.counted, of.passed)), f.percent(of.share)] for of in families(sweep.rows)
    ]
    heads = [tr("family"), tr("models"), tr("original runs"), tr("pass"), tr("share")]
    title = f"## {escape(tr('Sweep {name}', name=sweep.directory))}"
    return [[title], [escape(said)], table(heads, covered, numbers=4), *_failures(sweep)]


def _failures(sweep: Sweep) -> list[list[str]]:
    causes = [
        [of.cause, of.stage, listed(row.source for row in of.rows[:EXAMPLES]), f.count(len(of.rows))]
        for of in clusters(sweep.rows)
    ]
    if not causes:
        return []
    left = [
        [row.source, row.family, word(row.verdict or row.status or ""), row.stage, row.error]
        for row in sweep.rows
        if not passes(row)
    ]
    return [
        [f"### {tr('Failures by cause')}"],
        table([tr("cause"), tr("stage"), tr("for example"), tr("models")], causes, 1),
        table([tr("model"), tr("family"), tr("verdict"), tr("stage"), tr("error")], left[:SHOWN]),
    ]
