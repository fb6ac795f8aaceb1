"""Says what a map does to a checkpoint, entry by entry, without reading an element."""

from __future__ import annotations

from typing import Any

from weight_maps.plan import Entry, Plan


def explain(work: Plan) -> dict[str, Any]:
    """Return a plan as plain data: entries with names, shapes and steps, and what stands on one side alone."""
    one_way = {id(entry): reason for entry, reason in work.one_way()}
    return {
        "entries": [_entry(entry, one_way.get(id(entry), "")) for entry in work.entries],
        "dropped": [_alone(alone) for alone in work.dropped],
        "initialised": [_alone(alone) for alone in work.initialised],
        "against_target": work.against_target,
        "exact": all(id(entry) not in one_way and entry.exact for entry in work.entries),
    }


def _entry(entry: Entry, one_way: str) -> dict[str, Any]:
    return {
        "rule": entry.rule,
        "sources": [{"name": n, "spec": str(s)} for n, s in zip(entry.sources, entry.given, strict=True)],
        "targets": [{"name": n, "spec": str(s)} for n, s in zip(entry.targets, entry.made, strict=True)],
        "steps": [str(step) for step in entry.steps],
        "exact": not one_way and entry.exact,
        "one_way": one_way,
    }


def _alone(alone: Any) -> dict[str, Any]:
    return {"name": alone.name, "spec": str(alone.spec), "reason": alone.reason, "value": alone.value}


def lines(told: dict[str, Any]) -> list[str]:
    """Return what :func:`explain` tells as lines for a person."""
    said = []
    for entry in told["entries"]:
        given = " + ".join(f"{item['name']} {item['spec']}" for item in entry["sources"])
        made = ", ".join(f"{item['name']} {item['spec']}" for item in entry["targets"])
        how = f"  {'; '.join(entry['steps'])}" if entry["steps"] else ""
        back = f"  no way back: {entry['one_way']}" if entry["one_way"] else "" if entry["exact"] else "  loses bits"
        said.append(f"{given} -> {made}{how}{back}")
    said += [f"drop {item['name']} {item['spec']}: {item['reason']}" for item in told["dropped"]]
    said += [f"make {item['name']} {item['spec']} = {item['value']}: {item['reason']}" for item in told["initialised"]]
    return said
