"""The comparison of ``zooport report --diff OLD NEW``: opens both sides, prints and writes what changed."""

from __future__ import annotations

import argparse
import xml.etree.ElementTree as ET
from pathlib import Path

from reports.diff import Comparison, compare
from reports.facts import Report
from reports.finding import Change
from reports.gates import NAMES, parse_gates
from reports.language import speaking, tr, trn
from reports.markup import escape, table
from reports.rendering import FACTS
from reports.tables import xml_text
from zoo.errors import UserError
from zoo.record import dumps, to_json, write_atomically

_FILES = {"markdown": "diff.md", "json": "diff.json", "junit": "junit.xml"}


def run_diff(args: argparse.Namespace) -> int:
    """Compare the two sides of ``--diff``; 1 where a gate breaks."""
    from zoo.console import emit, emit_json

    if args.artifacts:
        raise UserError(
            "a comparison has two sides and no more",
            expected="--diff OLD NEW",
            got=", ".join(str(path) for path in args.artifacts) + " beside them",
        )
    gates = parse_gates(args.gate)
    old, new = (_open(path, args.unsealed) for path in args.diff)
    with speaking(args.lang):
        found = compare(old, new, gates)
        if args.out:
            _write(found, args.out)
        if args.json:
            emit_json(found)
        else:
            emit(_text(found))
    return 0 if found.verdict == "pass" else 1


def _open(path: Path, unsealed: bool) -> Report:
    """Return one side: a report or its folder, an artifact, a sweep, or a folder of artifacts.

    Raises:
        UserError: If it is none of these.
    """
    from reports.decode import read_report
    from reports.opening import open_all
    from reports.sweeps import is_sweep
    from zoo.artifact import MANIFEST

    if path.is_file() or (path / FACTS).is_file():
        return read_report(path if path.is_file() else path / FACTS)
    if (path / MANIFEST).is_file() or is_sweep(path):
        return open_all([path], unsealed=unsealed)
    inside = sorted(item.parent for item in path.glob(f"*/{MANIFEST}")) if path.is_dir() else []
    if not inside:
        raise UserError(
            "there is nothing to compare",
            place=str(path),
            expected=f"an artifact, a folder of artifacts, a sweep, or a report ({FACTS})",
            got="a folder without any of them" if path.is_dir() else "nothing",
        )
    return open_all(inside, unsealed=unsealed)


def _text(found: Comparison) -> str:
    lines = [_line(change) for change in found.changes]
    return "\n".join([*lines, _headline(found)])


def _line(change: Change) -> str:
    why = f"  ({change.why})" if change.why else ""
    return f"{_mark(change)} {change.model}: {change.subject}: {change.old} -> {change.new}{why}"


def _mark(change: Change) -> str:
    words = {"regression": tr("worse"), "improvement": tr("better"), "change": tr("changed")}
    return f"{tr('BREAKS') if change.breaks else words[change.kind]} [{_gate(change.gate)}]"


def _gate(name: str) -> str:
    return {"parity": tr("parity"), "accuracy": tr("accuracy"), "speed": tr("speed"), "graph": tr("graph")}[name]


def _headline(found: Comparison) -> str:
    broken = [change for change in found.changes if change.breaks]
    if broken:
        gates = ", ".join(_gate(name) for name in NAMES if any(change.gate == name for change in broken))
        return trn(
            "fail: {n} regression breaks a gate ({gates})",
            "fail: {n} regressions break a gate ({gates})",
            len(broken),
            gates=gates,
        )
    return tr(
        "pass: no gate breaks; {n} models compared, {changes} changes", n=found.models, changes=len(found.changes)
    )


def _write(found: Comparison, out: Path) -> None:
    """Write the comparison for people (Markdown) and for continuous integration (JSON, JUnit)."""
    contents = {"markdown": _markdown(found), "json": dumps(to_json(found)), "junit": _junit(found)}
    try:
        out.mkdir(parents=True, exist_ok=True)
        for form, content in contents.items():
            write_atomically(out / _FILES[form], content.encode(errors="replace"))
    except OSError as error:
        raise UserError("the comparison cannot be written", place=str(out), got=str(error)) from error


def _markdown(found: Comparison) -> str:
    rows = [[_mark(item), item.model, item.subject, item.old, item.new, item.why] for item in found.changes]
    heads = ["", tr("model"), tr("what"), tr("old"), tr("new"), tr("why")]
    blocks = [[f"# {tr('zooport report: comparison')}"], [escape(_headline(found))], table(heads, rows) if rows else []]
    return "\n\n".join("\n".join(lines) for lines in blocks if lines) + "\n"


def _junit(found: Comparison) -> str:
    """Return one suite with a case for every regression, and one that says that the others hold."""
    regressions = [change for change in found.changes if change.kind == "regression"]
    root = ET.Element("testsuites", name="zooport report --diff")
    suite = ET.SubElement(root, "testsuite", name="diff", tests=str(len(regressions) + 1))
    suite.set("failures", str(sum(change.breaks for change in regressions)))
    ET.SubElement(suite, "testcase", classname="diff", name=f"{found.models} models compared")
    for change in regressions:
        case = ET.SubElement(
            suite, "testcase", classname=xml_text(f"{change.gate}.{change.model}"), name=xml_text(change.subject)
        )
        if change.breaks:
            ET.SubElement(case, "failure", message=xml_text(f"{change.old} -> {change.new}")).text = xml_text(
                change.why
            )
    ET.indent(root)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{ET.tostring(root, encoding="unicode")}\n'
