"""Logits: the choices at every position, their distributions, and what is generated greedily up to a near-tie."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest

from parity.language import Generation, LanguageTally, Speech, Writer, findings, generate, logits_of, writer
from parity.tolerance import LIMITS, Limits
from tests.parity.test_harness import find
from zoo.inputs import InputSpec
from zoo.main import main

TOKENS = InputSpec("input_ids", "int64", ("batch", "sequence"), "tokens", high=20)
MASK = InputSpec("attention_mask", "int64", ("batch", "sequence"), "mask")


def logits(seed: int, length: int = 5) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(2, length, 20))


def tally_of(port: np.ndarray, truth: np.ndarray) -> LanguageTally:
    tally = LanguageTally(limits=Limits())
    tally.add(truth.astype(np.float32), truth, port.astype(np.float32))
    return tally


def test_equal_logits_agree_everywhere():
    result = tally_of(logits(0), logits(0)).result("logits", "optimised")
    assert (result.positions, result.top1, result.top5, result.wrong, result.near_ties) == (10, 1.0, 1.0, 0, 0)
    assert result.kl == pytest.approx(0, abs=1e-12)
    assert findings([result]) == []


def test_the_divergence_is_that_of_the_distributions():
    from scipy.special import softmax
    from scipy.stats import entropy

    one, other = logits(0).astype(np.float32), logits(1).astype(np.float32)
    tally = LanguageTally(limits=Limits())
    tally.add(one, one.astype(np.float64), other)
    result = tally.result("logits", "optimised")
    expected = entropy(softmax(one.astype(np.float64), -1), softmax(other.astype(np.float64), -1), axis=-1)
    assert result.kl == pytest.approx(expected.mean(), rel=1e-6)
    assert result.kl_largest == pytest.approx(expected.max(), rel=1e-6)


def test_another_choice_is_wrong_unless_the_truth_prefers_neither():
    truth = logits(0)
    best = truth.argmax(-1)
    moved = truth.copy()
    moved[0, 0, (best[0, 0] + 1) % 20] = truth[0, 0].max() + 1
    result = tally_of(moved, truth).result("logits", "optimised")
    assert (result.wrong, result.near_ties) == (1, 0)
    assert [item.guard for item in findings([result])] == ["top-1"]
    tied = truth.copy()
    tied[0, 0, (best[0, 0] + 1) % 20] = truth[0, 0].max()
    other = tied.copy()
    other[0, 0, (best[0, 0] + 1) % 20] += 3e-7
    other[0, 0, best[0, 0]] -= 3e-7
    result = tally_of(other, tied).result("logits", "optimised")
    assert (result.wrong, result.near_ties) == (0, int(other[0, 0].argmax() != best[0, 0]))


def test_logits_are_known_by_their_shape_and_not_by_their_name():
    feed = {"input_ids": np.zeros((2, 7), np.int64)}
    outputs = {
        "anything": np.zeros((2, 7, 20), np.float32),
        "hidden": np.zeros((2, 7, 32), np.float32),
        "pooled": np.zeros((2, 20), np.float32),
        "ids": np.zeros((2, 7, 20), np.int64),
    }
    assert logits_of(outputs, feed, [TOKENS]) == ["anything"]


def follow(shift: float = 0.0):
    """Return a model that prefers the token after the last one; ``shift`` is added to the one after that."""

    def run(feed):
        ids = feed["input_ids"]
        made = np.zeros((*ids.shape, 20), np.float32)
        for offset, height in ((1, 5.0), (2, 5.0 - 1e-6 + shift)):
            np.put_along_axis(made, ((ids + offset) % 20)[..., None], height, -1)
        return made

    return run


@pytest.mark.parametrize("length", [0, 9])
def test_both_go_on_alike(length):
    pen = Writer([TOKENS, MASK], length)
    same = generate(pen, [3, 4], 5, lambda feed: (follow()(feed), follow()(feed)), follow(), LIMITS["fp32"])
    assert same == Generation(2, 5, 5)


def test_a_near_tie_is_recognised_and_a_wrong_choice_is_not_one():
    pen = writer([TOKENS, MASK])
    assert pen is not None

    def both(shift):
        return lambda feed: (follow()(feed), follow(shift)(feed))

    tie = generate(pen, [3], 5, both(2e-6), lambda feed: follow()(feed).astype(np.float64), LIMITS["fp32"])
    assert (tie.tokens, tie.near_tie) == (0, True)
    assert tie.margin <= tie.allowed
    wrong = generate(
        pen,
        [3],
        5,
        lambda feed: (follow(-1.0)(feed), follow(1.0)(feed)),
        follow(-1.0),
        LIMITS["fp32"],
    )
    assert wrong.near_tie is False
    assert wrong.margin == pytest.approx(1, abs=1e-3)


def test_a_fixed_length_is_filled_up_behind_the_text_and_masked():
    feed = Writer([TOKENS, MASK], 6).feed([7, 8])
    assert feed["input_ids"].tolist() == [[7, 8, 0, 0, 0, 0]]
    assert feed["attention_mask"].tolist() == [[1, 1, 0, 0, 0, 0]]
    assert writer([TOKENS, InputSpec("pixels", "float32", ("batch", 3, 8, 8), "image")]) is None


def test_an_input_of_another_kind_leaves_the_positions_to_be_compared():
    speech = Speech([TOKENS, InputSpec("pixels", "float32", ("batch", 3, 8, 8), "image")], Limits())
    truth = logits(0)
    feed = {"input_ids": np.ones((2, 5), np.int64)}
    own = {"logits": truth.astype(np.float32)}
    speech.take_in(own, {"logits": truth}, {"optimised": own}, feed)
    (result,) = speech.results(4, lambda feed: (own, {"optimised": own}), lambda feed: {"logits": truth})
    assert result.positions == 10
    assert result.generation is None


@pytest.fixture(scope="module")
def gpt(tmp_path_factory):
    out = tmp_path_factory.mktemp("gpt") / "a"
    assert main(["port", "transformers:GPT2LMHeadModel@tiny", "-o", str(out), "--json"]) == 0
    return out


def test_a_ported_language_model_says_the_same(gpt, capsys):
    assert main(["check", str(gpt), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)["language"]
    assert {item["run"] for item in answer} == {"optimised", "unoptimised"}
    for item in answer:
        assert item["positions"] > 64
        assert item["top1"] == item["top5"] == 1.0
        assert item["kl"] < 1e-9
        assert item["generation"]["tokens"] == item["generation"]["asked"] > 4


@pytest.mark.thorough
def test_a_vocabulary_one_off_says_something_else(gpt, tmp_path, capsys):
    import shutil

    shutil.copytree(gpt, tmp_path / "a")
    model = onnx.load(tmp_path / "a" / "model.onnx", load_external_data=False)
    (last,) = [node for node in model.graph.node if model.graph.output[0].name in node.output]
    before, last.output[0] = last.output[0], "unrolled"
    assert last.op_type == find(model, "MatMul").op_type
    for name, values in (("from", [1]), ("to", [256]), ("zero", [0]), ("axis", [2])):
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.array(values), f"roll_{name}"))
    one = ["roll_zero", "roll_from", "roll_axis"]
    model.graph.node.append(onnx.helper.make_node("Slice", ["unrolled", *one], ["head"]))
    model.graph.node.append(onnx.helper.make_node("Slice", ["unrolled", "roll_from", "roll_to", "roll_axis"], ["tail"]))
    model.graph.node.append(onnx.helper.make_node("Concat", ["tail", "head"], [before], axis=2))
    onnx.save(model, tmp_path / "a" / "model.onnx")
    assert main(["check", str(tmp_path / "a"), "--unsealed", "--json"]) == 1
    answer = json.loads(capsys.readouterr().out)
    spoken = answer["language"][0]
    assert spoken["top1"] < 0.1
    assert spoken["kl"] > 0.01
    assert spoken["generation"]["near_tie"] is False
    assert {"top-1", "generation"} <= {item["guard"] for item in answer["guards"]}
