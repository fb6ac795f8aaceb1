"""The executor and `zooport emit mindspore`: a project that is run, judged, exported, and found out where wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from zoo.artifact import MODEL, open_artifact
from zoo.errors import UserError
from zoo.executor import load
from zoo.executors.mindspore import environment, stands_for
from zoo.inputs import parse_input, sample
from zoo.mindspore.project import write_for_running

pytest.importorskip("mindspore", reason="the extra 'mindspore' is not installed")
SPEC = parse_input("x=batch,3,8,8:float32")


@pytest.fixture(scope="module")
def project(tiny_original: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    write_for_running(tiny_original / MODEL, folder)
    return folder


@pytest.mark.parametrize("on", ["mindspore", "mindspore:pynative"])
def test_it_gives_the_originals_answer_for_every_batch(tiny: Path, on: str) -> None:
    with load(tiny / MODEL, on, threads=1) as session, load(tiny / MODEL, "reference") as reference:
        for batch in (1, 3):
            feed = sample([SPEC], 3, sizes={"batch": batch})
            found, expected = session.run(feed), reference.run(feed)
            assert list(found) == list(expected)
            np.testing.assert_allclose(found["output"], expected["output"], rtol=1e-4, atol=1e-5)


def test_no_convolution_is_left_to_plain_loops(project: Path) -> None:
    script = f"""
import numpy
from pathlib import Path
from zoo.mindspore.serve import Runner
Runner(Path({str(project)!r}), "pynative", 1).run({{"x": numpy.zeros((1, 3, 8, 8), "float32")}})
"""
    heard = {**environment(1), "ONEDNN_VERBOSE": "1"}
    done = subprocess.run([sys.executable, "-c", script], env=heard, capture_output=True, text=True, check=True)
    ran = [line for line in done.stdout.splitlines() if ",exec,cpu,convolution," in line]
    assert ran
    assert not [line for line in ran if "ref:any" in line]


def test_a_feed_that_does_not_fit_is_refused(tiny: Path) -> None:
    with load(tiny / MODEL, "mindspore:pynative") as session, pytest.raises(UserError, match="names do not fit"):
        session.run({"y": np.zeros((1, 3, 8, 8), np.float32)})


def test_there_is_no_other_mode(tiny: Path) -> None:
    with pytest.raises(UserError, match="no such mode"):
        load(tiny / MODEL, "mindspore:eager")


def test_an_error_in_the_model_is_traced_to_the_upstream_module(tiny: Path, project: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    for file in project.iterdir():
        if file.is_file():
            (broken / file.name).write_bytes(file.read_bytes())
    text = (broken / "model.py").read_text()
    (broken / "model.py").write_text(text.replace("return ", "return ops.matmul(x, x[0, 0, 0]) + ", 1))
    feed = sample([SPEC], 3, sizes={"batch": 1})
    with (
        stands_for(tiny / MODEL, broken),
        load(tiny / MODEL, "mindspore:pynative") as session,
        pytest.raises(UserError) as raised,
    ):
        session.run(feed)
    assert "model.py:" in str(raised.value.place)


def test_a_wrong_weight_of_a_project_is_found(tiny: Path, project: Path, tmp_path: Path) -> None:
    from parity.harness import check

    wrong = tmp_path / "wrong"
    wrong.mkdir()
    for file in project.iterdir():
        if file.is_file():
            (wrong / file.name).write_bytes(file.read_bytes())
    weights = load_file(wrong / "model.safetensors")
    name = next(name for name, array in weights.items() if array.ndim > 1)
    weights[name] = weights[name] * np.float32(1.001)
    save_file(weights, wrong / "model.safetensors")
    with stands_for(tiny / MODEL, wrong):
        assert check(open_artifact(tiny), on="mindspore", mode="pynative", save=False).verdict == "fail"


def test_emit_writes_a_project_and_judges_it(tiny, tmp_path, zooport) -> None:
    out = tmp_path / "out"
    answer = zooport("emit", "mindspore", tiny, "-o", out, "--json")
    assert answer.code == 0, answer.err
    told = json.loads(answer.out)
    assert told["verdicts"] == {"model.py": "pass", "model.mindir": "pass"}
    wanted = "model.py model.safetensors model.mindir ledger.json signature.json common.py dataset.py infer.py eval.py"
    wanted += " train.py export.py README.md README.zh-CN.md config/cpu.yaml config/gpu.yaml"
    assert set(wanted.split()) | {"config/ascend910b.yaml", "config/ascend310p.yaml"} <= set(told["files"])
    done = subprocess.run(
        [sys.executable, "infer.py", "--output", "out.npz"],
        cwd=out,
        env=environment(1),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()[-800:]
    assert "output" in np.load(out / "out.npz").files
    ledger = json.loads((out / "ledger.json").read_text())
    assert ledger["totals"]["produced"] == len(load_file(out / "model.safetensors"))


@pytest.mark.thorough
def test_the_project_trains_and_is_measured_on_a_folder(tiny, tmp_path, zooport) -> None:
    out, data = tmp_path / "out", tmp_path / "data"
    assert zooport("emit", "mindspore", tiny, "-o", out, "--no-check", "--no-mindir").code == 0
    data.mkdir()
    random = np.random.default_rng(0)
    for at in range(8):
        np.savez(data / f"{at}.npz", x=random.random((3, 8, 8), np.float32), label=np.int64(at % 2))
    for script in (["train.py", "--output", str(tmp_path / "kept")], ["eval.py"]):
        done = subprocess.run(
            [sys.executable, *script, "--data", str(data)],
            cwd=out,
            env=environment(1),
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()[-800:]
    assert "top-1" in done.stdout.decode()
    assert list((tmp_path / "kept").glob("*.ckpt"))
