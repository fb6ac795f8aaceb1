"""SQuAD v1.1: the official normalisation and scores, spans over windows, the loader."""

from __future__ import annotations

import json

import numpy as np
import pytest

from parity.task import Sample, find_task
from parity.tasks.question_answering import best_span, f1, normalise
from zoo.errors import UserError

TASK = find_task("question-answering")
CONTEXT = "The tower was finished in 1889 by a company of Gustave Eiffel , and it stands in Paris ."


@pytest.fixture
def card(tmp_path):
    """A tokenizer of whole words: [CLS] question [SEP] context [SEP]."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    words = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", *dict.fromkeys(["When", "?", *CONTEXT.split()])]
    tokenizer = Tokenizer(models.WordLevel({word: index for index, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    file = tmp_path / "tokenizer.json"
    tokenizer.save(str(file))
    shape = ["batch", "sequence"]
    inputs = [{"name": name, "dtype": "int64", "shape": shape} for name in ("input_ids", "token_type_ids")]
    return {"inputs": inputs, "preprocessing": {"tokenizer": str(file), "max_length": 12, "stride": 3}}


def questions(tmp_path, *answers):
    qas = [{"id": f"q{i}", "question": "  When ?", "answers": [{"text": t} for t in a]} for i, a in enumerate(answers)]
    file = tmp_path / "dev.json"
    file.write_text(json.dumps({"version": "1.1", "data": [{"paragraphs": [{"context": CONTEXT, "qas": qas}]}]}))
    return str(file)


@pytest.mark.parametrize(
    ("given", "true", "expected"),
    [
        ("The Eiffel Tower!", "eiffel tower", 1.0),
        ("in 1889", "1889", 2 / 3),
        ("a company of Gustave Eiffel", "Gustave Eiffel's company", 2 * (2 / 4) * (2 / 3) / (2 / 4 + 2 / 3)),
        ("Paris", "London", 0.0),
        ("", "London", 0.0),
    ],
)
def test_f1_is_squads(given, true, expected):
    assert f1(given, true) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("The  U.S.\tArmy,", "us army"),
        ("It's a theatre; an Anthem", "its theatre anthem"),
        ("A-n the 1,889", "1889"),
        ("\u2019the\u2019 caf\u00e9", "\u2019 \u2019 caf\u00e9"),
    ],
)
def test_normalisation_is_squads(given, expected):
    # Punctuation goes before articles, and only ASCII's: the order and the set of the official evaluate-v1.1.py.
    assert normalise(given) == expected


def test_the_best_of_several_answers_counts():
    samples = [Sample("q", ("When", CONTEXT), ["1889", "in 1889"]), Sample("r", ("Where", CONTEXT), ["Paris"])]
    found = TASK.scores(samples, ["in 1889.", "in Paris"])
    assert found.value("exact_match") == 0.5
    assert found.value("f1") == pytest.approx((1 + 2 / 3) / 2)
    assert found.right["exact_match"].tolist() == [True, False]


def test_a_span_is_inside_the_context_in_order_and_short():
    start, end = np.array([9.0, 1.0, 5.0, 4.0, 0.0]), np.array([8.0, 7.0, 1.0, 2.0, 3.0])
    inside = [False, True, True, True, True]
    assert best_span(start, end, inside, 20, 30) == (8.0, 1, 1) or best_span(start, end, inside, 20, 30)[0] == 8.0
    assert best_span(start, end, [False, False, True, True, True], 20, 2) == (7.0, 2, 3)
    assert best_span(start, end, [False, False, True, True, True], 20, 30) == (8.0, 2, 4)
    assert best_span(start, end, [False] * 5, 20, 30)[0] == -np.inf


def test_the_best_span_is_found_in_whichever_window_has_it(card, tmp_path):
    sample = TASK.samples(questions(tmp_path, ["1889"]), card)[0]
    feeds = TASK.feeds(sample, card)
    assert len(feeds) > 2
    assert {feed["input_ids"].shape[1] for feed in feeds[:-1]} == {12}
    from parity.preprocessing.texts import tokenizer_of

    for wanted in ("1889", "Gustave Eiffel", "Paris"):
        ids = [tokenizer_of(card).token_to_id(word) for word in wanted.split()]
        outputs = []
        for feed in feeds:
            row = feed["input_ids"][0]
            outputs.append({"start_logits": (row == ids[0])[None] * 5.0, "end_logits": (row == ids[-1])[None] * 5.0})
        assert TASK.answer(sample, outputs, feeds, card) == wanted


def test_a_fixed_length_is_filled(card, tmp_path):
    for spec in card["inputs"]:
        spec["shape"] = [1, 16]
    feeds = TASK.feeds(TASK.samples(questions(tmp_path, ["1889"]), card)[0], card)
    assert {feed["input_ids"].shape for feed in feeds} == {(1, 16)}
    assert feeds[0]["input_ids"][0, 12:].tolist() == [0] * 4


def test_questions_without_answers_are_refused(card, tmp_path):
    with pytest.raises(UserError, match="no answer"):
        TASK.samples(questions(tmp_path, ["1889"], []), card)
    (tmp_path / "other.json").write_text('{"data": [{}]}')
    with pytest.raises(UserError, match="cannot be read"):
        TASK.samples(str(tmp_path / "other.json"), card)


def test_a_stride_that_leaves_no_room_is_the_cards_fault(card, tmp_path):
    card["preprocessing"]["stride"] = 11
    with pytest.raises(UserError, match="cannot be cut so"):
        TASK.feeds(TASK.samples(questions(tmp_path, ["1889"]), card)[0], card)
