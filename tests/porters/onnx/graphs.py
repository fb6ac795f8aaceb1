"""ONNX files as other exporters write them, built by hand."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def random(name: str) -> np.random.Generator:
    """Return a generator of its own for each name: no file depends on what was written before it."""
    return np.random.default_rng(zlib.crc32(name.encode()))


def weight(name: str, *shape: int) -> TensorProto:
    """Return a seeded float32 initializer."""
    array = random(name).standard_normal(shape) / np.sqrt(max(1, np.prod(shape[1:])))
    return numpy_helper.from_array(array.astype(np.float32), name)


def integers(name: str, *items: int, scalar: bool = False) -> TensorProto:
    """Return an int64 initializer, a vector unless ``scalar``."""
    return numpy_helper.from_array(np.array(items[0] if scalar else items, np.int64), name)


def write(file: Path, nodes, inputs, outputs, weights=(), *, opset: int, **options) -> Path:
    """Write a model; ``inputs`` and ``outputs`` map names to (type, shape)."""
    given, made = ([helper.make_tensor_value_info(n, *spec) for n, spec in item.items()] for item in (inputs, outputs))
    graph = helper.make_graph(nodes, "made", given, made, list(weights))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8, **options)
    onnx.save(model, file)
    return file


def layer_norm(x: str, y: str, prefix: str, size: int):
    """Return (nodes, weights) of a layer normalisation as torch spelled it out before opset 17."""
    p = prefix
    nodes = [
        helper.make_node("ReduceMean", [x], [f"{p}/mean"], f"/{p}/ReduceMean", axes=[-1]),
        helper.make_node("Sub", [x, f"{p}/mean"], [f"{p}/centred"], f"/{p}/Sub"),
        helper.make_node("Pow", [f"{p}/centred", f"{p}.two"], [f"{p}/squares"], f"/{p}/Pow"),
        helper.make_node("ReduceMean", [f"{p}/squares"], [f"{p}/variance"], f"/{p}/ReduceMean_1", axes=[-1]),
        helper.make_node("Add", [f"{p}/variance", f"{p}.eps"], [f"{p}/safe"], f"/{p}/Add"),
        helper.make_node("Sqrt", [f"{p}/safe"], [f"{p}/deviation"], f"/{p}/Sqrt"),
        helper.make_node("Div", [f"{p}/centred", f"{p}/deviation"], [f"{p}/normal"], f"/{p}/Div"),
        helper.make_node("Mul", [f"{p}/normal", f"{p}.weight"], [f"{p}/scaled"], f"/{p}/Mul"),
        helper.make_node("Add", [f"{p}/scaled", f"{p}.bias"], [y], f"/{p}/Add_1"),
    ]
    two, eps = (numpy_helper.from_array(np.float32(v), f"{p}.{n}") for v, n in ((2, "two"), (1e-5, "eps")))
    return nodes, [weight(f"{p}.weight", size), weight(f"{p}.bias", size), two, eps]


def attention(file: Path, *, opset: int = 13) -> Path:
    """Write a block of self-attention over [N, tokens, 16] with its sizes computed at run time, four heads of 4."""
    nodes, weights = layer_norm("x", "normed", "norm", 16)
    weights += [integers(name, place, scalar=True) for name, place in (("zero", 0), ("one", 1))]
    weights += [integers("first", 0), integers("heads", 4), integers("width", 4), integers("whole", 16)]
    nodes += [
        helper.make_node("Shape", ["normed"], ["shape"], "/attn/Shape"),
        helper.make_node("Gather", ["shape", "zero"], ["batch"], "/attn/Gather"),
        helper.make_node("Gather", ["shape", "one"], ["length"], "/attn/Gather_1"),
        helper.make_node("Unsqueeze", ["batch", "first"], ["batch1"], "/attn/Unsqueeze"),
        helper.make_node("Unsqueeze", ["length", "first"], ["length1"], "/attn/Unsqueeze_1"),
        helper.make_node("Concat", ["batch1", "length1", "heads", "width"], ["split"], "/attn/Concat", axis=0),
        helper.make_node("Concat", ["batch1", "length1", "whole"], ["joined"], "/attn/Concat_1", axis=0),
    ]
    for part, order in (("q", [0, 2, 1, 3]), ("k", [0, 2, 3, 1]), ("v", [0, 2, 1, 3])):
        weights.append(weight(f"attn.{part}.weight", 16, 16))
        nodes += [
            helper.make_node("MatMul", ["normed", f"attn.{part}.weight"], [f"{part}0"], f"/attn/{part}/MatMul"),
            helper.make_node("Reshape", [f"{part}0", "split"], [f"{part}1"], f"/attn/{part}/Reshape"),
            helper.make_node("Transpose", [f"{part}1"], [part], f"/attn/{part}/Transpose", perm=order),
        ]
    weights.append(numpy_helper.from_array(np.float32(2.0), "root"))
    nodes += [
        helper.make_node("MatMul", ["q", "k"], ["scores"], "/attn/MatMul"),
        helper.make_node("Div", ["scores", "root"], ["scaled"], "/attn/Div"),
        helper.make_node("Softmax", ["scaled"], ["shares"], "/attn/Softmax", axis=-1),
        helper.make_node("MatMul", ["shares", "v"], ["mixed"], "/attn/MatMul_1"),
        helper.make_node("Transpose", ["mixed"], ["mixed1"], "/attn/Transpose", perm=[0, 2, 1, 3]),
        helper.make_node("Reshape", ["mixed1", "joined"], ["mixed2"], "/attn/Reshape"),
        helper.make_node("Add", ["x", "mixed2"], ["y"], "/Add"),
    ]
    kind = TensorProto.FLOAT
    shape = ["N", "tokens", 16]
    return write(file, nodes, {"x": (kind, shape)}, {"y": (kind, shape)}, weights, opset=opset)


def old_convolutions(file: Path) -> Path:
    """Write opset 9's Conv, Clip, Pad, Upsample, ReduceMean and Softmax, whose attributes became inputs since."""
    nodes = [
        helper.make_node("Conv", ["x", "stem.weight"], ["c"], "/stem/Conv", pads=[1, 1, 1, 1], strides=[2, 2]),
        helper.make_node("Clip", ["c"], ["r"], "/act/Clip", min=0.0, max=6.0),
        helper.make_node("Pad", ["r"], ["p"], "/pad/Pad", pads=[0, 0, 1, 1, 0, 0, 1, 1], mode="constant", value=0.5),
        helper.make_node("Upsample", ["p", "scales"], ["u"], "/up/Upsample", mode="nearest"),
        helper.make_node("AveragePool", ["u"], ["a"], "/pool/AveragePool", kernel_shape=[3, 3], strides=[2, 2]),
        helper.make_node("ReduceMean", ["a"], ["m"], "/head/ReduceMean", axes=[2, 3], keepdims=0),
        helper.make_node("MatMul", ["m", "head.weight"], ["logits"], "/head/MatMul"),
        helper.make_node("Softmax", ["logits"], ["y"], "/Softmax", axis=1),
    ]
    scales = numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "scales")
    weights = [weight("stem.weight", 8, 3, 3, 3), weight("head.weight", 8, 20), scales]
    kind = TensorProto.FLOAT
    return write(file, nodes, {"x": (kind, ["N", 3, 16, 16])}, {"y": (kind, ["N", 20])}, weights, opset=9)


def quantised(file: Path) -> Path:
    """Write Conv, Relu and Gemm between QuantizeLinear and DequantizeLinear, weights of 8 bits for each channel."""

    def around(name: str, scale: float):
        return [
            helper.make_node("QuantizeLinear", [name, f"{name}.scale", "zero"], [f"{name}.q"], f"/{name}/Quantize"),
            helper.make_node(
                "DequantizeLinear", [f"{name}.q", f"{name}.scale", "zero"], [f"{name}.dq"], f"/{name}/Deq"
            ),
        ], numpy_helper.from_array(np.float32(scale), f"{name}.scale")

    def small(name: str, *shape: int):
        array = random(name).integers(-127, 128, shape).astype(np.int8)
        scales = (random(name).uniform(0.5, 1.5, shape[0]) / (127 * np.sqrt(np.prod(shape[1:])))).astype(np.float32)
        zeros = np.zeros(shape[0], np.int8)
        node = helper.make_node("DequantizeLinear", [name, f"{name}.s", f"{name}.z"], [f"{name}.dq"], axis=0)
        held = ((array, name), (scales, f"{name}.s"), (zeros, f"{name}.z"))
        return node, [numpy_helper.from_array(item, label) for item, label in held]

    (x, xs), (h, hs), (f, fs) = around("x", 0.03), around("h", 0.02), around("f", 0.02)
    conv, conv_weights = small("conv.weight", 16, 3, 3, 3)
    head, head_weights = small("head.weight", 64, 16)
    nodes = [
        *x, conv, helper.make_node("Conv", ["x.dq", "conv.weight.dq"], ["c"], "/conv/Conv", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["h"], "/act/Relu"), *h,
        helper.make_node("GlobalAveragePool", ["h.dq"], ["g"], "/pool/GlobalAveragePool"),
        helper.make_node("Flatten", ["g"], ["f"], "/Flatten"), *f, head,
        helper.make_node("Gemm", ["f.dq", "head.weight.dq"], ["y"], "/head/Gemm", transB=1),
    ]  # fmt: skip
    zero = numpy_helper.from_array(np.int8(0), "zero")
    kind = TensorProto.FLOAT
    weights = [xs, hs, fs, zero, *conv_weights, *head_weights]
    return write(file, nodes, {"x": (kind, ["N", 3, 12, 12])}, {"y": (kind, ["N", 64])}, weights, opset=17)
