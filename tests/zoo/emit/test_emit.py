"""``zooport emit``: files that other tools take, judged as they are, written whole or not at all."""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
import subprocess
import sys

import numpy as np
import onnx
import pytest

from tests.zoo.emit import fake_acl
from zoo.containment import read_graph
from zoo.executors.onnxruntime import load
from zoo.inputs import InputSpec, sample

# hiascend, ATC, "Command-Line Options".
DOCUMENTED = {
    "framework", "model", "output", "soc_version", "input_shape", "dynamic_batch_size", "dynamic_image_size",
    "dynamic_dims", "precision_mode", "precision_mode_v2", "keep_dtype", "insert_op_conf", "op_select_implmode", "log",
}  # fmt: skip


def answers(artifact, file, batch):
    card = artifact.card()
    feed = sample([InputSpec.from_card(entry) for entry in card["inputs"]], 3, sizes={"batch": batch})
    return feed, load(file, optimize=False).run(feed), load(artifact.model_path, optimize=False).run(feed)


@pytest.mark.parametrize("opset", [11, 18, 23])
def test_an_onnx_file_of_a_chosen_opset(tiny, tmp_path, zooport, opset):
    from zoo.artifact import open_artifact

    answer = zooport("emit", "onnx", tiny, "-o", tmp_path / "out", "--opset", opset, "--json")
    assert answer.code == 0, answer.err
    told = json.loads(answer.out)
    assert (told["verdict"], told["opset"]) == ("pass", opset)
    assert told["files"] == ["model.onnx"]
    model = onnx.load(tmp_path / "out" / "model.onnx")
    assert {item.domain: item.version for item in model.opset_import} == {"": opset}
    _, got, expected = answers(open_artifact(tiny), tmp_path / "out" / "model.onnx", 2)
    for name, array in expected.items():
        np.testing.assert_allclose(got[name], array, rtol=1e-5, atol=1e-6)


def test_what_is_there_is_replaced_only_where_it_is_ours(tiny, tmp_path, zooport, refused):
    out = tmp_path / "out"
    assert zooport("emit", "onnx", tiny, "-o", out, "--no-check", "--opset", 17).code == 0
    assert zooport("emit", "onnx", tiny, "-o", out, "--no-check", "--opset", 18).code == 0
    assert json.loads((out / "emit.json").read_text())["opset"] == 18
    assert json.loads((out / "emit.json").read_text())["verdict"] == "not checked"
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.txt").write_text("mine")
    assert "something else" in refused("emit", "onnx", tiny, "-o", other)
    assert "11 to 23" in refused("emit", "onnx", tiny, "-o", tmp_path / "new", "--opset", 7)
    assert sorted(item.name for item in tmp_path.iterdir()) == ["other", "out", "tiny"]


def command(folder):
    """Return the options of atc.sh, which a shell hands to a program that prints them."""
    lines = '#!/bin/sh\nfor word in "$@"; do echo "$word"; done\n'
    program = folder / "bin" / "atc"
    program.parent.mkdir()
    program.write_text(lines)
    program.chmod(0o755)
    done = subprocess.run(
        ["bash", str(folder / "atc.sh")],
        env={"PATH": f"{program.parent}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(re.fullmatch(r"--(\w+)=(.*)", line).groups() for line in done.stdout.splitlines())


def test_a_folder_for_atc(tiny, tmp_path, zooport):
    out = tmp_path / "out"
    last = list(read_graph(tiny / "model.onnx").graph)[-1].name
    answer = zooport(
        "emit", "atc", tiny, "-o", out, "--target", "ascend310p3", "--batch", "2", "--keep", last, "--json"
    )
    assert answer.code == 0, answer.err
    assert json.loads(answer.out)["verdict"] == "pass"
    options = command(out)
    assert set(options) <= DOCUMENTED
    assert options["soc_version"] == "Ascend310P3"
    assert options["precision_mode"] == "force_fp16"
    assert options["input_shape"] == "x:2,3,8,8"
    names = {node.name for node in read_graph(out / "model.onnx").graph}
    kept = (out / options["keep_dtype"]).read_text().split()
    assert kept
    assert set(kept) <= names
    assert (out / options["model"]).is_file()
    assert onnx.load(out / "model.onnx").graph.input[0].type.tensor_type.shape.dim[0].dim_value == 2


def test_a_live_model_of_fixed_size_is_not_judged(tmp_path, zooport):
    import torch

    from porters import port

    port(torch.nn.Linear(4, 3), {"input": torch.ones(2, 4)}, tmp_path / "live")
    answer = zooport("emit", "onnx", tmp_path / "live", "-o", tmp_path / "fixed", "--size", "batch=3", "--json")
    assert (answer.code, json.loads(answer.out)["verdict"]) == (0, "not checked")
    open_size = zooport("emit", "onnx", tmp_path / "live", "-o", tmp_path / "open", "--json")
    assert (open_size.code, json.loads(open_size.out)["verdict"]) == (0, "pass")


def test_several_batches_are_gears(tiny, tmp_path, zooport):
    out = tmp_path / "out"
    assert (
        zooport("emit", "atc", tiny, "-o", out, "--target", "ascend310p3", "--batch", "1,4,8", "--no-check").code == 0
    )
    options = command(out)
    assert options["dynamic_batch_size"] == "1,4,8"
    assert options["input_shape"] == "x:-1,3,8,8"
    assert "--dymBatch 1" in (out / "README.md").read_text()


def test_pictures_as_bytes(tiny, tmp_path, zooport, refused):
    import shutil

    import yaml

    from zoo.artifact import seal

    assert "AIPP needs" in refused("emit", "atc", tiny, "-o", tmp_path / "no", "--target", "ascend310p3", "--aipp")
    told = tmp_path / "told"
    shutil.copytree(tiny, told)
    card = yaml.safe_load((told / "card.yaml").read_text())
    card["preprocessing"] = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
    (told / "card.yaml").write_text(yaml.safe_dump(card))
    seal(told)
    out = tmp_path / "out"
    asked = ["--target", "ascend310p3", "--aipp", "--no-check"]
    assert zooport("emit", "atc", told, "-o", out, *asked).code == 0
    said = dict(re.findall(r"(\w+): (\S+)", (out / command(out)["insert_op_conf"]).read_text()))
    assert (said["src_image_size_w"], said["src_image_size_h"]) == ("8", "8")
    # AIPP's formula on a byte against the preprocessing's on the same.
    for channel, (mean, std) in enumerate(zip(*card["preprocessing"].values(), strict=True)):
        aipp = (200 - float(said[f"min_chn_{channel}"])) * float(said[f"var_reci_chn_{channel}"])
        assert aipp == pytest.approx((200 / 255 - mean) / std, rel=1e-6)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "ATC compiles for a chip"),
        (["--target", "ascend310p3", "--precision", "cube_fp16"], "allow_fp32_to_fp16"),
        (["--target", "ascend310p3", "--keep", "nothing*"], "nothing is kept"),
        (["--target", "ascend999"], "ascend"),
    ],
)
def test_what_atc_cannot_have_is_refused(tiny, tmp_path, refused, options, words):
    assert words in refused("emit", "atc", tiny, "-o", tmp_path / "out", *options)


@pytest.mark.parametrize("batches", ["2", "2,4"])
def test_the_script_drives_acl(tiny, tmp_path, zooport, monkeypatch, batches):
    from zoo.artifact import open_artifact

    out = tmp_path / "out"
    assert (
        zooport("emit", "atc", tiny, "-o", out, "--target", "ascend310p3", "--batch", batches, "--no-check").code == 0
    )
    (out / "model.om").write_text(f"{out / 'model.onnx'}\n4" if "," in batches else f"{out / 'model.onnx'}\n2")
    monkeypatch.setitem(sys.modules, "acl", fake_acl)
    fake_acl.calls.clear()
    spec = importlib.util.spec_from_file_location("infer", out / "infer.py")
    infer = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(infer)
    feed, expected, _ = answers(open_artifact(tiny), out / "model.onnx", 2)
    np.savez(tmp_path / "in.npz", **feed)
    told = ["infer.py", str(out / "model.om"), "--input", str(tmp_path / "in.npz"), "-o", str(tmp_path / "out.npz")]
    monkeypatch.setattr(sys, "argv", told)
    infer.main()
    got = np.load(tmp_path / "out.npz")
    for at, array in enumerate(expected.values()):
        np.testing.assert_array_equal(got[f"output_{at}"], array)
    assert fake_acl.memory == {}, "everything is given back"
    assert fake_acl.calls[0] == "init"
    assert fake_acl.calls[-1] == "finalize"
    assert shlex.split((out / "atc.sh").read_text().splitlines()[-1])
