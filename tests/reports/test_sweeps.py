"""A sweep's folder as input: read from its table, counted as the sweep counts, failures grouped by cause."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from parity.sweeps.row import Row
from parity.sweeps.table import TABLE, write_parquet
from reports import render
from reports.sweeps import cause, clusters, families, read_sweep, tally
from zoo.errors import UserError

ROWS = (
    Row("timm:a", "vit", "checked", "check", "pass", 3.0, 10**8, 120, ratio=0.8, decided_by="outputs"),
    Row("timm:b", "vit", "checked", "check", "fail", 4.0, 10**8, 130, ratio=9.0, error="layer blocks.3 injects 0.1"),
    Row("timm:c", "vit", "failed", "translate", error="aten.foo.default has no translator at 'x.1'"),
    Row("timm:d", "cnn", "failed", "translate", error="aten.foo.default has no translator at 'y.22'"),
    Row("timm:e", "cnn", "failed", "original", error="no weights"),
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "night").mkdir()
    write_parquet(ROWS, tmp_path / "night" / TABLE)
    return tmp_path / "night"


@pytest.fixture
def small(tmp_path: Path, make: SimpleNamespace) -> Path:
    """An artifact with a graph of one convolution."""
    import onnx
    from onnx import TensorProto, helper

    from zoo.artifact import MODEL, new_artifact
    from zoo.card import dump_card

    weight = helper.make_tensor("conv.weight", TensorProto.FLOAT, [4, 3, 1, 1], [0.5] * 12)
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, c, 8, 8]) for n, c in (("image", 3), ("logits", 4))]
    node = helper.make_node("Conv", ["image", "conv.weight"], ["logits"])
    graph = helper.make_graph([node], "small", ends[:1], ends[1:], [weight])
    with new_artifact(tmp_path / "small") as building:
        (building / "card.yaml").write_text(dump_card(make.card("small", "t", "onnx:small")))
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)]), building / MODEL)
    return tmp_path / "small"


def test_rows_are_those_of_the_table(folder: Path) -> None:
    sweep = read_sweep(folder)
    assert [row.source for row in sweep.rows] == [row.source for row in ROWS]
    assert (sweep.rows[0].ratio, sweep.rows[2].ratio) == (0.8, None)
    assert tally(sweep.rows) == {"pass": 1, "fail": 3, "none": 1}
    assert [(of.name, of.models, of.counted, of.passed) for of in families(sweep.rows)] == [
        ("cnn", 2, 1, 0),
        ("vit", 3, 3, 1),
    ]


def test_failures_of_one_cause_are_one_cluster(folder: Path) -> None:
    found = clusters(read_sweep(folder).rows)
    assert [(of.stage, len(of.rows)) for of in found] == [("translate", 2), ("check", 1), ("original", 1)]
    assert found[0].cause == "aten.foo.default has no translator at '…'"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("got 0x7f1 at 3.5 s", "got 0xabc at 12 s"),
        ('/tmp/a/b.py: "x" is missing', '/home/c.py: "y" is missing'),
        ("first line 1\nTraceback a", "first line 2\nTraceback b"),
    ],
)
def test_what_differs_from_model_to_model_is_no_cause(one: str, other: str) -> None:
    assert cause(one) == cause(other)
    assert len(cause("x" * 1000)) == 200


def test_the_verb_takes_a_sweep_beside_an_artifact(
    zooport: Callable[..., Any], folder: Path, small: Path, tmp_path: Path
) -> None:
    answer = zooport("report", folder, small, "-o", tmp_path / "site", "--lang", "zh")
    assert answer.code == 0
    index = (tmp_path / "site" / "index.html").read_text()
    assert "6 个模型：1 个通过一致性校验，3 个不通过，2 个尚无结论" in index
    coverage = (tmp_path / "site" / "coverage.html").read_text()
    assert "批量 night" in coverage
    assert "aten.foo.default has no translator" in coverage
    # The artifact's page has its weights and operators from the graph itself.
    page = next((tmp_path / "site" / "models").iterdir()).read_text()
    assert "Conv ×" in page
    assert "float32" in page


def test_a_table_that_is_none_is_the_users_error(tmp_path: Path) -> None:
    (tmp_path / "night").mkdir()
    (tmp_path / "night" / TABLE).write_text("no parquet")
    with pytest.raises(UserError, match="cannot be read"):
        render([tmp_path / "night"], tmp_path / "out")


def test_no_figure_is_made_up_for_what_failed(folder: Path, make: SimpleNamespace) -> None:
    assert all(row.ratio is None or math.isfinite(row.ratio) for row in read_sweep(folder).rows)
