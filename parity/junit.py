"""Writes a verdict as JUnit XML, the format in which continuous integration shows tests."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from pathlib import Path

from parity.verdict import OutputResult, ParityResult
from zoo.record import write_atomically


def write_junit(results: Mapping[str, ParityResult], file: Path) -> None:
    """Write one suite for each result: a case for every output, for every guard that does not hold and every layer.

    Args:
        results: Verdicts by the name of what was checked.
        file: Where the XML goes.
    """
    root = ET.Element("testsuites", name="zooport")
    for name, result in results.items():
        cases = [*_outputs(name, result), *_guards(name, result), *_layers(name, result)]
        failed = sum(case.find("failure") is not None for case in cases)
        if result.error is not None:
            broken = ET.Element("testcase", classname=name, name="runner")
            ET.SubElement(broken, "error", message=result.error.said()[:500]).text = "\n".join(result.error.last_words)
            cases.append(broken)
        elif failed == 0 and not result.holds:
            cases.append(_case(name, "verdict", result.diagnosis or "the port does not hold"))
            failed = 1
        errors = str(int(result.error is not None))
        suite = ET.SubElement(root, "testsuite", name=name, tests=str(len(cases)), failures=str(failed), errors=errors)
        properties = ET.SubElement(suite, "properties")
        for key in ("executor", "precision", "verdict", "truth", "decided_by", "cases", "probes", "seed"):
            ET.SubElement(properties, "property", name=f"zooport.{key}", value=str(getattr(result, key)))
        suite.extend(cases)
    ET.indent(root)
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file, b'<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, encoding="utf-8"))


def _outputs(name: str, result: ParityResult) -> list[ET.Element]:
    return [
        _case(f"{name}.outputs", output.name, _said(output) if output.verdict == "fail" else "")
        for output in result.outputs
    ]


def _said(output: OutputResult) -> str:
    words = list(output.notes)
    if output.budget is not None and not output.budget.holds:
        words.insert(0, f"ratio {output.budget.ratio:.3g}, limit {output.budget.limit:g}")
    return "; ".join(words) or "fail"


def _guards(name: str, result: ParityResult) -> list[ET.Element]:
    return [
        _case(f"{name}.guards", " ".join(filter(None, [finding.guard, finding.output])), finding.detail)
        for finding in result.guards
    ]


def _layers(name: str, result: ParityResult) -> Sequence[ET.Element]:
    return [
        _case(
            f"{name}.layers",
            layer.node,
            f"ratio {layer.single:.3g}, limit {layer.limit:g}; {layer.note}" if layer.verdict == "fail" else "",
        )
        for layer in result.layers
    ]


def _case(group: str, name: str, failure: str) -> ET.Element:
    case = ET.Element("testcase", classname=group, name=name)
    if failure:
        ET.SubElement(case, "failure", message=failure[:500]).text = failure
    return case
