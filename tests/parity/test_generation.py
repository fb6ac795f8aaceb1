"""Decoders with a cache: the port goes on from a prompt by itself and says what the original says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def decoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama of two layers whose output matrix is its own, so that it does not just say the last token again."""
    from porters import port

    out = tmp_path_factory.mktemp("decoder") / "llama"
    port("transformers:LlamaForCausalLM@tiny?cache=40", out=out)
    return out


def test_one_graph_takes_prompts_and_steps_and_says_the_originals_tokens(decoder: Path, zooport) -> None:
    import onnx

    ops = [node.op_type for node in onnx.load(decoder / "model.onnx", load_external_data=False).graph.node]
    assert ops.count("Attention") == 2
    done = zooport("check", decoder, "--generate", "7,3,11", "--tokens", 24, "--json")
    found = json.loads(done.out)
    assert done.code == 0
    assert found["same"] == 24
    assert found["port"] == found["original"]
    assert len(set(found["port"])) > 3, "a decoder that says one thing shows nothing of its cache"
    assert json.loads((decoder / "generation.json").read_text())["port"] == found["port"]


def test_run_goes_on_from_a_prompt_on_any_executor(decoder: Path, zooport) -> None:
    said = [
        json.loads(zooport("run", decoder, "--generate", "7,3,11", "--tokens", 6, "--on", on, "--json").out)
        for on in ("onnxruntime", "ascend310p3")
    ]
    assert said[0]["prompt"] == [7, 3, 11]
    assert len(said[0]["tokens"]) == 6
    # The chip's cube rounds to 16 bits: what it says may part from float32 only where two logits are close.
    assert said[1]["tokens"][0] == said[0]["tokens"][0] or said[1]["least_margin"] < 1e-2


def test_the_check_holds_logits_and_cache(decoder: Path, zooport) -> None:
    done = zooport("check", decoder, "--json", "--in-process")
    found = json.loads(done.out)
    assert found["verdict"] == "pass"
    assert {"logits", "output_keys_0", "output_values_1"} <= {output["name"] for output in found["outputs"]}


def test_a_lost_cache_is_caught(decoder: Path, tmp_path: Path) -> None:
    """The first entry of the cache is left out of what comes back: the tokens differ."""
    from zoo.artifact import open_artifact
    from zoo.executor import load
    from zoo.generation import generate
    from zoo.inputs import InputSpec

    specs = [InputSpec.from_card(entry) for entry in open_artifact(decoder).card()["inputs"]]
    with load(decoder / "model.onnx") as session:

        def forgetful(feed):
            results = session.run(feed)
            return {name: array * 0 if name.startswith("output_keys") else array for name, array in results.items()}

        right = generate(session.run, specs, [7, 3, 11], 12)
        wrong = generate(forgetful, specs, [7, 3, 11], 12)
    assert right.tokens[0] == wrong.tokens[0]
    assert right.tokens != wrong.tokens


def test_what_cannot_be_generated_is_refused(decoder: Path, tiny: Path, refused) -> None:
    assert "tokens do not fit the cache" in refused("run", decoder, "--generate", "1,2", "--tokens", 400)
    assert "a text needs a tokenizer" in refused("run", decoder, "--generate", "hello")
    assert "keeps no cache" in refused("run", tiny, "--generate", "1,2")
    assert "too short" in refused("port", "transformers:GPT2LMHeadModel@tiny?cache=4", "-o", decoder.parent / "x")
    assert "cannot be read" in refused("port", "transformers:GPT2LMHeadModel@tiny?cache=x", "-o", decoder.parent / "x")
    assert "no cache of keys" in refused("port", "transformers:BertModel@tiny?cache=32", "-o", decoder.parent / "x")
