"""The verb ``map`` on the command line, and ``port --weights --map``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from parity.map_cli import MAP
from weight_maps.checkpoint import open_checkpoint
from weight_maps.weight_map import find_map, shipped
from zoo.errors import UserError

YAML = """
map: 1
summary: a dense layer of Keras to one of PyTorch
source: keras
target: pytorch
tables: {norm: {gamma: weight, beta: bias, moving_mean: running_mean, moving_variance: running_var}}
rules:
  - {from: stem/kernel, to: stem.weight, do: [{permute: [3, 2, 0, 1]}]}
  - {from: stem/bias, to: stem.bias}
  - {from: "norm/{p@norm}", to: "norm.{p@norm}"}
  - {from: head/kernel, to: head.weight, do: [transpose]}
  - {from: head/bias, to: head.bias}
init:
  - {to: "{path*}.num_batches_tracked", reason: Keras keeps no such counter, value: 0}
"""


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Run ``zooport map`` in this process."""

    def call(*argv: object) -> tuple[int, str]:
        parser = argparse.ArgumentParser()
        MAP.configure(parser)
        code = MAP.run(parser.parse_args([str(item) for item in argv]))
        return code, capsys.readouterr().out

    return call


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A checkpoint under Keras' naming, and the map."""
    random = np.random.default_rng(0)
    shapes = {"stem/kernel": (3, 3, 3, 16), "stem/bias": (16,), "head/kernel": (16, 24), "head/bias": (24,)}
    shapes |= {f"norm/{name}": (16,) for name in ("gamma", "beta", "moving_mean", "moving_variance")}
    arrays = {name: random.uniform(0.5, 1.5, shape).astype("f4") for name, shape in shapes.items()}
    np.savez(tmp_path / "keras.npz", **arrays)  # type: ignore[arg-type]
    (tmp_path / "map.yaml").write_text(YAML)
    return tmp_path


def test_every_map_that_ships_is_listed_read_and_has_a_proof(run: Callable[..., tuple[int, str]]) -> None:
    code, out = run("list", "--json")
    listed = json.loads(out)
    assert code == 0
    assert {item["name"] for item in listed} == set(shipped())
    for item in listed:
        parameters = dict.fromkeys(item["parameters"], 4)
        assert find_map(item["name"], parameters).rules
        assert item["summary"]
        assert item["proof"], item["name"]


def test_apply_writes_the_checkpoint_and_its_ledger(run: Callable[..., tuple[int, str]], files: Path) -> None:
    out = files / "out.safetensors"
    code, said = run("apply", files / "map.yaml", files / "keras.npz", "-o", out, "--json")
    data = json.loads(said)
    assert code == 0
    assert data["totals"] == {"consumed": 8, "produced": 8, "dropped": 0, "initialised": 0}
    assert len(data["round_trip"]["identical"]) == 8
    assert json.loads((files / "out.safetensors.ledger.json").read_text())["map"] == "map"
    code, said = run(
        "apply", files / "map.yaml", out, "-o", files / "back.npz", "--reverse", "--target", files / "keras.npz"
    )
    assert code == 0
    first, again = open_checkpoint(files / "keras.npz"), open_checkpoint(files / "back.npz")
    assert all(np.array_equal(first.read(name), again.read(name)) for name in first.specs())
    assert "8 of 8 identical to the bit" in said


def test_explain_says_what_becomes_of_each_tensor(run: Callable[..., tuple[int, str]], files: Path) -> None:
    _, said = run("explain", files / "map.yaml", files / "keras.npz")
    assert "head/kernel float32[16, 24] -> head.weight float32[24, 16]  Permute(order=None)" in said
    _, said = run("explain", "transformers-llama-to-meta", "--set", "heads=4", "--set", "kv_heads=2")
    assert "model.norm.weight -> norm.weight" in said


def test_derive_proposes_a_map_that_applies(run: Callable[..., tuple[int, str]], files: Path) -> None:
    run("apply", files / "map.yaml", files / "keras.npz", "-o", files / "torch.safetensors")
    code, said = run("derive", files / "keras.npz", files / "torch.safetensors", "-o", files / "found.yaml", "--json")
    assert code == 0
    assert {edge["target"] for edge in json.loads(said)["derived"]["edges"]} == set(
        open_checkpoint(files / "torch.safetensors").specs()
    )
    run("apply", files / "found.yaml", files / "keras.npz", "-o", files / "again.safetensors")
    one, other = open_checkpoint(files / "torch.safetensors"), open_checkpoint(files / "again.safetensors")
    assert all(np.array_equal(one.read(name), other.read(name)) for name in one.specs())


def test_audit_says_what_was_ruled_out_and_fails_where_the_map_is_wrong(
    run: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    import yaml
    from attention_net import MAP as RIGHT

    models = ("python:attention_net:keras_net", "python:attention_net:pytorch_net", "--input", "3,2,4,6")
    (tmp_path / "right.yaml").write_text(yaml.safe_dump(RIGHT))
    code, said = run("audit", tmp_path / "right.yaml", *models, "--json")
    found = json.loads(said)
    assert (code, found["verdict"]) == (0, "holds")
    assert {finding["verdict"] for finding in found["findings"]} == {"ruled out"}
    wrong = {**RIGHT, "rules": [{**RIGHT["rules"][0], "do": []}, *RIGHT["rules"][1:]]}
    (tmp_path / "wrong.yaml").write_text(yaml.safe_dump(wrong))
    code, said = run("audit", tmp_path / "wrong.yaml", *models)
    assert code == 1
    assert said.startswith("wrong: differs")


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("apply", "no-such-map", "keras.npz", "-o", "x.safetensors"), "there is no map 'no-such-map'"),
        (("apply", "map.yaml", "keras.npz", "-o", "x.gguf"), "checkpoints are not written in this format"),
        (("apply", "map.yaml", "none.npz", "-o", "x.npz"), "the checkpoint does not exist"),
        (("apply", "map.yaml", "map.yaml", "-o", "x.npz"), "the checkpoint's format is not known"),
        (("explain", "transformers-llama-to-meta"), "the map needs a value for heads, kv_heads"),
        (("explain", "map.yaml", "--set", "heads=4"), "the map has no parameter heads"),
        (("explain", "keras-resnet50-to-torchvision", "--reverse"), "the map has no way back"),
    ],
)
def test_what_cannot_be_done_is_refused(
    run: Callable[..., tuple[int, str]], files: Path, monkeypatch: pytest.MonkeyPatch, argv: Any, words: str
) -> None:
    monkeypatch.chdir(files)
    with pytest.raises(UserError) as refusal:
        run(*argv)
    assert words in str(refusal.value)
    assert sorted(item.name for item in files.iterdir()) == ["keras.npz", "map.yaml"]


def test_port_loads_a_foreign_checkpoint_by_a_map(zooport: Callable[..., Any], files: Path) -> None:
    source = ("python:tiny_models:convnet", "--input", "x=batch,3,8,8:float32")
    given = ("--weights", files / "keras.npz", "--map", files / "map.yaml")
    answer = zooport("port", *source, *given, "--no-fold", "-o", files / "ported", "--json")
    assert answer.code == 0, answer.err
    ported = open_checkpoint(files / "ported" / "model.safetensors")
    keras = open_checkpoint(files / "keras.npz")
    assert np.array_equal(ported.read("stem.weight"), keras.read("stem/kernel").transpose(3, 2, 0, 1))
    ledger = json.loads((files / "ported" / "weight-map.json").read_text())
    assert ledger["totals"] == {"consumed": 8, "produced": 8, "dropped": 0, "initialised": 1}
    assert ledger["against_target"]
    from zoo.artifact import open_artifact

    checkpoint = open_artifact(files / "ported").card()["source"]["checkpoint"]
    assert checkpoint["map"]["identical_on_the_way_back"] == 8
    assert checkpoint["files"][0]["name"] == "keras.npz"


def test_port_refuses_a_map_that_does_not_fit_and_one_without_weights(refused: Callable[..., str], files: Path) -> None:
    source = ("python:tiny_models:tokens_with_inputs", "-o", files / "ported", "--map", files / "map.yaml")
    said = refused("port", *source, "--weights", files / "keras.npz")
    assert "the map does not use every tensor exactly once" in said
    assert "words.weight float32[11, 8]; no rule makes it" in said
    assert "expected: --weights FILE" in refused("port", *source)
