"""Sparse tensors in parts: coordinates, values and a shape; and ranges of several lengths."""

from __future__ import annotations

import numpy as np

from tests.coverage.tf_samples.sample import f, fixed, i, op, u

PLACES = fixed([[0, 1], [0, 3], [2, 0], [2, 1], [2, 4]], "int64")
SHAPE = np.array([4, 5])
for _a in (False, True):
    for _b in (False, True):
        op("SparseTensorDenseMatMul", a_indices=PLACES, a_values=f(5), a_shape=SHAPE, adjoint_a=_a, adjoint_b=_b,
           b=f(*((3, 4 if _a else 5) if _b else (4 if _a else 5, 3))))  # fmt: skip
op("SparseTensorDenseAdd", a_indices=PLACES, a_values=f(5), a_shape=SHAPE, b=f(4, 5))
for _name in ("Mul", "Div", "Add"):
    op(f"SparseDenseCwise{_name}", sp_indices=PLACES, sp_values=f(5), sp_shape=SHAPE, dense=f(4, 5, mean=3.0))
    op(f"SparseDenseCwise{_name}", sp_indices=PLACES, sp_values=f(5), sp_shape=SHAPE, dense=f(5, mean=3.0))
for _name in ("SparseReduceSum", "SparseReduceMax"):
    for _axes, _keep in (([0], False), ([1], False), ([-1], True), ([0, 1], False), ([], False)):
        op(
            _name,
            input_indices=PLACES,
            input_values=f(5),
            input_shape=SHAPE,
            reduction_axes=np.array(_axes, np.int32),
            keep_dims=_keep,
        )
op(
    "SparseReorder",
    input_indices=fixed([[2, 1], [0, 3], [2, 0], [0, 1]], "int64"),
    input_values=f(4),
    input_shape=SHAPE,
)
op("SparseReshape", input_indices=PLACES, input_shape=SHAPE, new_shape=np.array([2, -1]))
op("SparseSoftmax", sp_indices=PLACES, sp_values=f(5), sp_shape=SHAPE)
op("RaggedRange", starts=i(4, low=0, high=4), limits=i(4, low=0, high=9), deltas=fixed(2, "int32"))
op("RaggedRange", starts=i(low=0, high=4), limits=i(4, low=0, high=9), deltas=fixed(1, "int32"), Tsplits="int32")
MORE = fixed([[0, 1], [1, 0], [2, 4]], "int64")
for _limit in (0.0, 0.8):
    op("SparseAdd", a_indices=PLACES, a_values=f(5), a_shape=SHAPE, b_indices=MORE, b_values=f(3), b_shape=SHAPE,
       thresh=np.float32(_limit))  # fmt: skip
for _name in ("SparseSparseMaximum", "SparseSparseMinimum"):
    op(_name, a_indices=PLACES, a_values=f(5), a_shape=SHAPE, b_indices=MORE, b_values=f(3), b_shape=SHAPE)
for _axis in (0, 1, -1):
    op("SparseConcat", concat_dim=_axis, indices=[PLACES, MORE], values=[f(5), f(3)], shapes=[SHAPE, SHAPE])
    op("SparseSplit", split_dim=np.int64(_axis % 2), indices=PLACES, values=f(5), shape=SHAPE, num_split=3 + _axis)
op("SparseSlice", indices=PLACES, values=f(5), shape=SHAPE, start=np.array([0, 1]), size=np.array([3, 9]))
op("SparseSlice", indices=PLACES, values=f(5), shape=SHAPE, start=np.array([1, 0]), size=np.array([1, 5]))
for _name in ("SparseReduceSumSparse", "SparseReduceMaxSparse"):
    for _axes in ([0], [1], [-1, 0], []):
        op(_name, input_indices=PLACES, input_values=f(5), input_shape=SHAPE, reduction_axes=np.array(_axes, np.int32))
op("SparseFillEmptyRows", indices=PLACES, values=f(5), dense_shape=SHAPE, default_value=u())
op("SparseFillEmptyRows", indices=fixed([[2, 1], [0, 3], [2, 0], [0, 1]], "int64"), values=f(4), dense_shape=SHAPE,
   default_value=u())  # fmt: skip
op("RaggedFillEmptyRows", value_rowids=fixed([1, 1, 3], "int64"), values=f(3), nrows=np.int64(6), default_value=u())
