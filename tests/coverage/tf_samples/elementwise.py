"""Arithmetic, comparison, rounding, logic and special functions, element by element."""

from __future__ import annotations

import numpy as np

from tests.coverage.tf_samples.sample import EDGES, B, b, f, i, op, u

X = f(B, 5, edges=EDGES)
Y = f(B, 5, mean=0.3, edges=EDGES[::-1])
P = u(B, 5, low=0.1, high=4.0, edges=(0.0, 1.0, 1e-6, 1e6, float("inf"), float("nan"), -1.0))
ROW = f(5, edges=EDGES[3:])
N = i(B, 6)
M = i(B, 6, low=1, high=7)
LONG = i(B, 6, dtype="int64")
T, U = b(B, 6), b(B, 6)

for _name in (
    "Abs", "Neg", "Floor", "Ceil", "Round", "Rint", "Sign", "IsNan", "IsInf", "IsFinite", "Sin", "Cos", "Tanh",
    "Square", "Atan", "Erf", "Erfc", "Exp", "Expm1", "Sinh", "Cosh", "Asinh", "ZerosLike", "OnesLike", "Inv",
    "Reciprocal",
):  # fmt: skip
    _edges = EDGES if _name not in ("Sin", "Cos") else EDGES[:10]
    op(_name, x=f(B, 5, edges=_edges))
for _name in ("Sqrt", "Rsqrt", "Log", "Log1p", "Lgamma", "Digamma", "Acosh"):
    op(_name, x=P)
for _name in ("Tan", "Asin", "Acos", "Atanh", "Erfinv", "Sigmoid"):
    op(_name, x=u(B, 5, low=-0.95, high=0.95, edges=(-1.0, 1.0, 0.0, -0.0, 1e-5, float("nan"))))
op("Ndtri", x=u(B, 5, low=0.01, high=0.99, edges=(0.0, 1.0, 0.5, 1e-6)))
for _name in ("Abs", "Neg", "Sign", "Square"):
    op(_name, x=N)
    op(_name, x=LONG)
for _name in (
    "BesselI0", "BesselI0e", "BesselI1", "BesselI1e", "BesselJ0", "BesselJ1", "Spence", "Dawsn", "FresnelCos",
    "FresnelSin",
):  # fmt: skip
    op(_name, x=u(B, 9, low=0.0, high=12.0, edges=(0.0, 0.5, 1.0, 2.0, 5.0, 8.0, 20.0)))
for _name in ("BesselJ0", "BesselJ1", "BesselI0", "BesselI1", "Dawsn", "FresnelCos", "FresnelSin", "Lgamma", "Digamma"):
    op(_name, x=f(B, 9, std=3.0))
for _name in ("BesselK0", "BesselK0e", "BesselK1", "BesselK1e", "BesselY0", "BesselY1", "Expint"):
    op(_name, x=u(B, 9, low=0.05, high=9.0, edges=(0.01, 0.5, 1.0, 2.0, 5.0, 8.0, 20.0)))

for _name in ("Add", "AddV2", "Sub", "Mul", "RealDiv", "Div", "Maximum", "Minimum", "SquaredDifference"):
    op(_name, x=X, y=Y)
    op(_name, x=X, y=ROW)
for _name in ("Add", "AddV2", "Sub", "Mul", "Maximum", "Minimum", "SquaredDifference"):
    op(_name, x=N, y=M)
    op(_name, x=N, y=i(6, low=1, high=4))
for _name in ("Div", "FloorDiv", "FloorMod", "TruncateDiv", "TruncateMod", "Mod"):
    op(_name, x=N, y=i(B, 6, low=1, high=5))
    op(_name, x=N, y=i(B, 6, low=-5, high=0))
for _name in ("FloorDiv", "FloorMod", "Mod", "TruncateMod"):
    op(_name, x=f(B, 6, std=4.0), y=u(B, 6, low=0.4, high=2.0))
    op(_name, x=f(B, 6, std=4.0), y=u(B, 6, low=-2.0, high=-0.4))
for _name in ("Equal", "NotEqual", "Less", "LessEqual", "Greater", "GreaterEqual"):
    op(_name, x=X, y=Y)
    op(_name, x=i(B, 6, low=0, high=3), y=i(B, 6, low=0, high=3))
op("Equal", x=T, y=U)
op("NotEqual", x=T, y=U)
op("Equal", x=i(B, 6, low=0, high=3, dtype="int64"), y=i(6, low=0, high=3, dtype="int64"))
op("ApproximateEqual", x=f(B, 40), y=f(B, 40), tolerance=0.5)
op("Pow", x=P, y=f(B, 5))
op("Pow", x=f(B, 5, edges=EDGES), y=2.0)
op("Pow", x=f(B, 5, edges=EDGES), y=3.0)
op("Pow", x=i(B, 6, low=-4, high=5), y=i(B, 6, low=0, high=4))
op("Atan2", y=f(B, 5, edges=EDGES), x=f(B, 5, edges=EDGES[::-1]))
op("DivNoNan", x=X, y=f(B, 5, edges=(0.0, 1.0, -0.0, 2.0)))
op("MulNoNan", x=X, y=f(B, 5, edges=(0.0, 1.0, -0.0, 2.0)))
op("Xdivy", x=f(B, 5, edges=(0.0, 1.0, 0.0, 2.0)), y=f(B, 5, edges=(0.0, 2.0, float("inf"), 0.0)))
op("Xlogy", x=f(B, 5, edges=(0.0, 1.0, 0.0, 2.0)), y=u(B, 5, low=0.1, high=3.0, edges=(0.0, 2.0, 5.0, 0.0)))
op("Xlog1py", x=f(B, 5, edges=(0.0, 1.0, 0.0, 2.0)), y=u(B, 5, low=-0.9, high=3.0, edges=(-1.0, 2.0, 1e-6, 0.0)))
op("Igamma", a=u(B, 5, low=0.2, high=5.0), x=u(B, 5, low=0.0, high=8.0, edges=(0.0, 1.0, 20.0)))
op("Igammac", a=u(B, 5, low=0.2, high=5.0), x=u(B, 5, low=0.0, high=8.0, edges=(0.0, 1.0, 20.0)))
op("Betainc", a=u(B, 5, low=0.3, high=6.0), b=u(B, 5, low=0.3, high=6.0), x=u(B, 5, edges=(0.0, 1.0, 0.5)))
op("Polygamma", a=1.0, x=u(B, 5, low=0.2, high=6.0))
op("Polygamma", a=3.0, x=u(B, 5, low=0.2, high=6.0))
op("Zeta", x=u(B, 5, low=1.2, high=5.0), q=u(B, 5, low=0.2, high=6.0))
op("NextAfter", x1=X, x2=Y)
op("AddN", inputs=[f(B, 4), f(B, 4), f(B, 4)])
op("AddN", inputs=[N, M])
op("AccumulateNV2", inputs=[f(B, 4), f(B, 4)], shape=[None, 4])
op("BiasAdd", value=f(B, 4, 5, 3), bias=f(3))
op("BiasAdd", value=f(B, 3, 4, 5), bias=f(3), data_format="NCHW")
op("BiasAddV1", value=f(B, 5), bias=f(5))
op("ClipByValue", t=X, clip_value_min=-0.5, clip_value_max=0.7)
op("ClipByValue", t=N, clip_value_min=-3, clip_value_max=4)

for _name in ("BitwiseAnd", "BitwiseOr", "BitwiseXor"):
    op(_name, x=N, y=M)
    op(_name, x=LONG, y=i(6, dtype="int64"))
for _kind in ("int32", "int64", "uint8", "int8", "int16"):
    _low = 0 if _kind == "uint8" else -100
    op("LeftShift", x=i(B, 6, low=_low, high=100, dtype=_kind), y=i(B, 6, low=0, high=7, dtype=_kind))
    op("RightShift", x=i(B, 6, low=_low, high=100, dtype=_kind), y=i(B, 6, low=0, high=7, dtype=_kind))
    op("PopulationCount", x=i(B, 6, low=_low, high=100, dtype=_kind))
    op("Invert", x=i(B, 6, low=_low, high=100, dtype=_kind))
for _name in ("LogicalAnd", "LogicalOr"):
    op(_name, x=T, y=U)
op("LogicalNot", x=T)
op("Select", condition=b(B, 5), x=X, y=Y)
op("Select", condition=b(B), x=X, y=Y)
op("SelectV2", condition=b(B, 1), t=X, e=ROW)
op("SelectV2", condition=b(B, 6), t=N, e=M)

for _source, _target in (
    ("float32", "int32"), ("int32", "float32"), ("float32", "float64"), ("float32", "bool"), ("bool", "float32"),
    ("int64", "int32"), ("int32", "uint8"), ("float32", "float16"), ("uint8", "float32"), ("float32", "bfloat16"),
):  # fmt: skip
    _x = b(B, 6) if _source == "bool" else f(B, 6, std=4.0) if _source == "float32" else i(B, 6, low=0, dtype=_source)
    _then = (lambda y: __import__("tensorflow").cast(y, "float32")) if _target == "bfloat16" else None
    op("Cast", _then, x=_x, DstT=_target)
op("Bitcast", input=X, type="int32")
op("Bitcast", input=i(B, 6, low=-(2**31), high=2**31), type="float32")
op("Bitcast", input=i(B, 6, dtype="int32"), type="uint8")
TINY = (0.0, -0.0, 1e-40, -1.4e-45, 1.1754944e-38, np.inf, -np.inf, np.nan, 3.4e38, 1.9999999, -2.0, 1e-310, 6e-8)
for _float, _whole in (("float32", "uint32"), ("float64", "int64"), ("float16", "int16")):
    _edges = [item for item in TINY if not float(np.finfo(_float).max) < abs(item) < np.inf]
    op("Bitcast", input=f(B, 13, std=90.0, dtype=_float, edges=_edges), type=_whole)
    op("Bitcast", input=i(B, 9, low=np.iinfo(_whole).min, high=np.iinfo(_whole).max, dtype=_whole), type=_float)
op("SobolSample", dim=np.int32(3), num_results=np.int32(9), skip=np.int32(2))
op("Bitcast", input=f(B, 6), type="uint8")
op("Bitcast", input=f(B, 6, 2), type="int64")
op("Bitcast", input=f(B, 3, dtype="float64"), type="float32")
op("Bitcast", input=i(B, 6, 4, low=0, high=256, dtype="uint8"), type="float32")

op("Relu", features=X)
op("Relu", features=N)
op("Relu6", features=f(B, 5, std=5.0, edges=EDGES))
op("Elu", features=X)
op("Selu", features=X)
op("Softplus", features=f(B, 5, std=9.0, edges=EDGES))
op("Softsign", features=X)
op("LeakyRelu", features=X, alpha=0.3)
op("Softmax", logits=f(B, 4, 5))
op("LogSoftmax", logits=f(B, 4, 5))
op("L2Loss", t=f(B, 5))
op("SoftmaxCrossEntropyWithLogits", features=f(B, 5), labels=u(B, 5))
op("SparseSoftmaxCrossEntropyWithLogits", features=f(B, 5), labels=i(B, low=0, high=5))
op("Cross", a=f(B, 3), b=f(B, 3))
op("Cross", a=i(B, 3), b=i(B, 3))
op("Expm1", x=f(B, 9, std=1e-3))
op("Log1p", x=f(B, 9, std=1e-3))
