"""Files that checkpoints are in, each written by its own library."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from weight_maps.checkpoint import Tensors, open_checkpoint
from zoo.errors import UserError

ARRAYS = {"a": np.arange(6, dtype="f4").reshape(2, 3), "b": np.arange(4), "c": np.array(2.5)}


def same(file: Path, arrays: dict[str, np.ndarray]) -> None:
    checkpoint = open_checkpoint(file)
    assert set(checkpoint.specs()) == set(arrays)
    for name, array in arrays.items():
        assert checkpoint.specs()[name].shape == array.shape
        assert checkpoint.specs()[name].dtype == str(array.dtype)
        assert np.array_equal(checkpoint.read(name), array)


def test_safetensors_and_shards(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    save_file(ARRAYS, tmp_path / "m.safetensors")
    same(tmp_path / "m.safetensors", ARRAYS)
    save_file({"a": ARRAYS["a"]}, tmp_path / "m-1.safetensors")
    save_file({"b": ARRAYS["b"], "c": ARRAYS["c"]}, tmp_path / "m-2.safetensors")
    index = {"weight_map": {"a": "m-1.safetensors", "b": "m-2.safetensors", "c": "m-2.safetensors"}}
    (tmp_path / "m.safetensors.index.json").write_text(json.dumps(index))
    same(tmp_path / "m.safetensors.index.json", ARRAYS)
    (tmp_path / "m-2.safetensors").unlink()
    with pytest.raises(UserError, match="a shard of the checkpoint is missing"):
        open_checkpoint(tmp_path / "m.safetensors.index.json")


def test_pytorch_with_bfloat16_and_wrapped(tmp_path: Path) -> None:
    import torch

    tensors = {"w": torch.randn(3, 4), "h": torch.randn(5).bfloat16(), "n": torch.tensor(3)}
    torch.save({"state_dict": tensors, "epoch": 3}, tmp_path / "m.pt")
    checkpoint = open_checkpoint(tmp_path / "m.pt")
    assert np.array_equal(checkpoint.read("w"), tensors["w"].numpy())
    assert str(checkpoint.specs()["h"]) == "bfloat16[5]"
    assert np.array_equal(checkpoint.read("h").view("i2"), tensors["h"].view(torch.int16).numpy())
    torch.save(tensors, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    assert set(open_checkpoint(tmp_path / "old.pth").specs()) == set(tensors)


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (eval, ("__import__('os').system('touch hacked')",))


def test_a_pickle_is_refused_and_never_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m.pth").write_bytes(pickle.dumps({"w": Evil()}, protocol=2))
    np.savez(tmp_path / "m.npz", w=np.array([Evil()], dtype=object))
    for name in ("m.pth", "m.npz"):
        with pytest.raises(UserError):
            open_checkpoint(tmp_path / name)
    assert not (tmp_path / "hacked").exists()


def test_keras_three_ways(tmp_path: Path) -> None:
    from porters.tensorflow import runtime

    keras = runtime.keras()
    layers = [keras.layers.Conv2D(4, 3, name="stem"), keras.layers.BatchNormalization(name="norm")]
    layers += [keras.layers.Flatten(), keras.layers.Dense(5, name="head")]
    model = keras.Sequential([keras.Input((8, 8, 3)), *layers])
    model.save(tmp_path / "m.h5")
    model.save(tmp_path / "m.keras")
    model.save_weights(tmp_path / "m.weights.h5")
    own = {weight.path.removeprefix(f"{model.name}/"): np.array(weight) for weight in model.weights}
    same(tmp_path / "m.h5", own)
    for file in ("m.keras", "m.weights.h5"):
        checkpoint = open_checkpoint(tmp_path / file)
        assert np.array_equal(checkpoint.read("layers/conv2d/vars/0"), own["stem/kernel"])
    # What is written under the names of such a file is loaded by Keras.
    from weight_maps.formats.keras import write_weights_h5

    read = open_checkpoint(tmp_path / "m.weights.h5")
    write_weights_h5(Tensors({name: read.read(name) + 1 for name in read.specs()}), tmp_path / "more.weights.h5")
    model.load_weights(tmp_path / "more.weights.h5")
    assert np.array_equal(np.array(model.get_layer("head").kernel), own["head/kernel"] + 1)
    with pytest.raises(UserError, match=r"the names are none of a \.weights\.h5"):
        write_weights_h5(Tensors(ARRAYS), tmp_path / "odd.weights.h5")


def test_tensorflow_checkpoints(tmp_path: Path) -> None:
    import tensorflow as tf

    v1 = tf.compat.v1
    graph = tf.Graph()
    with graph.as_default(), v1.Session() as session:
        v1.get_variable("bert/w", initializer=ARRAYS["a"])
        v1.get_variable("step", initializer=np.int64(7))
        session.run(v1.global_variables_initializer())
        wanted = {"bert/w": ARRAYS["a"], "step": np.array(7)}
        v1.train.Saver().save(session, str(tmp_path / "model.ckpt"))
        same(tmp_path / "model.ckpt", wanted)
        v1.train.Saver(write_version=v1.train.SaverDef.V1).save(session, str(tmp_path / "old.ckpt"))
        same(tmp_path / "old.ckpt", wanted)


def test_onnx_initializers(tmp_path: Path) -> None:
    import onnx
    from onnx import helper, numpy_helper

    tensors = [numpy_helper.from_array(array, name) for name, array in ARRAYS.items()]
    graph = helper.make_graph([], "g", [], [], initializer=tensors)
    onnx.save(helper.make_model(graph), tmp_path / "m.onnx")
    same(tmp_path / "m.onnx", ARRAYS)
    onnx.save(helper.make_model(graph), tmp_path / "e.onnx", save_as_external_data=True, size_threshold=0)
    same(tmp_path / "e.onnx", ARRAYS)


@pytest.mark.parametrize("ending", ["safetensors", "pt", "npz", "ckpt", "h5", "keras", "onnx", "weights.h5"])
@pytest.mark.parametrize("content", [b"", b"garbage" * 50])
def test_a_damaged_file_is_the_users(tmp_path: Path, ending: str, content: bytes) -> None:
    (tmp_path / f"m.{ending}").write_bytes(content)
    with pytest.raises(UserError):
        open_checkpoint(tmp_path / f"m.{ending}")


def test_gguf_reads_plain_tensors_and_refuses_quantised_ones(tmp_path: Path) -> None:
    gguf = pytest.importorskip("gguf")
    import ml_dtypes

    half = np.arange(6).astype(ml_dtypes.bfloat16).reshape(3, 2)
    plain = {"a": ARRAYS["a"], "h": np.arange(8, dtype="f2").reshape(4, 1, 2), "n": np.arange(3), "s": half}

    def write(file: Path, more: np.ndarray | None) -> None:
        writer = gguf.GGUFWriter(str(file), "llama")
        for name, array in plain.items():
            if array.dtype == ml_dtypes.bfloat16:
                writer.add_tensor(name, array.view("u1"), raw_dtype=gguf.GGMLQuantizationType.BF16)
            else:
                writer.add_tensor(name, array)
        if more is not None:
            kind = gguf.GGMLQuantizationType.Q8_0
            writer.add_tensor("blk.0.q", gguf.quants.quantize(more, kind), raw_dtype=kind)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()

    write(tmp_path / "plain.gguf", None)
    same(tmp_path / "plain.gguf", plain)
    write(tmp_path / "q8.gguf", np.ones((2, 64), dtype="f4"))
    with pytest.raises(UserError, match=r"blk\.0\.q") as refused:
        open_checkpoint(tmp_path / "q8.gguf")
    assert "Q8_0" in str(refused.value)
    (tmp_path / "torn.gguf").write_bytes((tmp_path / "plain.gguf").read_bytes()[:200])
    with pytest.raises(UserError, match="cannot be read"):
        open_checkpoint(tmp_path / "torn.gguf")
