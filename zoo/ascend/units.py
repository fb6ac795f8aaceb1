"""Which unit of the chip runs each operator: a table by operator type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from zoo.ascend import rounding, vector

Unit = Literal["cube", "vector", "aicpu", "unsupported"]

# Source of the split: CANN's operator lists have an AI Core kernel for the operators under "vector" and only an
# AI CPU kernel for those under "aicpu"; recalled from the public operator packages, not checked chip by chip.
_CUBE = """
Conv ConvTranspose Gemm MatMul ConvInteger MatMulInteger QLinearConv QLinearMatMul Attention
"""

_VECTOR = """
Abs Acos Acosh Add AffineGrid And ArgMax ArgMin Asin Asinh Atan Atanh AveragePool BatchNormalization BitShift
BitwiseAnd BitwiseNot BitwiseOr BitwiseXor BlackmanWindow Cast CastLike Ceil Celu CenterCropPad Clip Col2Im Concat
Cos Cosh CumSum DepthToSpace DequantizeLinear Div Dropout DynamicQuantizeLinear Elu Equal Erf Exp Expand EyeLike
Floor Gather GatherElements GatherND Gelu GlobalAveragePool GlobalLpPool GlobalMaxPool Greater GreaterOrEqual
GridSample GroupNormalization HannWindow HammingWindow HardSigmoid HardSwish Hardmax InstanceNormalization IsInf
IsNaN LRN LayerNormalization LeakyRelu Less LessOrEqual Log LogSoftmax LpNormalization LpPool Max MaxPool MaxUnpool
Mean MeanVarianceNormalization Min Mish Mod Mul Neg Not OneHot Or PRelu Pad Pow QuantizeLinear RMSNormalization
Range Reciprocal ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum
ReduceSumSquare Relu Resize ReverseSequence RoiAlign RotaryEmbedding Round ScatterElements ScatterND Selu Shrink
Sigmoid Sign Sin Sinh Slice Softmax Softplus Softsign SpaceToDepth Split Sqrt Sub Sum Swish Tan Tanh TensorScatter
ThresholdedRelu Tile TopK Transpose Trilu Upsample Where Xor
"""

_AICPU = """
Bernoulli Compress Det Multinomial NonMaxSuppression NonZero RandomNormal RandomNormalLike RandomUniform
RandomUniformLike STFT DFT Unique If Loop Scan
"""

# These change the description of a tensor or hold one: GE resolves them, no kernel runs.
_NO_KERNEL = """
Constant ConstantOfShape Flatten Identity Reshape Shape Size Squeeze Unsqueeze
"""

UNITS: Final[Mapping[str, Unit]] = {
    **dict.fromkeys(_CUBE.split(), "cube"),
    **dict.fromkeys(_VECTOR.split(), "vector"),
    **dict.fromkeys(_AICPU.split(), "aicpu"),
    **dict.fromkeys(_NO_KERNEL.split(), "vector"),
}

# Functions of the domain ai.ascend that are not an operator of the cube themselves.
ASCEND_VECTOR: Final = rounding.PRIMITIVES | vector.NAMES

# Why an operator stands where it stands, where that is not obvious.
REASONS: Final[Mapping[str, str]] = {
    **dict.fromkeys(_NO_KERNEL.split(), "no kernel: only the description of the tensor changes"),
    **dict.fromkeys(("If", "Loop", "Scan"), "control flow: the body's nodes have units of their own"),
    **dict.fromkeys(
        ("LSTM", "GRU", "RNN"), "recurrent operators are not lowered yet: the cube's fp16 rounding is left out"
    ),
    "Einsum": "only contractions of two float32 operands are lowered: any rounding of the cube is left out",
    "DeformConv": "DeformConv is not lowered yet: the cube's fp16 rounding is left out",
}
