"""Rebuilds a Keras model under another dtype policy, with the same weights."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from porters.porter import PrecisionUnavailableError

# Precision of an original -> (Keras' dtype policy, its default float). Keras' mixed policies compute whole layers in
# the narrow type, which is more than the cube does and the nearest that Keras has; of float32 results
# (fp16_fp32_cube) and HF32 it knows nothing.
POLICIES = {
    "float64": ("float64", "float64"),
    "fp16_cube": ("mixed_float16", "float32"),
    "fp16_mixed": ("mixed_float16", "float32"),
    "bf16_cube": ("mixed_bfloat16", "float32"),
    "bf16_mixed": ("mixed_bfloat16", "float32"),
    "fp16": ("float16", "float16"),
}


@contextlib.contextmanager
def policy(precision: str) -> Iterator[None]:
    """Make Keras build and run under the policy for ``precision``; what was set before is set again afterwards."""
    import keras

    before = keras.config.dtype_policy(), keras.config.floatx()
    name, floatx = POLICIES[precision]
    keras.config.set_dtype_policy(name)
    keras.config.set_floatx(floatx)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before[0])
        keras.config.set_floatx(before[1])


@contextlib.contextmanager
def eagerly() -> Iterator[None]:
    """Run functions inside a model operation by operation.

    Keras compiles grouped convolutions with XLA, whose code for them in float64 takes a hundred times as long.
    """
    import tensorflow as tf

    before = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(before)


@contextlib.contextmanager
def fresh_names() -> Iterator[None]:
    """Number automatic names from the start, so that a model built twice has the same names twice."""
    from keras.src.backend.common import global_state

    key = "object_name_uids"
    before = global_state.get_global_attribute(key)
    global_state.set_global_attribute(key, None)
    try:
        yield
    finally:
        global_state.set_global_attribute(key, before)


def rebuild(model: Any, precision: str) -> Any:
    """Return a copy of ``model`` that computes in ``precision``.

    Raises:
        PrecisionUnavailableError: If Keras has no such policy, or the model cannot be built from its configuration.
    """
    if precision not in POLICIES:
        raise PrecisionUnavailableError(f"Keras has no dtype policy for {precision}")
    try:
        with policy(precision), fresh_names():
            config = _with_policy(model.get_config(), POLICIES[precision][0])
            copy = type(model).from_config(config, **_custom(model))
            if not copy.built:
                copy.build(model.input_shape)
    except Exception as error:  # Keras raises anything here: the layers' code is the user's
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise PrecisionUnavailableError(f"the model cannot be rebuilt in {precision}: {reason}") from error
    _copy_weights(model, copy, precision)
    return copy


def _custom(model: Any) -> dict[str, Any]:
    # Classes of the user's own need no registration: the model at hand has them.
    layers = [layer for layer in model._flatten_layers() if not type(layer).__module__.startswith("keras.")]
    objects = {type(layer).__name__: type(layer) for layer in layers if layer is not model}
    return {"custom_objects": objects} if objects else {}


def _with_policy(config: Any, name: str) -> Any:
    """Return ``config`` with every dtype policy replaced; in float64 the types of inputs and constants follow."""
    if isinstance(config, dict):
        if config.get("class_name") == "DTypePolicy":
            return {**config, "config": {"name": name}}
        return {key: _with_policy(name if _is_float(key, item, name) else item, name) for key, item in config.items()}
    if isinstance(config, (list, tuple)):
        return type(config)(_with_policy(item, name) for item in config)
    return config


def _is_float(key: str, item: Any, name: str) -> bool:
    return name == "float64" and key == "dtype" and isinstance(item, str) and item.startswith(("float", "bfloat"))


def _copy_weights(model: Any, copy: Any, precision: str) -> None:
    pairs = list(zip(model.weights, copy.weights, strict=False))
    if len(model.weights) != len(copy.weights) or any(a.shape != b.shape for a, b in pairs):
        raise PrecisionUnavailableError(f"the model rebuilt in {precision} has other weights than the original")
    for source, target in pairs:
        target.assign(source.numpy())
