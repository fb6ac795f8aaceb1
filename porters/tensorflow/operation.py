"""Runs one operation of a graph by itself, in its own precision or with every float in double precision."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from porters.tensorflow import wide_kernels
from porters.tensorflow.node import Node


def run(node: Node, tensors: Sequence[Any], *, wide: bool = False) -> list[Any]:
    """Return the results of TensorFlow's operation behind ``node``.

    Args:
        node: The operation, for its type and attributes.
        tensors: What it reads, one eager tensor for each of its inputs.
        wide: Whether floats are computed in float64: the operands are float64 then, and so is every dtype that the
            operation names. What TensorFlow has no such kernel for is computed by its definition.

    Raises:
        NotImplementedError: If it has no meaning in float64.
        Exception: Whatever TensorFlow raises where it has no kernel.
    """
    import tensorflow as tf
    from tensorflow.python.eager import context, execute

    definition = node.source.op_def
    if definition.name in _OF_VARIABLES:
        return [_OF_VARIABLES[definition.name](node, *tensors)]
    if wide and definition.name in wide_kernels.KERNELS:
        return [wide_kernels.KERNELS[definition.name](node, *tensors)]
    attributes: list[Any] = []
    for attr in definition.attr:
        attributes += [attr.name, _attribute(attr.type, node.attr(attr.name), wide=wide)]
    with tf.device("/CPU:0"):
        results = execute.execute(
            definition.name, len(node.source.outputs), list(tensors), tuple(attributes), context.context()
        )
    return list(results)


def _gather(node: Node, table: Any, indices: Any) -> Any:
    import tensorflow as tf

    return tf.gather(table, indices, batch_dims=node.attr("batch_dims"))


def _gather_nd(node: Node, table: Any, indices: Any) -> Any:
    import tensorflow as tf

    return tf.gather_nd(table, indices)


def _shape(node: Node, variable: Any) -> Any:
    import tensorflow as tf

    return tf.shape(variable, out_type=node.attr("out_type"))


# Operations that read a variable by its handle, which stands in the flat graph as its value.
_OF_VARIABLES: dict[str, Callable[..., Any]] = {
    "ResourceGather": _gather,
    "ResourceGatherNd": _gather_nd,
    "VariableShape": _shape,
}


def _attribute(kind: str, value: Any, *, wide: bool) -> Any:
    """Return an attribute as the runtime takes it."""
    import tensorflow as tf

    if kind.startswith("list("):
        return [_attribute(kind[len("list(") : -1], item, wide=wide) for item in value]
    if kind == "type":
        return (promoted(value) if wide else value).as_datatype_enum
    if kind == "shape":
        shape = tf.TensorShape(value)
        return None if shape.rank is None else shape.as_list()
    return value


def promoted(dtype: Any) -> Any:
    """Return the dtype (TensorFlow's) in double precision: floats and complex numbers; any other as it is."""
    import tensorflow as tf

    return tf.float64 if dtype.is_floating else tf.complex128 if dtype.is_complex else dtype


def plain(contents: Any) -> np.ndarray:
    """Return an array; one of a quantised type, which NumPy has as records of one integer, as integers."""
    array = np.asarray(contents)
    return array if array.dtype.names is None else array.view(array.dtype[0].base)


def constant(array: Any, *, wide: bool = False, like: Any = None) -> Any:
    """Return an array as an eager tensor on the CPU, in double precision where that is asked for.

    Args:
        array: The contents.
        wide: Whether floats and complex numbers become those of double precision.
        like: TensorFlow's type of it; integers become a quantised type, where it is one.
    """
    import tensorflow as tf

    with tf.device("/CPU:0"):
        tensor = tf.constant(array)
        if like is not None and like.is_quantized:
            return tf.bitcast(tensor, like)
        wanted = promoted(tensor.dtype) if wide else tensor.dtype
        return tensor if tensor.dtype == wanted else tf.cast(tensor, wanted)
