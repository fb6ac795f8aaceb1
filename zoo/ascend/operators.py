"""What the backend knows of each kind of operator: whether it runs, how it computes, what may follow it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import onnx_ir as ir

from zoo.ascend.functions import DOMAIN

# Key in a node's metadata: the number of the kernel that runs it; nodes with one number are one kernel.
KERNEL: Final = "ascend.kernel"

# Vector instructions per element, in passes over a vector of 256 bytes. Sums, products, comparisons and selections are
# one instruction (ISA of the vector unit: vadd, vmul, vmax, vsel ...); exp, ln, sqrt and rec take several cycles per
# block; what has no instruction is counted by the chain that CANN's TBE kernels build it from (x * sigmoid(1.702 x) for
# gelu, exp / (1 + exp) for sigmoid and tanh, a polynomial for erf). The counts are of instructions, not measured.
_PASSES: Final[Mapping[float, str]] = {
    0: "Identity Dropout Rounding",
    1: """Abs Add And BitwiseAnd BitwiseNot BitwiseOr BitwiseXor Cast CastLike Ceil Equal Floor Greater
          GreaterOrEqual IsInf IsNaN Less LessOrEqual Max Min Mul Neg Not Or Relu Round Sub Sum Where Xor""",
    2: "BatchNormalization Clip Mean PRelu LeakyRelu Sign ThresholdedRelu Shrink BitShift",
    4: "Div Reciprocal Sqrt Exp Log Mod HardSigmoid HardSwish",
    8: "Sigmoid Tanh Swish Softplus Softsign Elu Selu Celu Pow Sin Cos Tan Gelu Mish",
    16: "Erf Acos Acosh Asin Asinh Atan Atanh Cosh Sinh",
}
ELEMENTWISE: Final[Mapping[str, float]] = {
    operator: passes for passes, operators in _PASSES.items() for operator in operators.split()
}

# Passes over the input of operators that bring several elements together.
REDUCING: Final[Mapping[str, float]] = {
    **dict.fromkeys(("ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum", "GlobalAveragePool"), 1.0),
    **dict.fromkeys(("GlobalMaxPool", "ArgMax", "ArgMin", "GlobalLpPool", "CumSum", "ReduceL1"), 2.0),
    **dict.fromkeys(("ReduceL2", "ReduceLogSum", "ReduceSumSquare"), 2.0),
    **dict.fromkeys(("LpNormalization", "ReduceLogSumExp", "RMSNormalization"), 6.0),
    **dict.fromkeys(("Softmax", "LogSoftmax", "Hardmax"), 10.0),
    **dict.fromkeys(("LayerNormalization", "InstanceNormalization", "GroupNormalization", "LRN"), 12.0),
    **dict.fromkeys(("MeanVarianceNormalization",), 12.0),
    "RotaryEmbedding": 4.0,
    "TopK": 32.0,
}

# Passes over the output times the window that each element looks at.
WINDOWED: Final = frozenset(("MaxPool", "AveragePool", "LpPool"))

# Operators that fetch or place single elements by indices: the scalar unit computes every address.
ONE_BY_ONE: Final = frozenset(("GatherElements", "GatherND", "ScatterElements", "ScatterND", "GridSample", "Col2Im"))

# Operators of the cube; FlashAttention is ours, attention as one kernel.
CUBE: Final = frozenset(
    ["Conv", "ConvTranspose", "Gemm", "MatMul", "Einsum", "Attention", "DeformConv", "FlashAttention"]
)
CUBE_INT8: Final = frozenset(("ConvInteger", "MatMulInteger", "QLinearConv", "QLinearMatMul"))
RECURRENT: Final = frozenset(("LSTM", "GRU", "RNN"))

# These change the description of a tensor or hold one: GE resolves them, no kernel runs.
NO_KERNEL: Final = frozenset(
    (
        "Constant",
        "ConstantOfShape",
        "Flatten",
        "Identity",
        "Reshape",
        "Shape",
        "Size",
        "Squeeze",
        "Unsqueeze",
        "Dropout",
    )
)

# Those of them that have a tensor's storage.
VIEWS: Final = NO_KERNEL - {"Constant", "ConstantOfShape", "Shape", "Size"}

# A kernel may take in elementwise operators behind these.
FUSES: Final = frozenset((*CUBE, *ELEMENTWISE, *REDUCING, *WINDOWED))

# Rounding a value to a narrower format: part of storing it, never a kernel of its own.
ROUNDING: Final = "Rounding"

_BASES: Final = sorted({*CUBE, *ELEMENTWISE, *REDUCING, *WINDOWED, "TransData"}, key=len, reverse=True)


def operator_of(node: ir.Node) -> str:
    """Return the standard operator that ``node`` computes, also where it is lowered to a function of ours."""
    if node.domain != DOMAIN:
        return node.op_type
    if node.op_type.startswith("Round") or node.op_type == "NanToZero":
        return ROUNDING
    return next((base for base in _BASES if node.op_type.startswith(base)), node.op_type)


def is_view(node: ir.Node) -> bool:
    """Say whether ``node`` only describes its input anew, so that no kernel runs for it.

    Beside reshapes that is a transpose of the last two axes right before a matrix product: the cube reads its operands
    either way round (GE's transpose fusion); zeros around a picture that only convolutions read, which load them
    themselves (GE's PadConv2dFusionPass); and a rounding that no kernel took in.
    """
    if operator_of(node) == ROUNDING:
        return KERNEL not in node.metadata_props
    if node.domain:
        return False
    if node.op_type in VIEWS or _is_border(node):
        return True
    if node.op_type != "Transpose" or node.outputs[0].is_graph_output():
        return False
    order = list(node.attributes.get_ints("perm", ()))
    rank = len(order)
    swapped = order == [*range(rank - 2), rank - 1, rank - 2] if rank >= 2 else False
    users = {operator_of(use.node) for use in node.outputs[0].uses()}
    return swapped and bool(users) and users <= {"MatMul"}


def _is_border(node: ir.Node) -> bool:
    """Say whether ``node`` puts zeros around the spatial axes of a tensor that convolutions alone read."""
    if node.op_type != "Pad" or node.attributes.get_string("mode", "constant") != "constant" or len(node.inputs) < 2:
        return False
    if node.outputs[0].is_graph_output() or any(value is not None for value in node.inputs[3:]):
        return False
    widths = ir.convenience.get_const_tensor(node.inputs[1]) if node.inputs[1] is not None else None
    fill = node.inputs[2] if len(node.inputs) > 2 else None
    filled = ir.convenience.get_const_tensor(fill) if fill is not None else None
    if widths is None or (fill is not None and (filled is None or filled.numpy().any())):
        return False
    sizes = widths.numpy()
    rank = len(sizes) // 2
    outside = [*sizes[:2], *sizes[rank : rank + 2]]
    users = {operator_of(use.node) for use in node.outputs[0].uses()}
    return rank >= 3 and not any(outside) and bool((sizes >= 0).all()) and bool(users) and users <= {"Conv", ROUNDING}
