"""The card: YAML that a person reads, checked when it is read back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from zoo.card import REQUIRED, dump_card, read_card
from zoo.errors import UserError

CARD: dict[str, Any] = {
    "schema": 1,
    "name": "tiny",
    "task": "unknown",
    "source": {"framework": "pytorch"},
    "port": {"opset": 23},
    "inputs": [{"name": "x", "shape": ["batch", 3]}],
    "outputs": [],
}


def test_a_card_is_read_as_it_was_written_in_its_order(tmp_path: Path) -> None:
    (tmp_path / "card.yaml").write_text(dump_card(CARD), encoding="utf-8")
    read = read_card(tmp_path / "card.yaml")
    assert read == CARD
    assert list(read) == list(CARD)


def test_short_lists_stay_on_one_line_and_tuples_are_lists() -> None:
    assert "shape: [batch, 3]" in dump_card(CARD)
    assert dump_card({"shape": (1, 2)}) == "shape: [1, 2]\n"


@given(st.dictionaries(st.text(), st.none() | st.booleans() | st.text() | st.lists(st.text() | st.integers())))
def test_any_text_survives(content: dict[str, Any]) -> None:
    assert yaml.safe_load(dump_card(content)) == content


@pytest.mark.parametrize("key", REQUIRED)
@pytest.mark.parametrize("spoiled", ["missing", "wrong"])
def test_a_missing_or_wrong_key_is_named(tmp_path: Path, key: str, spoiled: str) -> None:
    card = {name: value for name, value in CARD.items() if name != key or spoiled == "wrong"}
    if spoiled == "wrong":
        card[key] = 1.5
    (tmp_path / "card.yaml").write_text(dump_card(card))
    with pytest.raises(UserError, match=f"the card's key '{key}' is missing or of the wrong type") as caught:
        read_card(tmp_path / "card.yaml")
    assert caught.value.expected == REQUIRED[key].__name__


@pytest.mark.parametrize(
    ("content", "fact"),
    [
        (b"a: [", "cannot be read"),
        (b"\xff\xfe\xfa", "cannot be read"),
        (b"day: 2024-99-99", "cannot be read"),
        (b"!!python/object/apply:os.system ['true']", "cannot be read"),
        (b"[" * 2_000, "cannot be read"),
        (b"- a\n- b", "not a mapping"),
        (dump_card({**CARD, "schema": 99}).encode(), "another schema version"),
    ],
)
def test_what_is_no_card_is_refused(tmp_path: Path, content: bytes, fact: str) -> None:
    file = tmp_path / "card.yaml"
    file.write_bytes(content)
    with pytest.raises(UserError, match=fact) as caught:
        read_card(file)
    assert caught.value.place == str(file)


def test_a_missing_card_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="the card cannot be read"):
        read_card(tmp_path / "card.yaml")
