"""Layout: values run channels first, transposes stand at the graph's edges, weights keep their names."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from parity import weights
from porters.porting import port
from porters.source import SourceOptions
from porters.tensorflow.sources import open_live
from zoo import executor
from zoo.graph import parameters
from zoo.inputs import InputSpec

keras = pytest.importorskip("keras")
layers = keras.layers


def network(channels: int = 6) -> Any:
    """Return a small network with everything that a mobile network has."""
    x = image = keras.Input((16, 16, 3), name="image")
    x = layers.Conv2D(channels, 3, strides=2, padding="same", use_bias=False, name="stem")(x)
    x = layers.ReLU(6.0, name="stem_relu")(layers.BatchNormalization(name="stem_bn")(x))
    gate = layers.Reshape((1, 1, channels))(layers.GlobalAveragePooling2D()(x))
    gate = layers.Conv2D(channels, 1, activation="sigmoid", name="gate")(gate)
    x = layers.Multiply()([x, gate])
    x = layers.ZeroPadding2D(((0, 1), (0, 1)))(x)
    x = layers.DepthwiseConv2D(3, strides=2, use_bias=False, name="depthwise")(x)
    x = layers.BatchNormalization(name="depthwise_bn")(x)
    x = layers.Add()([x, layers.AveragePooling2D(3, 1, padding="same")(x)])
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, layers.Dense(4, activation="softmax", name="predictions")(x))


def test_one_transpose_is_left(check):
    ported = check(network())
    assert ported.count("Transpose") == 1
    assert ported.count("Shape", "Gather", "Slice", "Unsqueeze", "Squeeze") == 0


def test_weights_have_the_paths_of_the_variables(check):
    ported = check(network())
    weights = parameters(ported.translation.model.graph)
    assert set(weights) == {variable.path for variable in ported.original.model.variables}
    assert {"stem/kernel", "stem_bn/moving_variance", "depthwise/kernel", "predictions/bias"} <= set(weights)


def test_kernels_are_written_permuted_and_say_so(check):
    ported = check(network())
    stem = ported.original.model.get_layer("stem").kernel.numpy()
    tensor = parameters(ported.translation.model.graph)["stem/kernel"].const_value
    assert tensor.metadata_props["zooport.layout"] == "HWIO->OIHW"
    np.testing.assert_array_equal(tensor.numpy(), stem.transpose(3, 2, 0, 1))
    assert any("HWIO->OIHW" in note for note in ported.translation.notes)
    np.testing.assert_array_equal(ported.original.parameters()["stem/kernel"], stem)


def test_batch_norms_can_be_folded(check):
    ported = check(network())
    graph = ported.translation.model.graph
    weights = parameters(graph)
    norms = [node for node in graph if node.op_type == "BatchNormalization"]
    assert len(norms) == 2
    for node in norms:
        assert node.inputs[0].producer().op_type == "Conv"
        assert all(value.name in weights for value in node.inputs[1:])


def test_nodes_know_their_layers(check):
    graph = check(network()).translation.model.graph
    found = {node.op_type: node.metadata_props for node in graph}
    assert found["Clip"]["zooport.source_op"] == "Relu6"
    assert found["Clip"]["zooport.module"] == "stem_relu"
    assert {node.metadata_props["zooport.module"] for node in graph if node.op_type == "Conv"} == {
        "stem", "gate", "depthwise",
    }  # fmt: skip


def test_layers_whose_names_look_like_scopes_are_told_apart(check):
    x = image = keras.Input((8, 8, 3))
    for name in ("conv", "conv_1", "conv_1_1"):
        x = layers.Conv2D(3, 3, name=name)(x)
    graph = check(keras.Model(image, x)).translation.model.graph
    convolutions = [node for node in graph if node.op_type == "Conv"]
    assert [node.metadata_props["zooport.module"] for node in convolutions] == ["conv", "conv_1", "conv_1_1"]
    assert [node.inputs[1].name for node in convolutions] == ["conv/kernel", "conv_1/kernel", "conv_1_1/kernel"]


def test_a_shared_layer_has_one_weight(check):
    image = keras.Input((8, 8, 3))
    layer = layers.Conv2D(3, 3, padding="same", name="shared")
    ported = check(keras.Model(image, layer(layer(image))))
    assert set(parameters(ported.translation.model.graph)) == {"shared/kernel", "shared/bias"}
    assert ported.count("Conv") == 2


def test_equal_names_are_told_apart(check):
    inner = [keras.Sequential([keras.Input((4,)), layers.Dense(4, name="same")]) for _ in range(2)]
    x = keras.Input((4,))
    ported = check(keras.Model(x, inner[1](inner[0](x))))
    weights = parameters(ported.translation.model.graph)
    assert set(weights) == set(ported.original.parameters())
    for name, value in weights.items():
        np.testing.assert_array_equal(value.const_value.numpy(), ported.original.parameters()[name])


def test_inputs_and_outputs_keep_the_layout_of_the_original(check):
    x = keras.Input((8, 6, 3), name="image")
    ported = check(keras.Model(x, layers.Conv2D(5, 3, padding="same", name="map")(x)))
    graph = ported.translation.model.graph
    assert [str(value.shape) for value in (graph.inputs[0], graph.outputs[0])] == ["[batch,8,6,3]", "[batch,8,6,5]"]
    assert ported.ops == ["Transpose", "Conv", "Transpose"]


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_open_height_and_width(check, padding):
    x = image = keras.Input((None, None, 3), name="image")
    x = layers.Conv2D(4, 3, strides=2, padding=padding)(x)
    x = layers.MaxPooling2D(2, padding=padding)(layers.ReLU()(x))
    x = layers.Conv2DTranspose(4, 2, strides=2, padding="same")(x)
    model = keras.Model(image, [x, layers.GlobalAveragePooling2D()(x)])
    ported = check(
        model, [InputSpec("image", "float32", ("batch", "height", "width", 3), sizes={"height": 17, "width": 12})]
    )
    assert ported.count("Shape") == 0


def test_rows_stay_unflattened_in_a_dense_layer(check):
    x = image = keras.Input((6, 6, 3))
    x = layers.LayerNormalization()(x)
    ported = check(keras.Model(image, layers.Dense(5, activation="gelu")(x)))
    assert ported.ops == ["LayerNormalization", "MatMul", "Add", "Gelu"]


def test_a_squeezed_gate_needs_no_transpose(check):
    x = image = keras.Input((8, 8, 4))
    x = layers.Conv2D(4, 3, padding="same")(x)
    gate = layers.Dense(4, activation="sigmoid")(layers.GlobalAveragePooling2D()(x))
    ported = check(keras.Model(image, layers.GlobalMaxPooling2D()(x * layers.Reshape((1, 1, 4))(gate))))
    assert ported.count("Transpose") == 1


def block(x: Any, channels: int, **options: Any) -> Any:
    """Return a ConvNeXt block: a convolution of each channel, then what works on each point by itself."""
    y = layers.DepthwiseConv2D(3, padding="same")(x)
    y = layers.LayerNormalization(epsilon=1e-6, name="norm", **options)(y)
    y = layers.Dense(2 * channels, activation="gelu", name="wide")(y)
    y = layers.Dense(channels, use_bias=False, name="narrow")(y)
    return layers.Add()([x, y * np.linspace(0.5, 1.5, channels, dtype=np.float32)])


def test_what_works_on_points_runs_channels_first_between_convolutions(check):
    image = keras.Input((8, 10, 3), name="image")
    x = layers.Conv2D(6, 3, padding="same", name="stem")(image)
    model = keras.Model(image, layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3)(block(x, 6))))
    ported = check(model)
    assert ported.count("Transpose") == 1
    assert ported.count("LayerNormalization", "MatMul", "Reshape", "Unsqueeze") == 0
    assert ported.count("Conv") == 5
    tensors = {name: value.const_value for name, value in parameters(ported.translation.model.graph).items()}
    dense = ported.original.parameters()["wide/kernel"]
    assert tensors["wide/kernel"].metadata_props["zooport.layout"] == "IO->OI11"
    np.testing.assert_array_equal(tensors["wide/kernel"].numpy(), dense.T[..., None, None])
    assert tensors["norm/gamma"].metadata_props["zooport.layout"] == "C->C11"
    assert tensors["wide/bias"].shape.numpy() == (12,)
    assert any("IO->OI11" in note for note in ported.translation.notes)


def test_a_norm_whose_result_is_read_channels_last_stays_whole(check):
    image = keras.Input((8, 8, 3), name="image")
    x = layers.LayerNormalization()(layers.Conv2D(6, 3, padding="same")(image))
    ported = check(keras.Model(image, layers.Dense(5)(layers.Reshape((64, 6))(x))))
    assert ported.count("LayerNormalization") == 1
    assert ported.count("Transpose") == 2


def test_a_stretch_is_read_outside_as_it_was(check):
    image = keras.Input((6, 6, 3), name="image")
    x = layers.Conv2D(6, 3, padding="same")(image)
    y = layers.Dense(4, activation="tanh")(layers.LayerNormalization()(x))
    outside = layers.Reshape((36, 4))(y)
    pooled = layers.GlobalMaxPooling2D()(y)
    shared = layers.Conv2D(3, 3)(y)
    first, second = layers.LayerNormalization()(shared), layers.Conv2D(3, 3)(layers.ReLU()(shared))
    last = layers.Conv2D(2, 1)(first * 2.0)
    ported = check(keras.Model(image, [y, outside, pooled, layers.Conv2D(5, 3)(y), last, second]))
    graph = ported.translation.model.graph
    assert str(graph.outputs[0].shape) == "[batch,6,6,4]"
    assert ported.count("LayerNormalization", "MatMul") == 0


def test_a_layer_that_is_called_twice_keeps_its_matrix(check):
    image = keras.Input((6, 6, 3), name="image")
    dense = layers.Dense(3, name="both")
    x = layers.Conv2D(3, 3, padding="same")(dense(layers.Conv2D(3, 3, padding="same")(image)))
    ported = check(keras.Model(image, layers.Conv2D(2, 3)(dense(x))))
    assert ported.count("MatMul") == 2
    assert parameters(ported.translation.model.graph)["both/kernel"].shape.numpy() == (3, 3)


def test_zeros_around_a_convolution_are_its_own_padding(check):
    x = image = keras.Input((9, 8, 3), name="image")
    x = layers.Conv2D(4, 3, strides=2)(layers.ZeroPadding2D(((1, 2), (0, 1)))(x))
    x = layers.MaxPooling2D(3, 2)(layers.ZeroPadding2D(1)(layers.ReLU()(x)))
    ported = check(keras.Model(image, layers.GlobalAveragePooling2D()(x)))
    assert ported.ops == ["Transpose", "Conv", "Relu", "MaxPool", "ReduceMean"]


def test_zeros_that_may_be_the_maximum_stay(check):
    x = image = keras.Input((9, 8, 3), name="image")
    x = layers.ZeroPadding2D(1)(layers.Conv2D(4, 3)(x))
    wide = layers.ReLU()(layers.Conv2D(4, 3)(image))
    far = layers.MaxPooling2D(2)(layers.ZeroPadding2D(2)(wide))
    model = keras.Model(image, [layers.MaxPooling2D(3, 2)(x), layers.Conv2D(2, 3)(x), far])
    assert check(model).count("Pad") == 2


def test_a_batch_norm_without_scale_or_shift_goes_into_its_convolution(tmp_path):
    x = image = keras.Input((8, 8, 3), name="image")
    for options in ({"scale": False}, {"center": False}, {"scale": False, "center": False}):
        x = layers.BatchNormalization(**options)(layers.Conv2D(5, 3, use_bias=not options.get("center", True))(x))
    model = keras.Model(image, layers.ReLU()(x))
    for variable in model.non_trainable_variables:
        variable.assign(np.linspace(0.5, 2.0, 5))
    artifact = port(model, out=tmp_path / "a")
    assert [node.op_type for node in artifact.model().graph] == [
        "Transpose",
        "Conv",
        "Conv",
        "Conv",
        "Relu",
        "Transpose",
    ]
    assert not weights.compare(artifact, open_live(model, SourceOptions()))
    feed = np.random.default_rng(0).standard_normal((2, 8, 8, 3)).astype(np.float32)
    with executor.load(artifact.model_path, threads=1) as session:
        (got,) = session.run({"image": feed}).values()
    np.testing.assert_allclose(got, model(feed), rtol=1e-4, atol=1e-5)
