"""A chip's modelled figures: shares, charts, words and published rates; what is absent is left out, never made up."""

from __future__ import annotations

import copy
import html
import json
import math
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from reports import chip_charts, chips, collect, render_report
from reports.compilations import modelled
from reports.facts import Modelled, Report, Validation
from reports.html import site
from reports.markdown import markdown
from reports.published import published_rates
from reports.sources import Source
from zoo.ascend.published import mapped, usable


def _read(data: dict[str, Any]) -> Modelled:
    return modelled("ascend-310p3", data)


def _pages(report: Report) -> str:
    return "\n".join(text for path, text in site(report) if path.endswith(".html"))


def _both(make: SimpleNamespace, data: dict[str, Any], **card: Any) -> tuple[str, str]:
    """Return page and Markdown about one model with this compilation."""
    about = make.card("m", "t", "onnx:m") | card
    report = collect([Source("m", about, {"ascend-310p3": data})])
    code_less = re.sub(
        r"(?s)<(script|style).*?</\1>", "", "\n".join(text for path, text in site(report) if path.endswith(".html"))
    ).replace("<wbr>", "")
    shown = html.unescape(re.sub(r"<[^>]*>", " ", code_less))
    return " ".join(shown.split()), markdown(report)


def test_shares_are_of_an_execution_and_add_up(make: SimpleNamespace) -> None:
    chip = _read(make.compiled())
    assert {part.name: round(part.share, 6) for part in chips.by_bound(chip)} == {
        "cube": 0.6, "outside the kernels": 0.2, "bandwidth": 0.17, "launch": 0.03,
    }  # fmt: skip
    assert [part.name for part in chips.by_operator(chip)][:3] == ["Conv + Relu", "outside the kernels", "MaxPool"]
    many = [make.kernel(f"Op{place}", "vector", 1.0 + place) for place in range(40)]
    parts = chips.by_operator(_read(make.compiled(ops=many)))
    assert len(parts) <= chips.KINDS + 2
    assert parts[-1].name == "others"
    assert math.fsum(part.share for part in parts) == pytest.approx(1)


def test_without_a_latency_shares_are_of_the_kernels(make: SimpleNamespace) -> None:
    chip = _read(make.compiled(batches=[]))
    assert chips.execution_us(chip) == 800
    assert "outside the kernels" not in {part.name for part in chips.by_bound(chip)}


def test_the_longest_kernels_come_first(make: SimpleNamespace) -> None:
    ops = [make.kernel("Add", "vector", float(time)) for time in (3, 9, *range(10, 40), 1)]
    found = chips.longest(_read(make.compiled(ops=ops)))
    assert [op.time_us for op in found] == [float(time) for time in range(39, 24, -1)]


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        (Validation(), "the cost model's error is not recorded"),
        (Validation(found=False), "no measurement of this chip was found"),
        (
            Validation(True, "ascend310p3", 14, 112, 0.182, 0.871, 0.97, 0.251),
            "median error 18.2 %, rank correlation 0.97, 87 % within 1.5 times on 112 measurements of 14 models "
            "that it was not fitted on; 25.1 % where a model's whole family was left out",
        ),
        (Validation(True, "ascend910a", 1, 1, 0.3), "on 1 measurement of 1 model of ascend910a that it was not"),
        (Validation(True, None, None, None, math.nan), "the cost model's error is not recorded"),
    ],
)
def test_the_error_is_said_in_words(known: Validation, expected: str) -> None:
    assert expected in chips.validation(known, "ascend310p3")


@pytest.mark.parametrize(
    ("validation", "expected"), [({"median_ape": 0.182}, "median error 18.2 %"), (None, "no measurement of this chip")]
)
def test_every_part_carries_the_label_and_the_error(make: SimpleNamespace, validation: Any, expected: str) -> None:
    data = make.compiled(validation=validation)
    shown, text = _both(make, data)
    # The head of the chip, two charts over the batch, kernels, advice.
    assert shown.lower().count(expected) == 5
    for heading in ("Kernels at batch 8", "Roofline at batch 8", "Where the time goes at batch 8", "What would pay"):
        assert f"{heading} modelled" in shown
    assert text.lower().count(expected) == 3
    assert (
        f"#### Kernels at batch 8 (modelled; {chips.worth(_read(make.compiled(validation=validation)).validation)})"
        in text
    )


def test_obstacles_notes_and_the_command_are_shown(make: SimpleNamespace) -> None:
    for text in _both(make, make.compiled()):
        for words in (
            "NonZero", "its size depends on data", "replace the selection by a mask",
            "select/NonZero select model.py:7", "ATC reads opset 11 to 18, the graph has 23",
            "values of type int64 computed on the chip: 3",
            "23% of the modelled time is a convolution of few channels", "53 on the cube, 1 on the AI CPU",
            "atc --framework=5 --model=model.onnx --soc_version=Ascend310P3", "upper estimate: the board's power limit",
            "24.4 %",
        ):  # fmt: skip
            assert words in text.replace("\\_", "_")
    shown, _ = _both(make, make.compiled(compatibility={"operators": [{"op": "Conv", "unit": "cube", "count": 2}]}))
    assert "2 on the cube. None runs on the AI CPU, none is unsupported." in shown
    for text in _both(make, make.compiled(compatibility={"operators": [{"op": "Unique", "unit": "aicpu"}]})):
        assert "How many operators run where is not recorded." in text


def test_columns_without_a_figure_are_left_out(make: SimpleNamespace) -> None:
    batches = [{"batch": 1, "latency_ms": 0.3, "throughput": 3333.0}]
    for text in _both(make, make.compiled(batches=batches)):
        assert "cube" in text
        assert not re.search("(?i)energy|use of the cube", text)


def _without() -> list[tuple[str, ...]]:
    names = (
        "target",
        "precision",
        "batches",
        "ops",
        "roofline",
        "unsupported",
        "compatibility",
        "advice",
        "validation",
    )
    inner = [("batches", name) for name in ("batch", "latency_ms", "throughput", "utilisation", "energy_j")]
    inner += [("ops", name) for name in ("name", "op", "source", "unit", "bound", "time_us", "intensity", "gops")]
    inner += [("roofline", name) for name in ("cube_gops", "vector_gops", "dram_bytes_per_s")]
    inner += [("compatibility", name) for name in ("operators", "dynamic", "notes", "atc")]
    return [*((name,) for name in (*names, "validation", "calibration")), *inner]


@pytest.mark.parametrize("path", _without(), ids=".".join)
@pytest.mark.parametrize("junk", [False, True], ids=["absent", "junk"])
def test_a_file_that_lacks_a_field_is_shown_without_it(
    make: SimpleNamespace, path: tuple[str, ...], junk: bool
) -> None:
    data = copy.deepcopy(make.compiled())
    inside = data[path[0]] if len(path) > 1 else data
    for holder in inside if isinstance(inside, list) else [inside]:
        del holder[path[-1]]
        if junk:
            holder[path[-1]] = {"junk": []}
    for text in _both(make, data):
        assert "310p3" in text
        assert not re.search(r"\bNone\b(?! runs)|\bnan\b|junk", text)


@pytest.mark.parametrize("data", [{}, {"ops": [{}], "batches": [{}], "roofline": []}, {"validation": None}])
def test_hardly_any_field_is_enough(make: SimpleNamespace, data: dict[str, Any]) -> None:
    shown, text = _both(make, data)
    assert "Cost model of 310p3 modelled" in shown
    assert "### Modelled on 310p3" in text
    assert all(chart is None for chart in chip_charts.charts(_read(data)).values())


def test_kernels_lie_on_the_roofline_at_their_figures(make: SimpleNamespace) -> None:
    chart = chip_charts.charts(_read(make.compiled()))["roofline"]
    assert chart is not None
    dots = [trace for trace in chart.figure["data"] if trace["mode"] == "markers"]
    found = {x: y for trace in dots for x, y in zip(trace["x"], trace["y"], strict=True)}
    assert found.keys() == {50.0, 0.9, 0.3}
    assert found[0.9] == pytest.approx(1e-3 * 900 / 120)
    cube = next(trace for trace in dots if len(trace["x"]) == 2)
    large, small = cube["marker"]["size"]
    assert (large / small) ** 2 == pytest.approx(5)
    assert "1 kernel without arithmetic, 5.0 % of the time" in chart.note
    roof, level, memory = (trace for trace in chart.figure["data"] if trace["mode"] == "lines")
    assert roof["y"] == [69468.16] * 2
    assert roof["x"][0] == pytest.approx(69468.16 / 204.8)
    assert level["y"] == [2035.2] * 2
    assert memory["y"] == pytest.approx([204.8 * x for x in memory["x"]])
    assert memory["y"][1] == pytest.approx(69468.16)


def test_names_reach_the_charts_as_text(make: SimpleNamespace) -> None:
    ops = [make.kernel("<b>bold</b>", "<i>", 10.0, source="<a href=x>y</a>"), make.kernel("Add", "vector", 5.0)]
    charts = chip_charts.charts(_read(make.compiled(ops=ops)))
    for name in ("roofline", "time"):
        chart = charts[name]
        assert chart is not None
        drawing = str(chart.figure)
        assert "&lt;b&gt;bold&lt;/b&gt;" in drawing
        assert not re.search("<(?!br>|extra>|/extra>)", drawing)


def _resnet18(make: SimpleNamespace, **first: Any) -> dict[str, Any]:
    image = {"name": "x", "dtype": "float32", "shape": ["batch", 3, 224, 224], **first}
    card: dict[str, Any] = make.card("resnet18", "t", "torchvision:resnet18", inputs=[image])
    return card


def test_published_rates_are_those_of_the_table(make: SimpleNamespace) -> None:
    rows = {row.batch: row for row in usable("ascend310p3") if row.model == "Resnet18"}
    found = published_rates(_resnet18(make), "ascend310p3")
    assert len(found) > 3
    assert {rate.batch: rate.throughput for rate in found} == {row.batch: row.samples_per_s for row in rows.values()}
    assert {rate.source for rate in found} == {row.source for row in rows.values()}
    assert all(rate.label == "published" for rate in found)
    assert found[0].latency_ms == pytest.approx(1e3 * rows[1].seconds)
    fixed = published_rates(_resnet18(make, shape=[8, 3, 224, 224]), "ascend310p3")
    assert [rate.batch for rate in fixed] == [8]


@pytest.mark.parametrize(
    ("card", "chip"),
    [
        ({"shape": ["batch", 3, 256, 256]}, "ascend310p3"),
        ({"dtype": "uint8"}, "ascend310p3"),
        ({"shape": None}, "ascend310p3"),
        ({}, "ascend310b4"),
    ],
)
def test_another_input_or_chip_has_no_published_rate(make: SimpleNamespace, card: dict[str, Any], chip: str) -> None:
    assert published_rates(_resnet18(make, **card), chip) == ()


def test_only_exact_entries_of_one_configuration_count(make: SimpleNamespace) -> None:
    for entry in mapped():
        inputs = [{"name": spec.name, "dtype": spec.dtype, "shape": list(spec.shape)} for spec in entry.inputs]
        card = make.card(entry.key, "t", entry.source, inputs=inputs)
        twins = [other for other in mapped() if other.source == entry.source and other.inputs == entry.inputs]
        if all(other.agreement != "exact" or other.config is not None for other in twins):
            assert published_rates(card, "ascend310p3") == ()
    assert published_rates({}, "ascend310p3") == ()


def test_published_rates_never_join_the_modelled_series(make: SimpleNamespace) -> None:
    data = make.compiled()
    report = collect([Source("m", _resnet18(make), {"ascend-310p3": data})])
    (chip,) = report.models[0].modelled
    chart = chip_charts.charts(chip)["throughput"]
    assert chart is not None
    ours, theirs = chart.figure["data"]
    assert [key.text for key in chart.legend] == ["modelled", "published"]
    assert list(ours["y"]) == [row["throughput"] for row in data["batches"]]
    assert list(theirs["y"]) == [rate.throughput for rate in chip.published]
    assert theirs["mode"] == "markers"
    assert all(chip.published[0].source in text for text in theirs["text"])
    shown, text = _pages(report), markdown(report)
    assert "published rates of this model on ascend310p3" in shown
    assert "| batch | per second (published 1) |" in text
    assert "| 1 | 2,865 |" in text


def test_the_page_of_a_compiled_artifact_says_the_same_as_its_json(make: SimpleNamespace, tmp_path: Path) -> None:
    index = render_report(collect([make.complete()]), tmp_path)
    facts = json.loads(index.with_name("report.json").read_text())["models"][0]["modelled"][0]
    assert facts["roofs"]["cube_gops"] == 69468.16
    assert facts["validation"]["rows"] == 112
    assert [op["op"] for op in facts["ops"]] == [op["op"] for op in make.compiled()["ops"]]
    assert facts["compatibility"]["atc"] == make.compiled()["compatibility"]["atc"]
