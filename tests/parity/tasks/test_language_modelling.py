"""Perplexity over windows: which tokens count, against transformers' own loss; the loader of WikiText folders."""

from __future__ import annotations

import numpy as np
import pytest

from parity.task import Sample, find_task
from parity.tasks.language_modelling import windows
from porters.pytorch.sources import need
from zoo.errors import UserError

TASK = find_task("language-modelling")
TEXT = " = Robert Boulter = \n\n Robert Boulter is an English film , television and theatre actor . \n" * 3


@pytest.fixture
def card(tmp_path):
    """A tokenizer of bytes."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({letter: index for index, letter in enumerate([*alphabet, "<|end|>"])}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    inputs = [{"name": "input_ids", "dtype": "int64", "shape": ["batch", "sequence"]}]
    return {"inputs": inputs, "preprocessing": {"tokenizer": str(tmp_path / "tokenizer.json"), "max_length": 32}}


def test_each_token_counts_once():
    for tokens, length, stride in ((100, 32, 32), (100, 32, 8), (33, 32, 32), (5, 32, 16), (64, 16, 1)):
        counted = [
            begin + i for begin, first, end in windows(tokens, length, stride) for i in range(first, end - begin)
        ]
        assert len(counted) == len(set(counted))
        missing = set(range(tokens)) - set(counted)
        # A disjoint window's first token has nothing before it; with overlap only the text's first one has not.
        assert missing == (set(range(0, tokens, stride)) if stride == length else {0})
    with pytest.raises(UserError, match="stride"):
        windows(100, 16, 17)


def test_the_loss_is_transformers_own(card, tmp_path):
    import torch

    transformers = need("transformers", "text")
    (tmp_path / "wiki.test.tokens").write_text(TEXT)
    card["preprocessing"]["stride"] = 20
    config = transformers.GPT2Config(vocab_size=257, n_embd=16, n_layer=1, n_head=2, n_positions=32)
    torch.manual_seed(0)
    model = transformers.GPT2LMHeadModel(config).eval()
    samples = TASK.samples(str(tmp_path), card)
    theirs, answers, tokens = 0.0, [], 0
    for sample in samples:
        feeds = TASK.feeds(sample, card)
        ids = torch.from_numpy(feeds[0]["input_ids"])
        labels = ids.clone()
        labels[:, : sample.raw[1]] = -100
        with torch.no_grad():
            made = model(ids, labels=labels)
        count = int((labels[:, 1:] != -100).sum())
        theirs, tokens = theirs + float(made.loss) * count, tokens + count
        answers.append(TASK.answer(sample, [{"logits": made.logits.numpy()}], feeds, card))
    assert tokens == len(TEXT.encode()) - 1
    assert sum(answers) == pytest.approx(theirs, rel=1e-5)
    found = TASK.scores(samples, answers)
    assert found.value("perplexity") == pytest.approx(np.exp(theirs / tokens), rel=1e-5)
    # Every token is a character here.
    assert found.value("bits_per_character") == pytest.approx(theirs / tokens / np.log(2), rel=1e-5)


def test_a_uniform_model_has_the_perplexity_of_its_vocabulary():
    samples = [Sample("a", None, {"tokens": 10, "characters": 40}), Sample("b", None, {"tokens": 2, "characters": 4})]
    found = TASK.scores(samples, [10 * np.log(50), 2 * np.log(50)])
    assert found.value("perplexity") == pytest.approx(50)
    assert found.value("bits_per_character") == pytest.approx(12 * np.log2(50) / 44)


def test_a_draw_of_windows_has_its_own_perplexity():
    samples = [Sample("a", None, {"tokens": 10, "characters": 40}), Sample("b", None, {"tokens": 2, "characters": 4})]
    found = TASK.scores(samples, [20.0, 8.0]).over("perplexity", np.array([[0, 0], [0, 1], [1, 1]]))
    # Not the mean of the windows' perplexities, which would be (e^2 + e^4) / 2 for the second draw.
    assert found == pytest.approx(np.exp([2.0, 28 / 12, 4.0]))


def test_the_prefix_is_seen_and_not_counted(card, tmp_path):
    (tmp_path / "text.txt").write_text("abc")
    card["preprocessing"]["prefix"] = "<|end|>"
    sample = TASK.samples(str(tmp_path / "text.txt"), card)[0]
    assert sample.raw[0][0] == 256
    assert sample.label == {"tokens": 3, "characters": 3}
    card["preprocessing"]["prefix"] = "<s>"
    with pytest.raises(UserError, match="no such token"):
        TASK.samples(str(tmp_path / "text.txt"), card)


def test_a_folder_without_text_is_refused(card, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="holds no text"):
        TASK.samples(str(tmp_path / "empty"), card)
