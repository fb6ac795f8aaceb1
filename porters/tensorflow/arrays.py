"""TensorArrays of TensorFlow 1, which live in a session's memory, as lists that are values.

Every operation on an array takes a float that only says what came before it (its flow): the list goes that way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from porters.tensorflow.node import CONST, Edge, Node

# Operation on an array -> the operation on a list, and its operands: places among the array's, or a shape that is open.
ANY_SHAPE = "any shape"
_OPERATIONS: dict[str, tuple[str, tuple[int | str, ...]]] = {
    "TensorArrayV3": ("TensorListReserve", (ANY_SHAPE, 0)),
    "TensorArrayWriteV3": ("TensorListSetItem", (3, 1, 2)),
    "TensorArrayReadV3": ("TensorListGetItem", (2, 1, ANY_SHAPE)),
    "TensorArrayScatterV3": ("TensorListScatterIntoExistingList", (3, 2, 1)),
    "TensorArrayGatherV3": ("TensorListGather", (2, 1, ANY_SHAPE)),
    "TensorArraySizeV3": ("TensorListLength", (1,)),
}
ARRAYS = frozenset(_OPERATIONS)


@dataclass(frozen=True)
class _Source:
    """What stands for TensorFlow's operation: its definition, and how many results it has."""

    op_def: Any
    outputs: tuple[None, ...] = (None,)


def as_list_operation(op: Any, operands: list[Edge], add: Callable[..., Node]) -> list[Edge]:
    """Return the results of an operation on an array, made by the operation on a list that it is.

    Args:
        op: TensorFlow's operation.
        operands: What it reads.
        add: Appends a node of a type with operands, and returns it.
    """
    from tensorflow.python.framework import op_def_registry

    kind, places = _OPERATIONS[op.type]
    shape = _open_shape(op, add)
    inputs = [shape if isinstance(place, str) else operands[place] for place in places]
    node = add(op, kind, inputs)
    node.source = _Source(op_def_registry.get(kind))
    node.attr = _attributes(op)
    if node.dtypes and kind not in ("TensorListGetItem", "TensorListGather", "TensorListLength"):
        node.shapes, node.dtypes = [()], [None]
    # Of a new array its handle and its flow: both are the list.
    return [Edge(node, 0)] * len(op.outputs)


def _open_shape(op: Any, add: Callable[..., Node]) -> Edge:
    node = add(op, CONST, [], payload=np.array(-1, np.int32))
    node.name += "/element_shape"
    node.shapes, node.dtypes = [()], [np.dtype(np.int32)]
    return Edge(node, 0)


def _attributes(op: Any) -> Callable[[str], Any]:
    import tensorflow as tf

    def attribute(name: str) -> Any:
        if name == "element_dtype":
            return op.get_attr("T" if op.type in ("TensorArrayWriteV3", "TensorArrayScatterV3") else "dtype")
        return {"shape_type": tf.int32, "Tshape": tf.int32, "resize_if_index_out_of_bounds": False}[name]

    return attribute
