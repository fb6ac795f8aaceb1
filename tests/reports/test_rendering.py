"""The three written files: the same numbers in each, nothing unescaped, the same bytes twice."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import pytest

from reports import collect, formats, render, render_report
from reports.cli import REPORT
from reports.html import PLOTLY
from reports.markdown import markdown
from reports.rendering import FACTS, FILES, HTML, MARKDOWN
from reports.sources import Source
from zoo.errors import UserError


class Seen(HTMLParser):
    """Collects the tags, the text and the scripts of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.data: list[str] = []
        self.script: str | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag in ("script", "style"):
            self.script = dict(attrs).get("type") or "code"

    def handle_endtag(self, tag: str) -> None:
        self.script = None

    def handle_data(self, data: str) -> None:
        if self.script == "application/json":
            self.data.append(data)
        elif self.script is None:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def test_the_same_facts_are_the_same_bytes(sources: list[Source], tmp_path: Path) -> None:
    for out in ("a", "b"):
        render_report(collect(sources), tmp_path / out)
    for name in (HTML, MARKDOWN, FACTS):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_numbers_of_the_json_stand_in_markdown_and_page(
    page: Callable[..., str], sources: list[Source], tmp_path: Path
) -> None:
    render_report(collect(sources), tmp_path)
    facts = json.loads((tmp_path / FACTS).read_text())
    text, shown = (tmp_path / MARKDOWN).read_text(), Seen(page(collect(sources))).text
    assert facts["schema"] == "zooport.report/1"
    seen = 0
    for model in facts["models"]:
        outputs = [item for result in model["parity"] for item in result["outputs"]]
        figures = [formats.significant(float(item["budget"]["ratio"])) for item in outputs]
        figures += [formats.error(float(item["max_abs"])) for item in outputs]
        rows = model["bench"]["rows"] if model["bench"] else []
        figures += [formats.milliseconds(row[key]) for row in rows for key in ("p50_ms", "p90_ms", "p99_ms")]
        for figure in figures:
            seen += 1
            assert f"| {figure} |" in text
            assert figure in shown
    assert seen > 70


def test_the_markdown_row_of_an_output_is_its_json(make: SimpleNamespace) -> None:
    source = Source("m", make.card("m", "t", "onnx:m"), {"parity": make.parity()})
    assert (
        "| logits | float32 | 1 × 1000 | ✓ pass | 3.46e-06 | 4.12e-07 | 1 − 1.0e-10 | 127.7 | 12.0 "
        "| 3.90e-07 | 3.98e-07 | 1.02 | 3.00 | 1.37 | 6.00 | 184,000 | 4.20e-07 |" in markdown(collect([source]))
    )


def test_every_table_of_the_markdown_is_rectangular(sources: list[Source], hostile_source: Source) -> None:
    blocks = markdown(collect([*sources, hostile_source])).split("\n\n")
    tables = [block.splitlines() for block in blocks if block.startswith("|")]
    assert len(tables) > 20
    for lines in tables:
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) == 1


def test_hostile_text_stays_text(
    page: Callable[..., str], sources: list[Source], hostile_source: Source, make: SimpleNamespace
) -> None:
    text = page(collect([hostile_source, *sources]))
    seen = Seen(text)
    assert not [tag for tag, _ in seen.tags if tag == "img"]
    assert not [name for _, attributes in seen.tags for name in attributes if name.startswith("on")]
    assert " ".join(make.hostile.split()) in seen.text
    assert '<script>alert("x")' not in text
    for data in seen.data:
        json.loads(data, parse_constant=pytest.fail)
        # Plotly reads markup in labels: names reach it escaped once more.
        assert "<img" not in data
    scripts = [attributes for tag, attributes in seen.tags if tag == "script"]
    # The page's own two, the charts' library, and data that no browser runs.
    assert {attributes.get("src", "") for attributes in scripts} == {"", PLOTLY, f"../{PLOTLY}"}
    assert all(attributes.get("type") in (None, "application/json") for attributes in scripts)


def test_hostile_text_is_no_markup_in_markdown(hostile_source: Source) -> None:
    text = markdown(collect([hostile_source]))
    prose = re.sub(r"(?ms)^(`{3,}).*?^\1$", "", text)
    prose = re.sub(r"(`+) .*? \1", "", prose)
    assert "<" not in prose
    assert "](javascript" not in prose.replace("\\](", "")
    assert len(re.findall("(?m)^## ", text)) == 1


def test_the_page_fetches_nothing(page: Callable[..., str], sources: list[Source]) -> None:
    seen = Seen(page(collect(sources)))
    linked = [attributes.get(key) for _, attributes in seen.tags for key in ("src", "href", "srcset")]
    own = r"(\.\./)?(index\.html|models/[\w-]+\.html|assets/plotly\.min\.js)|#[\w-]+|data:,"
    assert all(link is None or re.fullmatch(own, link) for link in linked)
    policies = [a["content"] for t, a in seen.tags if t == "meta" and a.get("http-equiv")]
    assert len(policies) == len(sources) + 1
    for policy in policies:
        assert policy is not None
        assert policy.startswith("default-src 'none'; script-src 'sha256-")
        assert "http" not in policy


def test_every_figure_of_the_page_has_a_label_near(page: Callable[..., str], sources: list[Source]) -> None:
    text = Seen(page(collect(sources))).text
    assert "Measured on this machine: Test CPU 2.5 GHz, 2 cores, 8.00 GiB memory" in text
    assert "Measured on the emulator of ascend310p3, never on the chip" in text
    assert "validation of the cost model: median error 18.2 %" in text.lower()
    assert "stated by: torchvision 0.28 documentation" in text


def test_a_page_without_results_is_small_and_says_what_to_run(page: Callable[..., str], make: SimpleNamespace) -> None:
    text = page(collect([make.empty()]))
    assert len(text) < 100_000
    seen = Seen(text).text
    assert "zooport check 'mobilenet v2'" in seen
    assert "0.0" not in seen


def test_seeds_and_fallbacks_are_said_aloud(page: Callable[..., str], sources: list[Source]) -> None:
    report = collect(sources)
    for text in (markdown(report), Seen(page(report)).text):
        assert "seeded (seed 7)" in text
        assert "nothing here speaks of a trained model" in text
        assert "aten::grid_sampler_3d has no translator" in text


def test_no_models_and_half_surrogates_are_rendered(tmp_path: Path, make: SimpleNamespace) -> None:
    assert render_report(collect([]), tmp_path / "none").exists()
    lone = Source("x", make.card("a\ud800b", "t", "onnx:x"))
    assert "a?b" in render_report(collect([lone]), tmp_path / "lone").read_text()


@pytest.fixture
def artifact(tmp_path: Path, make: SimpleNamespace) -> Path:
    """A sealed artifact with a card and results, without a model: a report needs none."""
    from zoo.artifact import new_artifact, open_artifact
    from zoo.card import dump_card

    with new_artifact(tmp_path / "resnet50") as building:
        (building / "card.yaml").write_text(dump_card(make.complete().card))
    opened = open_artifact(tmp_path / "resnet50")
    for name, result in make.complete().results.items():
        opened.add_result(name, result)
    return opened.path


def _run(*arguments: str) -> int:
    import argparse

    parser = argparse.ArgumentParser()
    REPORT.configure(parser)
    return REPORT.run(parser.parse_args(arguments))


def test_the_verb_writes_what_the_artifacts_hold(
    artifact: Path, make: SimpleNamespace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "report"
    assert _run(str(artifact), "-o", str(out), "--json") == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out) == {
        "html": str(out / HTML),
        "markdown": str(out / MARKDOWN),
        "json": str(out / FACTS),
        "csv": str(out / FILES["csv"]),
        "junit": str(out / FILES["junit"]),
    }
    assert (out / MARKDOWN).read_text() == markdown(collect([make.complete()]))
    assert _run(str(artifact), "-o", str(out)) == 0
    assert capsys.readouterr().out == f"{out / HTML}\n"


def test_a_broken_seal_is_refused_or_said(artifact: Path, tmp_path: Path) -> None:
    (artifact / "bench.json").write_text('{"rows": []}')
    with pytest.raises(UserError, match="seal is broken"):
        render([artifact], tmp_path / "out")
    index = render([artifact], tmp_path / "out", unsealed=True)
    assert "seal broken" in index.read_text()
    assert "seal is broken" in next((tmp_path / "out" / "models").iterdir()).read_text()


def test_a_report_inside_an_artifact_is_refused(artifact: Path) -> None:
    with pytest.raises(UserError, match="break its seal"):
        render([artifact], artifact / "report")


@pytest.mark.parametrize("content", ["{", "[1]"])
def test_a_result_that_is_no_object_is_the_users_error(artifact: Path, tmp_path: Path, content: str) -> None:
    (artifact / "bench.json").write_text(content)
    with pytest.raises(UserError, match=r"bench\.json"):
        render([artifact], tmp_path / "out", unsealed=True)


@pytest.mark.parametrize("package", ["jinja2", "plotly.graph_objects"])
def test_a_missing_extra_is_named(
    sources: list[Source], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UserError, match=r"zooport\[reports\]"):
        render_report(collect(sources), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_importing_the_verb_imports_no_template_engine() -> None:
    code = (
        "import sys, reports, reports.cli; "
        "print([m for m in ('jinja2', 'plotly', 'numpy', 'onnx', 'yaml', 'rich') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_public_names_resolve_and_stay_functions() -> None:
    reports = importlib.import_module("reports")
    for name in reports.__all__:
        getattr(reports, name)
        assert not isinstance(getattr(reports, name), type(sys))
