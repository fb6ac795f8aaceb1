"""Moving, joining, slicing, gathering and scattering elements; shapes, diagonals, segments, order and search."""

from __future__ import annotations

import numpy as np

from tests.coverage.tf_samples.sample import B, b, f, fixed, i, made, op, u

G = f(B, 4, 6)
IMAGE = f(B, 8, 6, 4)
IDS = fixed([0, 0, 1, 3, 3, 4], "int32")
SORTED = made(B, 7, by=lambda random, extent: np.sort(random.integers(0, 9, extent), -1))

op("Transpose", x=G, perm=[2, 0, 1])
op("Transpose", x=IMAGE, perm=[0, 3, 1, 2])
op("ConjugateTranspose", x=G, perm=[0, 2, 1])
op("Reshape", tensor=G, shape=[-1, 12])
op("Squeeze", input=f(B, 1, 3, 1), axis=[1, 3])
op("Squeeze", input=f(B, 1, 3, 1), axis=[-1])
op("ExpandDims", input=G, axis=1)
op("ExpandDims", input=G, axis=-1)
for _name, _argument in (("Shape", "input"), ("Size", "input"), ("Rank", "input")):
    op(_name, **{_argument: G})
op("ShapeN", input=[G, f(B, 2)])
op("Concat", concat_dim=1, values=[G, f(B, 3, 6)])
op("ConcatV2", values=[G, f(B, 4, 2)], axis=-1)
op("ConcatV2", values=[IMAGE, IMAGE], axis=0)
op("ConcatOffset", concat_dim=1, shape=[fixed([2, 3, 4], "int32"), fixed([2, 5, 4], "int32")])
op("ParallelConcat", values=[f(1, 3), f(1, 3)], shape=[2, 3])
op("Pack", values=[G, G], axis=1)
op("Unpack", value=G, num=4, axis=1)
op("Split", axis=2, value=G, num_split=3)
op("SplitV", value=G, size_splits=[1, -1, 2], axis=2, num_split=3)
op("Tile", input=G, multiples=[1, 2, 3])
op("Tile", input=i(B, 3), multiples=[2, 1])
op("BroadcastTo", input=f(4, 1), shape=[3, 4, 5])
op("BroadcastArgs", s0=fixed([3, 1, 4], "int32"), s1=fixed([5, 1], "int32"))
op("Fill", dims=[2, 3], value=f())
op("Empty", lambda y: __import__("tensorflow").shape(y), shape=[2, 3], dtype="float32")
op("Range", start=fixed(2, "int32"), limit=fixed(11, "int32"), delta=fixed(3, "int32"))
op("LinSpace", start=f(), stop=f(mean=5.0), num=7)
op("ReverseV2", tensor=G, axis=[1, -1])
op("Reverse", tensor=G, dims=[False, True, True])
op("Roll", input=G, shift=[1, -2], axis=[1, 2])
op("ReverseSequence", input=G, seq_lengths=i(B, low=0, high=5), seq_dim=1)
op("ReverseSequence", input=f(4, B, 3), seq_lengths=i(B, low=0, high=5, dtype="int64"), seq_dim=0, batch_dim=1)
op("Pad", input=G, paddings=[[0, 0], [1, 2], [0, 3]])
op("PadV2", input=G, paddings=[[0, 0], [1, 2], [0, 3]], constant_values=2.5)
op("MirrorPad", input=G, paddings=[[0, 0], [1, 2], [3, 0]], mode="REFLECT")
op("MirrorPad", input=G, paddings=[[0, 0], [1, 2], [3, 0]], mode="SYMMETRIC")
op("MirrorPad", input=G, paddings=[[0, 0], [1, 1], [1, 0]], mode="SYMMETRIC")
op("IdentityN", input=[G, f(B, 2)])
for _name in ("Identity", "StopGradient", "Snapshot", "GuaranteeConst", "DeepCopy", "CheckNumerics", "PreventGradient"):
    _key = {"DeepCopy": "x", "CheckNumerics": "tensor"}.get(_name, "input")
    op(_name, **{_key: G}, **({"message": "no"} if _name == "CheckNumerics" else {}))
op("CheckNumericsV2", tensor=G, message="no")
op("EnsureShape", input=G, shape=[None, 4, 6])
op("PlaceholderWithDefault", input=G, shape=[None, 4, 6])
op("DataFormatDimMap", x=fixed([0, 1, 2, 3, -1], "int32"))
op("DataFormatVecPermute", x=fixed([7, 8, 9, 10], "int32"))
op("DataFormatVecPermute", x=fixed([8, 9], "int32"), src_format="NCHW", dst_format="NHWC")

for _masks in (
    {"begin_mask": 1, "end_mask": 1}, {"begin_mask": 3, "end_mask": 3},
    {"begin_mask": 1, "end_mask": 1, "shrink_axis_mask": 2}, {"ellipsis_mask": 1},
    {"begin_mask": 1, "end_mask": 1, "new_axis_mask": 2}, {"begin_mask": 1, "end_mask": 1, "shrink_axis_mask": 4},
):  # fmt: skip
    op("StridedSlice", input=f(B, 4, 6, 5), begin=[0, 1, 2], end=[0, 3, 5], strides=[1, 1, 2], **_masks)
op("StridedSlice", input=G, begin=[0, -1, 5], end=[0, 0, -7], strides=[1, -1, -2], begin_mask=1, end_mask=1)
op("StridedSlice", input=G, begin=[1], end=[9], strides=[1])
op("Slice", input=G, begin=[0, 1, 2], size=[-1, 2, -1])
op("TensorStridedSliceUpdate", input=G, begin=[0, 1, 0], end=[0, 3, 6], strides=[1, 1, 2], value=f(2, 3), begin_mask=1,
   end_mask=1)  # fmt: skip

op("Gather", params=f(5, 3), indices=i(B, 2, low=0, high=5))
op("GatherV2", params=G, indices=i(B, low=0, high=4), axis=1)
op("GatherV2", params=G, indices=i(2, 3, low=0, high=6), axis=2)
op("GatherV2", params=G, indices=i(B, 2, low=0, high=4), axis=1, batch_dims=1)
op("GatherV2", params=G, indices=i(B, 2, low=0, high=6), axis=2, batch_dims=1)
op("GatherV2", params=f(B, 3, 4, 5), indices=i(B, 3, 2, low=0, high=5), axis=3, batch_dims=2)
op("GatherNd", params=f(4, 5, 6), indices=i(B, 2, low=0, high=4))
op("GatherNd", params=f(4, 5, 6), indices=i(B, 3, 3, low=0, high=4))
op("OneHot", indices=i(B, 3, low=-1, high=6), depth=5, on_value=1.0, off_value=0.0)
op("OneHot", indices=i(B, 3, low=0, high=5), depth=5, on_value=7, off_value=2, axis=0)
for _name in ("Update", "Add", "Sub", "Max", "Min"):
    _indices = fixed([[0, 1], [3, 2], [2, 5]], "int32")
    op(f"TensorScatter{_name}", tensor=f(4, 6), indices=_indices, updates=f(3))
    op(f"TensorScatter{_name}", tensor=i(4, 6), indices=_indices, updates=i(3))
    op(f"TensorScatter{_name}", tensor=f(5, B, 3), indices=fixed([[4], [1]], "int64"), updates=f(2, B, 3))
op("TensorScatterAdd", tensor=f(5, 3), indices=fixed([[1], [1], [4]], "int32"), updates=f(3, 3))
op("ScatterNd", indices=fixed([[1], [1], [4]], "int32"), updates=f(3, 2), shape=[6, 2])
op("ScatterNd", indices=i(B, 2, low=0, high=4), updates=i(B), shape=[4, 5])
op("ScatterNdNonAliasingAdd", input=f(5, 3), indices=fixed([[1], [1], [4]], "int32"), updates=f(3, 3))
for _name in ("InplaceUpdate", "InplaceAdd", "InplaceSub"):
    op(_name, x=f(5, 3), i=fixed([3, 0], "int32"), v=f(2, 3))
op("SparseToDense", sparse_indices=fixed([[0, 1], [2, 3]], "int64"), output_shape=[4, 5], sparse_values=f(2),
   default_value=0.5)  # fmt: skip
op("SparseToDense", sparse_indices=fixed([1, 3], "int64"), output_shape=[6], sparse_values=f(), default_value=0.0)
op("DynamicStitch", indices=[fixed([0, 3], "int32"), fixed([[1, 2], [4, 3]], "int32")], data=[f(2, 3), f(2, 2, 3)])
op("DynamicStitch", indices=[np.array([0, 2], np.int32), np.array([1], np.int32)], data=[f(2, B), f(1, B)])
op("ParallelDynamicStitch", indices=[fixed([0, 3], "int32"), fixed([1, 2], "int32")], data=[f(2, 3), f(2, 3)])
op("DynamicPartition", data=f(B, 3), partitions=i(B, low=0, high=3), num_partitions=3)
op("DynamicPartition", data=i(B, 4), partitions=i(B, 4, low=0, high=2), num_partitions=2)
op("InvertPermutation", x=np.array([2, 0, 1], np.int32))
op("UnravelIndex", indices=i(B, low=0, high=60), dims=[3, 4, 5])

op("Diag", diagonal=f(2, 3))
op("DiagPart", input=f(2, 3, 2, 3))
op("MatrixDiag", diagonal=f(B, 4))
op("MatrixDiagPart", input=f(B, 4, 5))
op("MatrixSetDiag", input=f(B, 4, 5), diagonal=f(B, 4))
op("MatrixDiagV2", diagonal=f(B, 4), k=1, num_rows=-1, num_cols=-1, padding_value=0.0)
op("MatrixDiagV3", diagonal=f(B, 3, 4), k=[-1, 1], num_rows=4, num_cols=5, padding_value=9.0)
op("MatrixDiagPartV2", input=f(B, 4, 5), k=[-1, 2], padding_value=7.0)
op("MatrixSetDiagV2", input=f(B, 4, 5), diagonal=f(B, 4), k=1)
for _align in ("RIGHT_LEFT", "LEFT_RIGHT", "LEFT_LEFT", "RIGHT_RIGHT"):
    op("MatrixDiagPartV3", input=f(B, 4, 5), k=[-2, 1], padding_value=7.0, align=_align)
    op("MatrixSetDiagV3", input=f(2, 4, 5), diagonal=f(2, 3, 4), k=[-1, 1], align=_align)
    op("MatrixDiagV3", diagonal=i(B, 2, 4), k=[0, 1], num_rows=4, num_cols=4, padding_value=0, align=_align)
for _band in ((1, 2), (-1, 0), (0, -1), (2, -1)):
    op("MatrixBandPart", input=f(B, 5, 6), num_lower=_band[0], num_upper=_band[1])
op("MatrixBandPart", input=i(B, 5, 6), num_lower=1, num_upper=0)
op("MatrixBandPart", input=b(B, 5, 6), num_lower=-1, num_upper=1)

for _name in ("Sum", "Prod", "Mean", "Max", "Min"):
    op(f"Segment{_name}", data=f(6, 3), segment_ids=IDS)
    op(f"Segment{_name}", data=f(6, B), segment_ids=np.array([0, 0, 1, 3, 3, 4]))
    if _name != "Mean":
        op(f"Segment{_name}", data=i(6, 3), segment_ids=IDS)
        op(f"UnsortedSegment{_name}", data=f(6, 3), segment_ids=i(6, low=-1, high=4), num_segments=5)
        op(
            f"UnsortedSegment{_name}",
            data=i(B, 4, 2),
            segment_ids=i(B, 4, low=0, high=4),
            num_segments=fixed(6, "int32"),
        )
for _name in ("Sum", "Mean", "SqrtN"):
    op(f"SparseSegment{_name}", data=f(5, 3), indices=i(6, low=0, high=5), segment_ids=IDS)
    op(
        f"SparseSegment{_name}WithNumSegments",
        data=f(5, 3),
        indices=i(6, low=0, high=5),
        segment_ids=IDS,
        num_segments=8,
    )

op("TopKV2", input=f(B, 4, 9), k=3)
op("TopKV2", input=i(B, 9, low=0, high=5), k=9)
op("TopKV2", lambda values, places: __import__("tensorflow").sort(values), input=f(B, 9), k=2, sorted=False)
op("ApproxTopK", input=f(B, 9), k=3)
op("NthElement", input=f(B, 9), n=3)
op("NthElement", input=f(B, 9), n=2, reverse=True)
op("InTopK", predictions=f(B, 6), targets=i(B, low=0, high=6), k=2)
op("InTopKV2", predictions=f(B, 6), targets=i(B, low=0, high=6), k=3)
op("Bucketize", input=f(B, 5, std=5.0), boundaries=[-3.0, 0.0, 2.5])
op("Bucketize", input=i(B, 5), boundaries=[-3.0, 0.0, 2.5])
for _name in ("LowerBound", "UpperBound"):
    op(_name, sorted_inputs=SORTED, values=made(B, 4, by=lambda random, extent: random.integers(0, 9, extent)))
op("Unique", x=i(9, low=0, high=4))
op("Unique", x=made(B, by=lambda random, extent: random.integers(0, 3, extent)))
op("UniqueV2", x=i(9, low=0, high=4, dtype="int64"), axis=[])
op("UniqueV2", x=i(4, 3, low=0, high=2), axis=[0])
op("UniqueWithCounts", x=i(9, low=0, high=4))
op("UniqueWithCountsV2", x=i(9, low=0, high=4), axis=[0])
op("ListDiff", x=i(9, low=0, high=6), y=i(B, low=0, high=6))
op("Where", condition=b(B, 5))
op("Where", condition=i(B, 5, low=-1, high=2))
op("Where", condition=made(B, 5, by=lambda random, extent: random.integers(0, 2, extent)))
op("Bincount", arr=i(12, low=0, high=7), size=5, weights=np.zeros(0, np.float32))
op("Bincount", arr=i(12, low=0, high=7), size=8, weights=f(12))
op("DenseBincount", input=i(B, 12, low=0, high=7), size=8, weights=np.zeros(0, np.float32))
op("DenseBincount", input=i(B, 12, low=0, high=7), size=8, weights=f(B, 12))
op("DenseBincount", input=i(12, low=0, high=7), size=8, weights=np.zeros(0, np.int32), binary_output=True)
op("HistogramFixedWidth", values=f(B, 9, std=3.0), value_range=[-2.0, 3.0], nbins=6)
op("HistogramFixedWidth", values=u(50, low=-1.0, high=11.0), value_range=[0.0, 10.0], nbins=7)
for _exclusive in (False, True):
    for _reverse in (False, True):
        for _name in ("Cumsum", "Cumprod", "CumulativeLogsumexp"):
            op(_name, x=f(B, 5, 3), axis=1, exclusive=_exclusive, reverse=_reverse)
op("Cumsum", x=i(B, 5), axis=1)
op("Cumprod", x=i(B, 5, low=1, high=4), axis=-1)
op("Cumsum", x=f(B, 3), axis=0)

for _name in ("Sum", "Mean", "Max", "Min", "Prod", "EuclideanNorm"):
    for _axes, _keep in (([1], False), ([0, 2], False), ([-1], True), ([0, 1, 2], True)):
        op(_name, input=G, axis=_axes, keep_dims=_keep)
    op(_name, input=G, axis=np.zeros(0, np.int32))
for _name in ("Sum", "Max", "Min", "Prod", "Mean"):
    op(_name, input=i(B, 4, low=1, high=5), axis=[1])
for _name in ("All", "Any"):
    op(_name, input=b(B, 4, 3), axis=[1], keep_dims=True)
    op(_name, input=b(B, 4, 3), axis=[0, 2])
for _name in ("ArgMax", "ArgMin"):
    op(_name, input=G, dimension=2)
    op(_name, input=i(B, 8, low=0, high=3), dimension=1, output_type="int32")
