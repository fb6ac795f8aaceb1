"""Sets in rows, counts as sparse tensors, and ragged tensors in parts."""

from __future__ import annotations

import numpy as np

from tests.coverage.tf_samples.sample import B, f, fixed, i, op, u

PLACES = fixed([[0, 1], [0, 3], [2, 0], [2, 1], [2, 4]], "int64")
MORE = fixed([[0, 1], [1, 0], [2, 2], [2, 4]], "int64")
SHAPE = np.array([4, 5])


def few(*shape: int | str, dtype: str = "int32") -> object:
    """Return an input of small numbers, some of which are equal."""
    return i(*shape, low=0, high=5, dtype=dtype)


for _name in ("a-b", "b-a", "intersection", "union"):
    op("DenseToDenseSetOperation", set1=few(B, 3, 4), set2=few(B, 3, 2), set_operation=_name)
    op("DenseToDenseSetOperation", set1=few(B, 4, dtype="int64"), set2=few(B, 3, dtype="int64"), set_operation=_name)
    op("DenseToSparseSetOperation", set1=few(4, 3), set2_indices=PLACES, set2_values=few(5), set2_shape=SHAPE,
       set_operation=_name)  # fmt: skip
    op("SparseToSparseSetOperation", set1_indices=PLACES, set1_values=few(5), set1_shape=SHAPE, set2_indices=MORE,
       set2_values=few(4), set2_shape=SHAPE, set_operation=_name)  # fmt: skip
op("SetSize", set_indices=PLACES, set_values=few(5), set_shape=SHAPE)
op("SetSize", set_indices=fixed([[0, 1, 0], [0, 1, 2], [1, 0, 0]], "int64"), set_values=few(3, dtype="uint8"),
   set_shape=np.array([2, 2, 3]))  # fmt: skip
SPLITS = np.array([0, 2, 2, 5, 6])
NOTHING = np.zeros(0, np.float32)
for _binary in (False, True):
    for _least, _most in ((-1, -1), (7, -1), (2, 3)):
        _how = {"binary_output": _binary, "minlength": _least, "maxlength": _most}
        for _weights in (NOTHING, f(B, 6)):
            if _binary and _weights is not NOTHING:
                continue
            op("DenseCountSparseOutput", values=few(B, 6), weights=_weights, **_how)
        op("DenseCountSparseOutput", values=few(9, dtype="int64"), weights=np.zeros(0, np.int64), **_how)
        op("SparseCountSparseOutput", indices=PLACES, values=few(5), dense_shape=SHAPE,
           weights=NOTHING if _binary else f(5), **_how)  # fmt: skip
        op("RaggedCountSparseOutput", splits=SPLITS, values=few(6), weights=NOTHING if _binary else f(6), **_how)
    for _size in (np.int32(3), np.int32(7)):
        op("SparseBincount", indices=PLACES, values=few(5), dense_shape=SHAPE, size=_size,
           weights=NOTHING if _binary else f(5), binary_output=_binary)  # fmt: skip
        op("RaggedBincount", splits=SPLITS, values=few(6), size=_size, weights=NOTHING if _binary else f(6),
           binary_output=_binary)  # fmt: skip
op("SparseBincount", indices=fixed([[0], [3]], "int64"), values=few(2), dense_shape=np.array([4]), size=np.int32(5),
   weights=NOTHING)  # fmt: skip
OUTER = np.array([0, 1, 3, 4])
for _indices in (fixed([2, 0, 2], "int32"), fixed([[1, 2], [0, 0]], "int64")):
    op("RaggedGather", params_nested_splits=[SPLITS], params_dense_values=f(6), indices=_indices,
       OUTPUT_RAGGED_RANK=len(_indices.shape))  # fmt: skip
    op("RaggedGather", params_nested_splits=[OUTER, SPLITS], params_dense_values=f(6, 2), indices=_indices,
       OUTPUT_RAGGED_RANK=len(_indices.shape) + 1)  # fmt: skip
op("RaggedTensorToSparse", rt_nested_splits=[SPLITS], rt_dense_values=f(6))
op("RaggedTensorToSparse", rt_nested_splits=[OUTER, SPLITS], rt_dense_values=f(6))
op("RaggedTensorToSparse", rt_nested_splits=[SPLITS], rt_dense_values=f(6, 2, 3))
for _shape in ([-1, -1], [4, 2], [3, 5]):
    op("RaggedTensorToTensor", shape=np.array(_shape), values=f(6), default_value=u(),
       row_partition_tensors=[SPLITS], row_partition_types=["ROW_SPLITS"])  # fmt: skip
    op("RaggedTensorToTensor", shape=np.array(_shape), values=f(4), default_value=u(),
       row_partition_tensors=[np.int64(5), np.array([0, 0, 2, 3])],
       row_partition_types=["FIRST_DIM_SIZE", "VALUE_ROWIDS"])  # fmt: skip
op("RaggedTensorToTensor", shape=np.array([-1, -1, -1]), values=f(6), default_value=u(),
   row_partition_tensors=[OUTER, SPLITS], row_partition_types=["ROW_SPLITS", "ROW_SPLITS"])  # fmt: skip
op("RaggedTensorToTensor", shape=np.array([-1, -1, 2]), values=f(6, 2), default_value=u(2),
   row_partition_tensors=[SPLITS], row_partition_types=["ROW_SPLITS"])  # fmt: skip
