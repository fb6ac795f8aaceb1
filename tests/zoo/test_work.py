"""How much arithmetic a graph does, against counts made by hand and by torch's own counter."""

from __future__ import annotations

import onnx_ir as ir
import pytest

from porters.porting import port_to
from porters.source import SourceOptions
from zoo.artifact import open_artifact
from zoo.graph import GraphBuilder
from zoo.inputs import InputSpec
from zoo.work import multiply_adds


def graph_of(op_type: str, operands: dict[str, list], out: list, **attributes) -> ir.Graph:
    builder = GraphBuilder("one")
    values = [builder.input(name, ir.DataType.FLOAT, shape) for name, shape in operands.items()]
    result = builder.op(op_type, *values, **attributes)
    result.shape = ir.Shape(out)
    return builder.finish([result]).graph


@pytest.mark.parametrize(
    ("op_type", "operands", "out", "attributes", "expected"),
    [
        ("MatMul", {"a": ["batch", 5, 7], "b": [7, 11]}, ["batch", 5, 11], {}, 3 * 5 * 7 * 11),
        ("Gemm", {"a": [7, 5], "b": [7, 11]}, [5, 11], {"transA": 1}, 5 * 7 * 11),
        ("Conv", {"x": ["batch", 8, 6, 6], "w": [10, 4, 3, 3]}, ["batch", 10, 4, 4], {"group": 2}, 3 * 10 * 16 * 36),
        ("ConvTranspose", {"x": [1, 8, 5, 5], "w": [8, 10, 2, 2]}, [1, 10, 10, 10], {}, 8 * 25 * 10 * 4),
        ("MatMul", {"a": ["2*batch", 4], "b": [4, 4]}, ["2*batch", 4], {}, 6 * 16),
    ],
)
def test_an_operator_counts_its_products(op_type, operands, out, attributes, expected):
    assert multiply_adds(graph_of(op_type, operands, out, **attributes), {"batch": 3}) == expected


def test_attention_counts_both_products_in_either_layout():
    flat = graph_of(
        "Attention", {"q": [2, 5, 24], "k": [2, 9, 24], "v": [2, 9, 24]}, [2, 5, 24], q_num_heads=3, kv_num_heads=3
    )
    heads = graph_of("Attention", {"q": [2, 3, 5, 8], "k": [2, 3, 9, 8], "v": [2, 3, 9, 8]}, [2, 3, 5, 8])
    assert multiply_adds(flat, {}) == multiply_adds(heads, {}) == 2 * (2 * 3 * 5 * 9 * 8)


def test_what_is_unknown_counts_nothing_and_elementwise_work_is_not_counted():
    assert multiply_adds(graph_of("MatMul", {"a": ["other", 4], "b": [4, 4]}, ["other", 4]), {"batch": 3}) == 0
    assert multiply_adds(graph_of("Relu", {"a": [4, 4]}, [4, 4]), {}) == 0


def test_a_whole_port_counts_what_torch_counts(tmp_path):
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    class Tagger(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.stem = torch.nn.Conv1d(6, 12, 3, padding=1)
            self.attention = torch.nn.MultiheadAttention(12, 3, batch_first=True)
            self.head = torch.nn.Linear(12, 4)

        def forward(self, x):
            y = self.stem(x).transpose(1, 2)
            return self.head(self.attention(y, y, y, need_weights=False)[0])

    model = Tagger().eval()
    specs = [InputSpec("x", "float32", ("batch", 6, 20))]
    port_to(model, tmp_path / "port", SourceOptions(specs), record_golden=False)
    counter = FlopCounterMode(display=False)
    with counter, torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH), torch.no_grad():
        model(torch.zeros(5, 6, 20))
    ours = multiply_adds(open_artifact(tmp_path / "port").model().graph, {"batch": 5})
    assert ours == counter.get_total_flops() // 2


def test_a_recurrent_operator_counts_every_gate_at_every_step(tmp_path):
    import torch

    class Recurrent(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = torch.nn.LSTM(6, 8, batch_first=True)

        def forward(self, x):
            return self.lstm(x)[0]

    specs = [InputSpec("x", "float32", ("batch", 10, 6))]
    port_to(Recurrent().eval(), tmp_path / "port", SourceOptions(specs), record_golden=False)
    ours = multiply_adds(open_artifact(tmp_path / "port").model().graph, {"batch": 2})
    assert ours == 10 * 2 * 4 * 8 * (6 + 8)
