"""Whole models in standard form: few nodes, composites whole, symbolic sizes, and the same function."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest

from porters.canonicalize import canonicalize
from porters.from_pytorch import PyTorchPorter
from porters.pytorch.sources import need, open_live
from porters.source import SourceOptions
from zoo.inputs import InputSpec, sample

torch = pytest.importorskip("torch")
SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64, "vocab_size": 90}
ONE_LAYER = {**SMALL, "num_hidden_layers": 1}
DECODER = {**SMALL, "num_key_value_heads": 2, "use_cache": False}
ENCODER_T5 = {"d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 1, "num_heads": 4, "vocab_size": 90}
GPT = {"n_embd": 32, "n_layer": 2, "n_head": 4, "vocab_size": 90, "use_cache": False}
TOKENS = [
    InputSpec("input_ids", "int64", ("batch", "sequence"), "tokens", high=90),
    InputSpec("attention_mask", "int64", ("batch", "sequence"), "mask"),
]
GPT |= {"bos_token_id": 0, "eos_token_id": 0}


def transformer(model: str, config: str, **keywords: Any) -> Any:
    transformers = need("transformers", "text")
    torch.manual_seed(0)
    return getattr(transformers, model)(getattr(transformers, config)(**keywords))


# Name -> (how to build it, the composites it holds, an upper bound for its nodes).
MODELS: dict[str, tuple[Callable[[], Any], dict[str, int], int]] = {
    "bert": (
        lambda: transformer("BertModel", "BertConfig", **SMALL),
        {"Attention": 2, "LayerNormalization": 5, "Gelu": 2},
        83,
    ),
    "bert eager": (
        lambda: transformer("BertModel", "BertConfig", **ONE_LAYER, attn_implementation="eager"),
        {"Attention": 1, "Softmax": 0},
        54,  # two of them keep the mask's lowest number from being taken for minus infinity
    ),
    "gpt2": (
        lambda: transformer("GPT2Model", "GPT2Config", **GPT),
        {"Attention": 2, "LayerNormalization": 5, "Gelu": 2, "Gemm": 0},
        63,
    ),
    "llama": (
        lambda: transformer("LlamaModel", "LlamaConfig", **DECODER),
        {"Attention": 2, "RMSNormalization": 5, "RotaryEmbedding": 4, "Cos": 1, "Sin": 1},
        85,
    ),
    "qwen3": (
        lambda: transformer("Qwen3Model", "Qwen3Config", **DECODER | ONE_LAYER, head_dim=8),
        {"Attention": 1, "RMSNormalization": 5, "RotaryEmbedding": 2},
        54,
    ),
    "t5": (
        lambda: transformer("T5EncoderModel", "T5Config", **ENCODER_T5),
        {"Attention": 1, "RMSNormalization": 3, "Expand": 0},
        58,
    ),
}


def ported(model: Any, specs: Any = None) -> tuple[Any, ir.Model]:
    original = open_live(model, SourceOptions(inputs=specs or TOKENS))
    return original, PyTorchPorter().translate(original).model


@functools.cache
def ported_by_name(name: str) -> tuple[Any, ir.Model]:
    return ported(MODELS[name][0]())


def ratio(port: np.ndarray, truth: np.ndarray, own: np.ndarray) -> float:
    port, truth, own = (item.astype(np.float64).ravel() for item in (port, truth, own))
    return float(np.linalg.norm(port - truth) / max(np.linalg.norm(own - truth), 2.0**-23 * np.linalg.norm(truth)))


def assert_same(original: Any, model: ir.Model, sizes: list[dict[str, int]]) -> None:
    levels = onnxruntime.GraphOptimizationLevel
    data = ir.serde.serialize_model(model).SerializeToString()
    for level in (levels.ORT_DISABLE_ALL, levels.ORT_ENABLE_ALL):
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level, options.log_severity_level = level, 3
        session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        for case, size in enumerate(sizes):
            feed = sample(original.inputs, 3, case, size)
            truth, own = original.run(feed, "float64"), original.run(feed)
            for output, found in zip(session.get_outputs(), session.run(None, feed), strict=True):
                assert ratio(found, truth[output.name], own[output.name]) <= 3


@pytest.mark.parametrize("name", MODELS)
def test_composites_are_whole_and_the_model_is_the_same(name: str) -> None:
    _, composites, most = MODELS[name]
    original, model = ported_by_name(name)
    ops = Counter(node.op_type for node in model.graph)
    assert {op: ops[op] for op in composites} == composites
    assert ops["GatherND"] == ops["Identity"] == 0
    assert sum(ops.values()) <= most
    onnx.checker.check_model(ir.serde.serialize_model(model), full_check=True)
    assert [str(size) for size in model.graph.outputs[0].shape or []][:2] == ["batch", "sequence"]
    sizes = [{"batch": batch, "sequence": length} for batch, length in ((1, 5), (2, 9), (3, 5))]
    assert_same(original, model, sizes)


def test_the_mask_of_an_encoder_is_three_steps() -> None:
    _, model = ported_by_name("bert")
    attention = next(node for node in model.graph if node.op_type == "Attention")
    chain, value = [], attention.inputs[3]
    while value is not None and value.producer() is not None:
        chain.append(value.producer().op_type)
        value = value.producer().inputs[0]
    assert chain == ["Expand", "Unsqueeze", "Cast"]
    assert value is not None
    assert value.name == "attention_mask"


def test_torchs_multi_head_attention_has_no_detours() -> None:
    need("torchvision", "vision")
    from torchvision.models import VisionTransformer

    model = VisionTransformer(32, 16, 2, 2, 16, 32, num_classes=10)
    torch.nn.init.normal_(model.heads.head.weight)
    original, graph = ported(model, [InputSpec("x", "float32", ("batch", 3, 32, 32), "image")])
    ops = Counter(node.op_type for node in graph.graph)
    assert (ops["Attention"], ops["Split"], ops["Squeeze"], ops["Unsqueeze"]) == (2, 2, 0, 0)
    assert_same(original, graph, [{"batch": 1}, {"batch": 3}])


class Detector(torch.nn.Module):
    """The end of an anchor-free detector: two levels, joined over places, with coordinates cast to their dtype."""

    def __init__(self) -> None:
        super().__init__()
        self.levels = torch.nn.ModuleList(torch.nn.Conv2d(3, 12, 3, stride) for stride in (2, 4))

    def forward(self, x: Any) -> Any:
        maps = [level(x) for level in self.levels]
        joined = torch.cat([level.view(x.shape[0], 12, -1) for level in maps], 2)
        places = [torch.arange(level.shape[-1] * level.shape[-2]).type_as(level) + 0.5 for level in maps]
        return joined.view(x.shape[0], 4, 3, -1).softmax(2) + torch.cat(places)


def test_joined_levels_are_reshaped_once_and_their_coordinates_are_constants() -> None:
    original, graph = ported(Detector(), [InputSpec("x", "float32", ("batch", 3, 16, 16), "image")])
    ops = Counter(node.op_type for node in graph.graph)
    assert ops == {"Conv": 2, "Reshape": 2, "Concat": 1, "Softmax": 1, "Add": 1}
    assert_same(original, graph, [{"batch": 1}, {"batch": 3}])


def test_it_is_done_after_one_time() -> None:
    _, model = ported_by_name("llama")
    before = onnx_text(model)
    canonicalize(model)
    assert onnx_text(model) == before


def test_the_same_every_time() -> None:
    again = ported(MODELS["qwen3"][0]())[1]
    assert onnx_text(again) == onnx_text(ported_by_name("qwen3")[1])


def onnx_text(model: ir.Model) -> bytes:
    return ir.serde.serialize_model(model).SerializeToString()


def test_every_node_tells_its_source() -> None:
    _, model = ported_by_name("llama")
    for node in model.graph:
        assert node.metadata_props.get("zooport.node"), node.name
    names = [value.name for node in model.graph for value in node.outputs]
    assert len(names) == len(set(names))
    assert len({node.name for node in model.graph}) == len(model.graph)
