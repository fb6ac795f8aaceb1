"""Compares accuracies: a fall counts where the paired interval leaves no room for the old figure."""

from __future__ import annotations

from collections.abc import Iterator

from reports import formats as f
from reports.facts import Accuracy, AccuracyRow
from reports.finding import Change
from reports.gates import Gates
from reports.language import tr


def accuracy_changes(name: str, old: Accuracy | None, new: Accuracy | None, gates: Gates) -> Iterator[Change]:
    """Yield what changed in the accuracy of one model, executor by executor."""
    if old is None:
        return
    if new is None:
        said = tr("not evaluated any more: zooport eval, or leave this gate out")
        yield Change("accuracy", name, old.metric or "", tr("evaluated"), said, "regression")
        return
    after = {row.executor: row for row in new.rows}
    for before in old.rows:
        now = after.get(before.executor)
        subject = tr("{metric} on {executor}", metric=old.metric or tr("metric"), executor=before.executor)
        if old.metric != new.metric:
            yield Change("accuracy", name, subject, old.metric or "", new.metric or "", "change", tr("another metric"))
        elif now is None:
            said = tr("not evaluated any more: zooport eval, or leave this gate out")
            yield Change("accuracy", name, subject, f.score(old, before.port), said, "regression")
        else:
            yield from _row(name, subject, (old, before), (new, now), gates)


def _row(
    name: str, subject: str, old: tuple[Accuracy, AccuracyRow], new: tuple[Accuracy, AccuracyRow], gates: Gates
) -> Iterator[Change]:
    (was_of, was), (is_of, now) = old, new
    if was.port is None or now.port is None or was.port == now.port:
        return
    before, after = f.score(was_of, was.port), f.score(is_of, now.port)
    if now.port > was.port:
        yield Change("accuracy", name, subject, before, after, "improvement")
        return
    highest = _highest(was, now)
    if highest is None:
        # Without an interval nobody knows the noise: only a limit that was asked for can judge.
        beyond = gates.accuracy is not None and was.port - now.port > gates.accuracy
        why = tr("no interval is recorded: judged by the limit alone, where one is given")
    else:
        beyond = highest < 0 and was.port - now.port > (gates.accuracy or 0.0)
        most = f.change(is_of, highest)
        why = tr("within noise or limit: the change may be up to {most}", most=most)
        if beyond:
            why = tr("the change is {most} or worse (95 %)", most=most)
    yield Change("accuracy", name, subject, before, after, "regression" if beyond else "change", why)


def _highest(old: AccuracyRow, new: AccuracyRow) -> float | None:
    """Return the most that the change from old to new may be, at 95 %, as a difference of scores.

    Both sides are paired with the same original, so the change of their differences to it is judged where both have
    an interval, new's own interval standing for the noise; else right answers by Wilson's interval of the score.
    """
    if new.interval is not None and old.delta is not None and old.original == new.original:
        return new.interval[1] - old.delta
    if new.port_wilson is not None and old.port is not None:
        return new.port_wilson[1] - old.port
    return None
