"""Accuracy on labelled samples: readers, preprocessing, metrics, intervals, flips."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from parity.accuracy import evaluate
from parity.flips import explain, explanation
from parity.layers.result import LayerResult, LayersResult
from parity.preprocessing.images import preprocess
from parity.task import Sample, find_task
from zoo.artifact import open_artifact
from zoo.card import dump_card
from zoo.errors import UserError

STEPS = {"resize": 20, "filter": "bicubic", "crop": 16, "mean": 127, "std": 128, "layout": "NCHW"}


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    random = np.random.default_rng(0)
    for index in range(12):
        pixels = random.integers(0, 256, (24, 30, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"picture_{index:02}_{index % 10}.png")
    return folder


def with_preprocessing(ported, to):
    artifact = ported.copy(to)
    card = artifact.card() | {"task": "image-classification", "preprocessing": STEPS}
    (to / "card.yaml").write_text(dump_card(card))
    return type(artifact)(to)


def test_original_and_port_see_the_same_samples(conv, images, tmp_path):
    artifact = with_preprocessing(conv, tmp_path / "artifact")
    found = evaluate(
        artifact, str(images), on=["onnxruntime", "ascend310p3"], original=conv.original, save=False
    )  # fmt: skip
    assert (found.task, found.metric, found.n) == ("image-classification", "top1", 12)
    assert found.original == found.port
    assert found.interval == (0.0, 0.0)
    assert set(found.executors) == {"onnxruntime", "ascend310p3"}


def test_a_wrong_port_flips_samples(conv, images, tmp_path):
    def negate(model):
        gemm = next(node for node in model.graph.node if node.op_type == "Gemm")
        next(item for item in gemm.attribute if item.name == "transB")
        gemm.attribute.add(name="alpha", f=-1.0, type=1)

    ported = type(conv)(conv.copy(tmp_path / "faulty", negate), conv.original)
    artifact = with_preprocessing(ported, tmp_path / "again")
    found = evaluate(artifact, str(images), original=conv.original, save=False)
    assert found.flipped
    assert found.flipped[0].original != found.flipped[0].port


def test_images_by_folder_csv_and_name(images, tmp_path):
    task = find_task("image-classification")
    by_name = task.samples(str(images), {})
    assert [sample.label for sample in by_name[:3]] == [0, 1, 2]
    table = images / "labels.csv"
    table.write_text("file,label\n" + "\n".join(f"{sample.name},{sample.label}" for sample in by_name))
    assert [(s.name, s.label) for s in task.samples(str(table), {})] == [(s.name, s.label) for s in by_name]
    for label in ("cat", "dog"):
        folder = tmp_path / "folders" / label
        folder.mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(folder / "a.png")
    assert [s.label for s in task.samples(str(tmp_path / "folders"), {})] == [0, 1]
    assert len(task.samples(str(images / "picture_0*.png"), {})) == 10


def test_no_images_is_the_users_fault(tmp_path):
    with pytest.raises(UserError, match="no labelled images"):
        find_task("image-classification").samples(str(tmp_path), {})


def test_preprocessing_is_torchvisions(tmp_path):
    from porters.pytorch.torchvision_shim import prepare

    prepare()
    from torchvision import transforms

    file = tmp_path / "picture.png"
    Image.fromarray(np.random.default_rng(1).integers(0, 256, (37, 53, 3), dtype=np.uint8)).save(file)
    steps = {"resize": 20, "filter": "bilinear", "crop": 16, "scale": 255}
    steps |= {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
    theirs = transforms.Compose(
        [
            transforms.Resize(20),
            transforms.CenterCrop(16),
            transforms.ToTensor(),
            transforms.Normalize(steps["mean"], steps["std"]),
        ]
    )(Image.open(file))
    assert np.abs(preprocess(file, steps)[0] - theirs.numpy()).max() < 1e-6


def test_spearman_is_scipys():
    from scipy.stats import pearsonr, spearmanr

    random = np.random.default_rng(0)
    answers, labels = random.standard_normal(50), random.integers(0, 10, 50)
    samples = [Sample(str(index), None, float(label)) for index, label in enumerate(labels)]
    found = find_task("sentence-similarity").scores(samples, answers)
    assert found.value("spearman") == pytest.approx(spearmanr(answers, labels).statistic)
    assert found.value("pearson") == pytest.approx(pearsonr(answers, labels).statistic)


def test_pairs_are_read_and_bad_lines_named(tmp_path):
    task = find_task("sentence-similarity")
    file = tmp_path / "pairs.tsv"
    file.write_text("# a comment\nWord 1\tWord 2\tHuman\ncat\tdog\t7.5\nsun\tmoon\t6\nink\tpen\t8\n")
    with pytest.raises(UserError) as caught:
        task.samples(str(file), {})
    assert ":2" in str(caught.value)
    file.write_text("Word 1\tWord 2\tHuman\ncat\tdog\t7.5\nsun\tmoon\t6\nink\tpen\t8\n")
    assert [sample.label for sample in task.samples(str(file), {})] == [7.5, 6.0, 8.0]


def test_a_card_without_preprocessing_is_refused(conv, images, tmp_path):
    artifact = conv.copy(tmp_path / "artifact")
    with pytest.raises(UserError, match="no image preprocessing"):
        evaluate(artifact, str(images), task="image-classification", original=conv.original, save=False)


def test_metrics_intervals_and_test_are_in_the_result(conv, images, tmp_path):
    artifact = with_preprocessing(conv, tmp_path / "artifact")
    found = evaluate(artifact, str(images), original=conv.original, save=False)
    assert set(found.metrics) == {"top1", "top5"}
    top1 = found.metrics["top1"]
    assert (top1.original, top1.delta, top1.mcnemar.p, top1.small) == (found.original, 0.0, 1.0, True)
    assert top1.original_interval[0] < found.original < top1.original_interval[1]
    assert found.verdict == "pass"
    assert "no transform of its own" in found.notes[0]


def test_a_published_value_of_the_whole_set_gates(conv, images, tmp_path):
    artifact = with_preprocessing(conv, tmp_path / "artifact")
    entry = {"task": "image-classification", "metric": "top1", "published": 0.95, "n": 12}
    (artifact.path / "card.yaml").write_text(dump_card(artifact.card() | {"evaluation": [entry]}))
    artifact = type(artifact)(artifact.path)
    found = evaluate(artifact, str(images), original=conv.original, save=False)
    assert (found.reference.value, found.reference.verdict, found.verdict) == (0.95, "fail", "fail")
    fewer = evaluate(artifact, str(images / "picture_0*.png"), original=conv.original, save=False)
    assert (fewer.n, fewer.reference.verdict, fewer.verdict) == (10, "not gated", "pass")


@pytest.mark.thorough
def test_the_layer_behind_a_changed_answer_is_named(conv, images, tmp_path):
    def twist(model):
        next(node for node in model.graph.node if node.op_type == "ReduceMean").op_type = "ReduceMin"

    def negate(model):
        next(node for node in model.graph.node if node.op_type == "Gemm").attribute.add(name="alpha", f=-1.0, type=1)

    for number, (edit, operator) in enumerate(((twist, "mean"), (negate, "linear"))):
        ported = type(conv)(conv.copy(tmp_path / f"faulty{number}", edit), conv.original)
        artifact = with_preprocessing(ported, tmp_path / f"again{number}")
        found = evaluate(artifact, str(images), original=conv.original, explain_flips=True, save=False)
        whys = [flip.explanation for flip in found.flipped]
        assert whys
        assert all(why.reason == "wrong" and operator in why.source and why.single > why.limit for why in whys)


def test_the_first_decision_or_the_noisiest_layer_stands_out():
    def layer(node, single, flipped=0, verdict="pass"):
        return LayerResult(
            "op", "", "", node, "Op", [1], "float32", 0.0, 1e-7, 1.0, 1.0, single, 3.0, 0, verdict, flipped=flipped
        )  # fmt: skip

    quiet, noisy, choice, bad = layer("a", 0.5), layer("b", 2.0), layer("c", 0.0, 3), layer("d", 9.0, verdict="fail")
    for layers, expected in (
        ([quiet, noisy], ("noise", "b")),
        ([quiet, noisy, choice], ("decision", "c")),
        ([choice, bad, noisy], ("wrong", "d")),
    ):
        found = explanation(LayersResult(layers, [], 0, 0))
        assert (found.reason, found.layer) == expected
    assert explanation(LayersResult([], [], 0, 0)).reason == "unknown"


def test_on_a_chip_the_layer_that_rounds_most_stands_out(conv):
    feed = {"x": np.random.default_rng(0).standard_normal((1, 3, 16, 16)).astype(np.float32)}
    here, there = (explain(conv.artifact, conv.original, on, [feed]) for on in ("onnxruntime", "ascend310p3"))
    assert (here.reason, there.reason) == ("noise", "noise")
    assert here.single < here.limit
    # Operands of fp16 on the cube unit: 2^-11 of the result, and more than 100 times float32's rounding.
    assert 2**-14 < there.injected < 2**-9
    assert there.source in ("aten.conv2d.default", "aten.linear.default")
    assert explain(conv.artifact, conv.original, "openvino", [feed]).reason == "unknown"


@pytest.mark.thorough
def test_the_command_line_declares_evaluates_and_fails(tiny, images, tmp_path, zooport):
    declaration = tmp_path / "declared.yaml"
    steps = {"resize": 10, "crop": 8, "scale": 255}
    evaluation = [{"task": "image-classification", "metric": "top1", "published": 2.0, "n": 12}]
    declaration.write_text(json.dumps({"preprocessing": steps, "evaluation": evaluation}))
    answer = zooport(
        "eval", tiny, "--task", "image-classification", "--data", images, "--declare", declaration, "--json"
    )  # fmt: skip
    result = json.loads(answer.out)
    assert (answer.code, result["verdict"], result["reference"]["verdict"]) == (1, "fail", "fail")
    assert {"original", "port", "delta", "interval"} <= set(result["metrics"]["top1"])
    assert open_artifact(tiny).card()["preprocessing"] == steps
    said = zooport("eval", tiny, "--task", "image-classification", "--data", images)
    assert "/12: 95 % interval" in said.out
    assert "McNemar p = 1" in said.out


def test_only_processing_can_be_declared(tiny, images, tmp_path, refused):
    declaration = tmp_path / "declared.yaml"
    declaration.write_text("source: {reference: other}")
    words = refused("eval", tiny, "--task", "image-classification", "--data", images, "--declare", declaration)
    assert "got:      source" in words


def test_unknown_tasks_are_refused(conv, images):
    with pytest.raises(UserError, match="no task 'sorting'"):
        evaluate(conv.artifact, str(images), task="sorting", original=conv.original, save=False)
