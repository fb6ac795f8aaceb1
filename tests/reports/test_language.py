"""Every visible string goes through the catalogue, and the catalogue has every string."""

from __future__ import annotations

import ast
import html
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from jinja2 import Environment, nodes

from reports.diff import compare
from reports.facts import LABELS, Report
from reports.language import catalogue, meaning, speaking, speaking_by, tidy
from reports.markdown import markdown
from zoo.record import dumps

HOME = Path(__file__).parents[2] / "reports"
_FIELD = re.compile(r"\{(\w+)\}")


# Words that are the same in every language: files, units, names of figures.
NAMES = {
    *("zooport", "html", "json", "csv", "junit", "xml", "index", "coverage", "models", "report", "sha"),
    *("sqnr", "ulp", "rss", "gib", "mib", "kib", "top", "nan", "inf"),
}
FONTS = {"segoe", "helvetica", "neue", "sans", "ui"}


def _in_modules() -> Iterator[str]:
    for file in HOME.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("tr", "trn"):
                for key in node.args[: 2 if node.func.id == "trn" else 1]:
                    literal = isinstance(key, ast.Constant) and isinstance(key.value, str)
                    assert literal or file.name == "language.py", f"{file.name}:{node.lineno} is no literal"
                    if isinstance(key, ast.Constant):
                        yield str(key.value)


def _in_templates() -> Iterator[str]:
    for file in (HOME / "templates").glob("*.j2"):
        for call in Environment().parse(file.read_text()).find_all(nodes.Call):
            if isinstance(call.node, nodes.Name) and call.node.name in ("_", "n_"):
                for key in call.args[: 2 if call.node.name == "n_" else 1]:
                    assert isinstance(key, nodes.Const), f"{file.name}:{call.lineno} is no literal"
                    yield str(key.value)


KEYS = {*_in_modules(), *_in_templates()}


def test_the_catalogue_has_every_string_and_no_other() -> None:
    known = catalogue("zh")
    assert len(KEYS) > 300
    assert KEYS - known.keys() == set()
    assert known.keys() - KEYS == set()
    for english, chinese in known.items():
        assert chinese.strip(), english
        # ``n`` may go where a language says the number otherwise; nothing may be asked for that is not given.
        assert set(_FIELD.findall(chinese)) == set(_FIELD.findall(english)), english


def _shown(page: str) -> str:
    bare = re.sub(r"(?s)<(script|style)\b.*?</\1>", " ", page)
    attributes = " ".join(re.findall(r'(?:title|aria-label|data-name|alt)="([^"]*)"', bare))
    return html.unescape(re.sub(r"<[^>]*>", " ", bare.replace("<wbr>", "")) + " " + attributes)


def _in_charts(page: str) -> str:
    """Return what charts show: axis titles, legends are HTML, hover texts."""
    found = []

    def walk(value: object) -> None:
        if isinstance(value, dict):
            for key, item in value.items():
                found.extend([item] if key in ("text", "title") and isinstance(item, str) else [])
                walk(item)
        elif isinstance(value, list):
            for item in value:
                found.extend([item] if isinstance(item, str) else [])
                walk(item)

    for data in re.findall(r'(?s)<script type="application/json">(.*?)</script>', page):
        walk(json.loads(data))
    return html.unescape(re.sub(r"<[^>]*>", " | ", " | ".join(found)))


def test_no_visible_string_goes_round_the_catalogue(page: Callable[..., str], report: Report) -> None:
    """Every message becomes brackets; words that are left must be facts, commands, units or names."""
    marked = {key: "⟦" + " ".join(f"{{{field}}}" for field in _FIELD.findall(key)) + "⟧" for key in KEYS}
    marked |= {", ": ", ", "{sentence}.": "{sentence}."}
    with speaking_by(marked):
        site, prose = page(report), markdown(report)
    known = set(re.findall(r"[a-z]{3,}", dumps(report).lower())) | NAMES
    for words in (_shown(site), prose):
        assert set(re.findall(r"[a-z]{3,}", words.lower())) - known == set()
    # In the data of charts there are names of colours, fonts and modes too: what people read has several words.
    texts = re.findall(r"[A-Za-z]{4,}(?: [A-Za-z]{2,})+", _in_charts(site))
    assert [text for text in texts if not set(text.lower().split()) <= known | FONTS] == []


def test_chinese_pages_are_chinese(page: Callable[..., str], report: Report) -> None:
    with speaking("zh"):
        site, prose = tidy(page(report, speaks="zh")), tidy(markdown(report))
    for said in ("一致性", "权重账本", "精度分布", "时间线", "如何重现", "各家族的覆盖情况"):
        assert said in site
    assert '<html lang="zh-Hans">' in site
    assert "## 批量 night" in prose
    assert "。 " not in prose


def test_labels_mean_the_same_on_the_page_and_in_the_json() -> None:
    assert {name: meaning(name) for name in LABELS} == LABELS


def test_a_comparison_speaks_chinese_too(report: Report) -> None:
    with speaking("zh"):
        gone = compare(report, Report()).changes[0]
    assert (gone.old, gone.new) == ("存在", "已消失")


@pytest.mark.parametrize("hostile", ["{0}", "{x}", "}{", "{}"])
def test_braces_in_a_name_are_no_fields(page: Callable[..., str], make: SimpleNamespace, hostile: str) -> None:
    from reports import collect
    from reports.sources import Source

    found = {"parity": make.parity(hostile), "ascend-x": make.compiled(target=hostile)}
    assert hostile in _shown(page(collect([Source(hostile, make.card(hostile, hostile, hostile), found)])))
