"""CSV and JUnit: the same figures, readable by other programs, whatever a name holds."""

from __future__ import annotations

import csv
import io
import json
import xml.etree.ElementTree as ET
from pathlib import Path
from types import SimpleNamespace

from reports import collect, render_report
from reports.facts import Report
from reports.rendering import FILES
from reports.sources import Source
from reports.tables import HEADS, csv_table, junit


def test_the_csv_has_the_figures_of_the_json(built: dict[str, Path]) -> None:
    facts = json.loads((built["en"] / "report.json").read_text())
    rows = list(csv.DictReader(io.StringIO((built["en"] / "report.csv").read_text())))
    assert tuple(rows[0]) == HEADS
    found = {(row["model"], row["executor"], row["subject"], row["figure"]): row for row in rows}
    model = facts["models"][0]
    for result in model["parity"]:
        for output in result["outputs"]:
            row = found["resnet50", result["executor"], f"output {output['name']}", "ratio"]
            assert (float(row["value"]), row["label"]) == (output["budget"]["ratio"], result["label"])
    for timed in model["bench"]["rows"]:
        row = found["resnet50", timed["route"], f"{timed['side']} {timed['threads']}", "p50_ms"]
        assert float(row["value"]) == timed["p50_ms"]
        assert [float(row["low"]), float(row["high"])] == timed["interval"]
    assert found["resnet50", "ascend310p3", "batch 8", "throughput"]["label"] == "modelled"
    assert found["timm:model_0005.in1k", "", "sweep", "stage"]["value"] == "translate"
    # Machines read it whatever the language of the pages is.
    assert (built["zh"] / "report.csv").read_text() == (built["en"] / "report.csv").read_text()


def test_a_spreadsheet_takes_no_name_for_a_formula(make: SimpleNamespace) -> None:
    text = csv_table(collect([Source("x", make.card("=HYPERLINK(1)", "t", "@ref"), {"parity": make.parity()})]))
    row = next(csv.DictReader(io.StringIO(text)))
    assert (row["model"], row["reference"]) == ("'=HYPERLINK(1)", "'@ref")


def test_junit_fails_where_a_verdict_does(report: Report) -> None:
    suites = {suite.get("name"): suite for suite in ET.fromstring(junit(report).split("?>", 1)[1])}
    assert suites["resnet50"].get("failures") == "0"
    assert suites["all-MiniLM-L6-v2"].get("failures") == "1"
    failure = suites["all-MiniLM-L6-v2"].find("testcase/failure")
    assert failure is not None
    assert "ratio inf, limit 3; the port's GELU uses tanh" in (failure.get("message") or "")
    assert suites["MobileNetV2"].get("skipped") == "1"
    assert [suites["night"].get(name) for name in ("tests", "failures", "skipped")] == ["30", "5", "1"]


def test_junit_holds_what_xml_cannot(make: SimpleNamespace) -> None:
    name = "a\x00b\x1b[31m\ud800<c>&"
    text = junit(
        collect([Source("x", make.card(name, "t", "r"), {"parity": make.parity(diagnosis=name, verdict="fail")})])
    )
    (suite,) = ET.fromstring(text.split("?>", 1)[1])
    assert suite.get("name") == "a?b?[31m?<c>&"


def test_only_the_forms_asked_for_are_written(report: Report, tmp_path: Path) -> None:
    first = render_report(report, tmp_path, forms=["junit", "csv"])
    assert first == tmp_path / FILES["csv"]
    assert {file.name for file in tmp_path.iterdir()} == {"report.csv", "junit.xml"}


def test_pages_of_an_earlier_report_go_and_other_files_stay(make: SimpleNamespace, tmp_path: Path) -> None:
    render_report(collect([make.empty(), make.complete()]), tmp_path, forms=["html"])
    (tmp_path / "models" / "mine.html").write_text("mine")
    render_report(collect([make.empty()]), tmp_path, forms=["html"])
    assert {file.name for file in (tmp_path / "models").iterdir()} == {"m1-mobilenetv2.html", "mine.html"}
