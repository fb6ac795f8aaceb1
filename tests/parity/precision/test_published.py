"""What is published of chips, reproduced on small models: a loss that depends on the graph, saturation against Inf.

RoBERTa-large on SST-2 lost 0.6 points (94.1 for 94.7) on 310P3 as a static graph and nothing as a dynamic one: what
float16 loses depends on the graph and not on the function. Nobody published where it was lost; here it is lost in the
sums of a residual stream, whose common part float16 has to carry and the layer norm takes out again.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from parity.precision.losses import losses
from parity.precision.search import search
from porters.porting import port_to
from porters.pytorch.sources import seeded
from porters.source import SourceOptions
from tests.parity.conftest import make
from zoo.artifact import open_artifact
from zoo.executor import load
from zoo.inputs import InputSpec

SAMPLES, LENGTH, WORDS = 2000, 16, 200
TEXT = [
    InputSpec("input_ids", "int64", ("batch", LENGTH), "tokens", high=WORDS),
    InputSpec("attention_mask", "int64", ("batch", LENGTH), "mask"),
]


def roberta(common: float):
    """Return a small RoBERTa classifier; ``common`` is added to every feature in front of every layer norm but one.

    A layer norm subtracts the mean, so that the function is the same for any ``common``.
    """
    from porters.pytorch.torchvision_shim import prepare

    prepare()
    from transformers import RobertaConfig, RobertaForSequenceClassification

    config = RobertaConfig(
        vocab_size=WORDS, hidden_size=64, num_hidden_layers=2, num_attention_heads=4, intermediate_size=128,
        max_position_embeddings=40, pad_token_id=1,
    )  # fmt: skip
    model = seeded(lambda: RobertaForSequenceClassification(config), 0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim == 2 and "embed" not in name:
                parameter.mul_(4)  # so that the classes depend on the words
        for layer in model.roberta.encoder.layer:
            layer.output.dense.bias += common
            layer.attention.output.dense.bias += common
    return model


@pytest.fixture(scope="module")
def graphs(tmp_path_factory):
    ported = {}
    for common in (0, 32):
        out = tmp_path_factory.mktemp("roberta") / "artifact"
        port_to(roberta(common), out, SourceOptions(TEXT), record_golden=False)
        ported[common] = open_artifact(out)
    return ported


@pytest.fixture(scope="module")
def feed():
    rng = np.random.default_rng(0)
    mask = (np.arange(LENGTH)[None] < rng.integers(4, LENGTH + 1, (SAMPLES, 1))).astype(np.int64)
    return {"input_ids": np.where(mask > 0, rng.integers(3, WORDS, mask.shape), 1), "attention_mask": mask}


def classes(artifact, feed, on="onnxruntime", **options):
    with load(artifact.path / "model.onnx", on, **options) as session:
        return session.run(feed)["logits"].argmax(-1)


@pytest.mark.thorough
def test_what_float16_loses_depends_on_the_graph(graphs, feed):
    answers = {common: classes(artifact, feed) for common, artifact in graphs.items()}
    assert np.mean(answers[0] != answers[32]) < 1e-3, "the two are one function"
    assert 0.1 < answers[0].mean() < 0.9
    points = {
        (common, mode): 100 * np.mean(classes(graphs[common], feed, "ascend310p3", precision=mode) != answers[common])
        for common in graphs
        for mode in ("force_fp16", "allow_fp32_to_fp16")
    }
    # As published: some tenths of a point for one graph, next to nothing for the other.
    assert 0.3 < points[32, "force_fp16"] < 3
    assert points[0, "force_fp16"] < points[32, "force_fp16"] / 4
    # Only the vector unit's sums are to blame: with float32 there, both are well.
    assert max(points[common, "allow_fp32_to_fp16"] for common in graphs) < 0.15
    kept = classes(graphs[32], feed, "ascend310p3", precision="force_fp16", keep=["*/Add*", "*/LayerNormalization*"])
    assert 100 * np.mean(kept != answers[32]) < 0.2


@pytest.mark.thorough
def test_the_search_finds_the_sums(graphs):
    result = search(graphs[32], "ascend310p3", budget=0.004)
    assert result.holds
    assert result.before > 0.01
    assert {"Add"} <= {kept.op for kept in result.keep} <= {"Add", "LayerNormalization"}
    assert search(graphs[0], "ascend310p3", budget=0.004).keep == []


class Overflowing(torch.nn.Module):
    """A hidden layer beyond float16, then a normalisation: finite in float32."""

    def __init__(self) -> None:
        super().__init__()
        self.wide, self.head = torch.nn.Linear(32, 32), torch.nn.Linear(32, 5)

    def forward(self, x):
        hidden = self.wide(x) * 6e4
        return self.head(hidden / hidden.abs().amax(-1, keepdim=True))


def test_a_chip_that_saturates_goes_on_where_the_other_has_inf(tmp_path):
    specs = [InputSpec("x", "float32", ("batch", 32))]
    port = make(seeded(Overflowing, 0), specs, tmp_path / "artifact")
    case = {"x": np.random.default_rng(0).standard_normal((64, 32)).astype(np.float32)}
    outputs = {}
    for chip in ("ascend310p3", "ascend910b3"):
        with load(port.artifact.path / "model.onnx", chip, precision="force_fp16") as session:
            outputs[chip] = session.run(case)["output"]
        found = losses(port.artifact, chip, case, mode="force_fp16")
        assert found[0].op == "Mul", "both name the operator that overflows"
        assert found[0].overflows > 0
    wanted = port.original.run(case)["output"]
    assert np.isfinite(outputs["ascend310p3"]).all()
    # Saturated, not right: the largest value is cut off, and with it every quotient is wrong.
    assert 0.01 < np.abs(outputs["ascend310p3"] - wanted).max() < 1
    broken = ~np.isfinite(outputs["ascend910b3"]).all(axis=-1)
    assert 0 < broken.sum() < len(broken)
    np.testing.assert_allclose(outputs["ascend910b3"][~broken], wanted[~broken], atol=0.01)
