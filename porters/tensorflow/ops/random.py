"""Random numbers: the seed is frozen, the generator is another one, which the port's card declares."""

from __future__ import annotations

import math

import onnx_ir as ir

from porters.pytorch.ops import unary
from porters.tensorflow import algorithms, operation
from porters.tensorflow.context import Context
from porters.tensorflow.dims import Shape, from_array, product
from porters.tensorflow.formula import Formula, formula, number, sizes
from porters.tensorflow.node import Node
from porters.tensorflow.ops.shape import known
from porters.tensorflow.ops.sorting import result_dtype
from porters.tensorflow.registry import Untranslatable, translates
from porters.tensorflow.tensor import Tensor

FLOAT, LONG = ir.DataType.FLOAT, ir.DataType.INT64
# The integers are 32 bits wide; two odd numbers keep seeds and nodes apart.
_WORD, _GOLDEN, _STREAM = 1 << 32, 0x9E3779B9, 0x632BE5AB
# Shifts and factors of a mixing function that passes as random (found by Wellons' hash-prospector); the
# factors are below 2^31, so that no product of 64 bits overflows.
_MIX = ((16, 0x21F0AAAD), (15, 0x735A2D97), (15, 0))
# What the normal distribution has below minus two deviations, where TensorFlow cuts it off.
_TAIL = 0.5 * math.erfc(math.sqrt(2.0))


def _seed(ctx: Context, node: Node, given: tuple[Tensor, ...]) -> int:
    """Return where in the sequence of the port's generator a node begins, and note that it draws other numbers."""
    ctx.drawn.append(node.name)
    if node.op.startswith("Stateless"):
        array = given[0].array if given else None
        seed = int(array.reshape(-1)[0]) if array is not None and array.dtype != object else 0
    else:
        seed = int(node.attr("seed")) ^ int(node.attr("seed2"))
    return (seed * _STREAM + len(ctx.drawn) * _GOLDEN) % _WORD


def _uniform(ctx: Context, shape: Shape, seed: int) -> Formula:
    """Draw float32 numbers from 0 up to 1: ONNX Runtime has no generator at this opset, so it is a hash of places."""
    count = sizes(ctx, [product(shape)]).squeeze(0)
    line = number(ctx, 0, LONG).of("Range", count, number(ctx, 1, LONG)) + seed
    word = number(ctx, _WORD, LONG)
    value = line.of("Mod", word)
    for shift, factor in _MIX:
        value = value.of("BitwiseXor", value / (1 << shift))
        value = (value * factor).of("Mod", word) if factor else value
    # 24 bits are what float32 holds.
    return ((value / 256).cast(FLOAT) * 2.0**-24).reshape(sizes(ctx, shape))


def _normal(ctx: Context, shape: Shape, seed: int) -> Formula:
    """Draw normally distributed float32 numbers by Box and Muller's method."""
    first, second = _uniform(ctx, shape, seed), _uniform(ctx, shape, (seed + _GOLDEN) % _WORD)
    # The first is above zero: its logarithm is finite.
    radius = ((first + 2.0**-25).fn("Log") * -2.0).fn("Sqrt")
    return radius * (second * (2.0 * math.pi)).fn("Cos")


def _shape(shape: Tensor) -> Shape:
    return from_array(known(shape, "a shape"))


@translates("RandomUniform", "StatelessRandomUniform", "StatelessRandomUniformV2")
def uniform(ctx: Context, node: Node, shape: Tensor, *given: Tensor) -> Tensor:
    """Translate numbers spread evenly from 0 up to 1."""
    extent = _shape(shape)
    return _uniform(ctx, extent, _seed(ctx, node, given)).cast(result_dtype(node)).held(extent)


@translates("RandomStandardNormal", "StatelessRandomNormal", "StatelessRandomNormalV2")
def normal(ctx: Context, node: Node, shape: Tensor, *given: Tensor) -> Tensor:
    """Translate normally distributed numbers."""
    extent = _shape(shape)
    return _normal(ctx, extent, _seed(ctx, node, given)).cast(result_dtype(node)).held(extent)


@translates("TruncatedNormal", "StatelessTruncatedNormal", "StatelessTruncatedNormalV2")
def truncated(ctx: Context, node: Node, shape: Tensor, *given: Tensor) -> Tensor:
    """Translate normally distributed numbers within two deviations, by the inverse of the distribution."""
    extent = _shape(shape)
    drawn = _uniform(ctx, extent, _seed(ctx, node, given))
    level = (drawn * (1.0 - 2.0 * _TAIL) + _TAIL) * 2.0 - 1.0
    inverse = algorithms.elementwise(ctx, unary.erfinv, level.held(extent))
    return (formula(ctx, inverse) * math.sqrt(2.0)).cast(result_dtype(node)).held(extent)


@translates("RandomUniformInt", "StatelessRandomUniformInt", "StatelessRandomUniformIntV2")
def integers(ctx: Context, node: Node, shape: Tensor, *operands: Tensor) -> Tensor:
    """Translate integers spread evenly between two limits."""
    extent, (low, high) = _shape(shape), operands[-2:]
    drawn = _uniform(ctx, extent, _seed(ctx, node, operands[:-2])).cast(ir.DataType.DOUBLE)
    first, last = (formula(ctx, item, dtype=ir.DataType.DOUBLE) for item in (low, high))
    return ((drawn * (last - first)).fn("Floor") + first).cast(result_dtype(node)).held(extent)


@translates("Multinomial", "StatelessMultinomial")
def multinomial(ctx: Context, node: Node, logits: Tensor, count: Tensor, *given: Tensor) -> Tensor:
    """Translate draws from the distribution of each row: the first class up to which it holds as much as is drawn."""
    total = int(known(count, "the number of draws").reshape(()))
    drawn = _uniform(ctx, (logits.shape[0], total), _seed(ctx, node, given))
    chances = formula(ctx, logits, dtype=FLOAT).fn("Softmax", axis=-1).of("CumSum", number(ctx, 1))
    below = chances.unsqueeze(1) <= drawn.unsqueeze(2)
    place = below.cast(LONG).reduce("ReduceSum", [2])
    # Rounded sums may end below one.
    most = sizes(ctx, logits.shape[1:]) - 1
    return place.minimum(most).cast(result_dtype(node)).held((logits.shape[0], total))


@translates("RandomShuffle")
def shuffle(ctx: Context, node: Node, x: Tensor) -> Tensor:
    """Translate rows in random order: the order of random numbers."""
    drawn = _uniform(ctx, x.shape[:1], _seed(ctx, node, ()))
    count = drawn.of("Shape", dtype=LONG)
    _, places = ctx.builder.ops("TopK", drawn.value, count.value, axis=0, outputs=2, dtypes=[FLOAT, LONG])
    return formula(ctx, x).of("Gather", Formula(ctx, places), axis=0).held(x.shape)


# -- what decides how the stateless ones draw --------------------------------------------------------------------------


@translates("StatelessRandomGetAlg", "StatelessRandomGetKeyCounter", "StatelessRandomGetKeyCounterAlg")
def generator(ctx: Context, node: Node, *seed: Tensor) -> list[Tensor]:
    """Return the state of the generator for a seed that is known: TensorFlow says it."""
    import tensorflow as tf

    arrays = [known(item, "a seed") for item in seed]
    if any(array.dtype == object for array in arrays):
        raise Untranslatable("a seed that depends on a size")
    with tf.init_scope():
        results = operation.run(node, [operation.constant(array) for array in arrays])
    return [ctx.constant(result.numpy()) for result in results]
