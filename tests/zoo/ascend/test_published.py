"""The published measurements: how rows are read, and the map from published names to sources."""

from __future__ import annotations

import collections
import json

import pytest

from zoo.ascend.hardware import chip_names
from zoo.ascend.published import covering, mapped, rows, usable
from zoo.ascend.published.graphs import GRAPH, load_graph, measured, ported, write_index
from zoo.ascend.published.mapping import Published
from zoo.ascend.published.table import CHIPS, TABLE
from zoo.errors import UserError

HEADER = TABLE.read_text(encoding="utf-8").splitlines()[0]
FIELDS = dict.fromkeys(HEADER.split(","), "") | {
    "model": "Net",
    "stack": "ATC OM + ais_bench/ACL",
    "chip": "310P3",
    "batch": "1",
    "input": "x:1,3,8,8",
    "throughput": "100",
    "throughput_unit": "samples/s",
    "device_count": "1",
    "source": "a/b@c:d.md#L1",
}


def table_of(tmp_path, *changes: dict[str, str]):
    lines = [HEADER, *(",".join((FIELDS | change)[name] for name in HEADER.split(",")) for change in changes)]
    file = tmp_path / f"table{len(list(tmp_path.iterdir()))}.csv"  # tables are remembered by path
    file.write_text("\n".join(lines).replace("x:1,3,8,8", '"x:1,3,8,8"') + "\n", encoding="utf-8")
    return file


def test_a_card_of_four_chips_is_divided(tmp_path):
    flag = "DEVICE_COUNT_CONVENTION (4 chips/card assumed)"
    (row,) = rows(table_of(tmp_path, {"chip": "310", "device_count": "4", "flag": flag, "batch": "8"}))
    assert row.usable
    assert (row.chip, row.samples_per_s, row.seconds) == ("ascend310", 25.0, 8 / 25)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"flag": "SUSPECT very high rate"}, "SUSPECT"),
        ({"batch": ""}, "no batch"),
        ({"throughput": ""}, "no rate"),
        ({"throughput_unit": "tokens/s"}, "no rate"),
        ({"stack": "MindIE"}, "not the time of the device alone"),
        ({"chip": "910B"}, "names no bin"),
    ],
)
def test_a_row_that_must_not_be_used_says_why(tmp_path, change, reason):
    (row,) = rows(table_of(tmp_path, change))
    assert not row.usable
    assert reason in row.unusable


def test_what_the_note_says_of_the_input_is_read(tmp_path):
    note = "AIPP on (insert_op_conf); atc enable_small_channel=1"
    (row,) = rows(table_of(tmp_path, {"note": note}))
    assert row.aipp
    assert row.small_channel


def test_a_rate_that_falls_as_the_batch_grows_counts_batches(tmp_path):
    falling = [{"batch": str(batch), "throughput": str(4000 / batch)} for batch in (4, 8, 16, 32)]
    assert all("batches per second" in row.unusable for row in rows(table_of(tmp_path, *falling)))
    # A device that slows down is not that: the rate halves while the batch grows eightfold.
    slowing = [{"batch": str(batch), "throughput": str(1000 - 15 * batch)} for batch in (4, 8, 16, 32)]
    assert all(row.usable for row in rows(table_of(tmp_path, *slowing)))


def test_a_curve_printed_twice_comes_once(tmp_path):
    curve = [{"batch": str(batch), "throughput": str(90 + batch)} for batch in (1, 4)]
    again = [entry | {"model": "net", "source": "a/b@c:e.md#L1"} for entry in curve]
    other = [entry | {"model": "Other", "throughput": "7"} for entry in curve]
    found = usable("ascend310p3", table_of(tmp_path, *curve, *again, *other))
    assert [row.model for row in found] == ["Net", "Net", "Other", "Other"]


def test_a_file_that_is_no_table_is_the_users_error(tmp_path):
    file = tmp_path / "other.csv"
    file.write_text("a,b\n1,2\n")
    with pytest.raises(UserError, match="cannot be read"):
        rows(file)


def test_every_chip_of_the_table_is_known():
    assert {row.printed_chip for row in rows()} == set(CHIPS)
    assert set(filter(None, CHIPS.values())) <= set(chip_names())


def test_no_usable_row_carries_a_warning():
    assert not [row for row in rows() if row.usable and row.flag.startswith(("SUSPECT", "EXCEEDS_PEAK", "E2E"))]


def test_eighty_models_of_the_310p3_are_mapped():
    assert len({item.entry.key for item in measured("ascend310p3")}) >= 80


def test_every_entry_covers_a_usable_row_and_no_row_is_covered_twice():
    every = [row for chip in filter(None, CHIPS.values()) for row in usable(chip)]
    hit = collections.Counter(entry.key for row in every for entry in mapped() if entry.covers(row))
    assert set(hit) == {entry.key for entry in mapped()}
    assert not [row for row in every if sum(entry.covers(row) for entry in mapped()) > 1]


def test_entries_have_no_symbolic_dimension_but_the_batch():
    symbols = {dim for entry in mapped() for spec in entry.inputs for dim in spec.shape if isinstance(dim, str)}
    assert symbols == {"batch"}


def test_what_is_not_exact_says_what_is_uncertain():
    assert not [entry.key for entry in mapped() if entry.agreement == "nearest variant" and not entry.note]


def test_a_source_in_two_entries_stays_in_one_family():
    families = collections.defaultdict(set)
    for entry in mapped():
        families[entry.source].add(entry.family)
    assert all(len(found) == 1 for found in families.values())


def test_published_rows_are_told_apart_by_their_input():
    short = next(row for row in rows() if row.model.startswith("Bert_Uncased") and "Length=64 " in row.input)
    assert Published(short.model, "Sequence Length=64 ").means(short)
    assert not Published(short.model, "Sequence Length=128 ").means(short)
    entry = covering(short)
    assert entry is not None
    assert entry.key.endswith("seq64")


def test_a_map_that_cannot_be_read_is_the_users_error(tmp_path):
    file = tmp_path / "sources.yaml"
    file.write_text("net: {source: timm:resnet18}\n")
    with pytest.raises(UserError, match="cannot be read"):
        mapped(file)
    entry = 'net: {source: "timm:resnet18", family: f, inputs: ["x=1"], published: [A], agreement: perfect}\n'
    other = tmp_path / "other.yaml"
    other.write_text(entry)
    with pytest.raises(UserError, match="agreement"):
        mapped(other)


def test_a_graph_that_is_not_there_names_the_command(tmp_path):
    with pytest.raises(UserError, match="published_graphs"):
        load_graph(tmp_path, "resnet18")


def test_the_index_holds_what_is_there(tmp_path):
    (tmp_path / "resnet18").mkdir()
    (tmp_path / "resnet18" / GRAPH).touch()
    assert [entry.key for entry in ported(tmp_path)] == ["resnet18"]
    index = json.loads(write_index(tmp_path).read_text())
    assert list(index) == ["resnet18"]
    assert index["resnet18"]["inputs"] == {"x": ["batch", 3, 224, 224]}
    assert ["ascend310p3", 1, 2864.96] in index["resnet18"]["rows"]
