"""Every layer class of ``keras.layers`` with a meaning in inference, each with the grid of its options."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

IMAGE, LINE, ROOM = (9, 10, 4), (12, 4), (5, 6, 7, 3)
SHAPES = {1: LINE, 2: IMAGE, 3: ROOM}


@dataclass(frozen=True)
class Case:
    """One layer with its options.

    Attributes:
        layer: The name of its class.
        label: Its options, in words.
        make: Returns the layer, or a function of tensors that calls it.
        shapes: Of its inputs, the batch left out.
        dtype: Of its inputs.
        high: One more than the largest value of integer inputs.
    """

    layer: str
    label: str
    make: Callable[[], Any]
    shapes: tuple[tuple[int | None, ...], ...]
    dtype: str = "float32"
    high: int = 7


def grid(**options: Any) -> Iterator[dict[str, Any]]:
    """Return every combination of options; each is a sequence of values."""
    for values in itertools.product(*options.values()):
        yield dict(zip(options, values, strict=True))


def case(layer: str, *shapes: Any, dtype: str = "float32", high: int = 7, **options: Any) -> Case:
    """Return a layer that is called with its inputs as a list, or alone where there is one."""

    def make() -> Any:
        import keras

        return getattr(keras.layers, layer)(**{name: _value(item) for name, item in options.items()})

    label = ", ".join(f"{name}={item}" for name, item in options.items()) or "defaults"
    return Case(layer, label, make, shapes, dtype, high)


def called(layer: str, label: str, make: Callable[[Any], Any], *shapes: Any, dtype: str = "float32") -> Case:
    """Return a layer that ``make`` builds (from ``keras.layers``) and calls in a way of its own."""

    def build() -> Any:
        import keras

        return make(keras.layers)

    return Case(layer, label, build, shapes, dtype)


def _value(item: Any) -> Any:
    return item() if callable(item) else item


def convolutions() -> Iterator[Case]:
    """Return convolutions of every kind."""
    for rank, shape in SHAPES.items():
        for options in grid(padding=("same", "valid"), strides=(1, 2), kernel_size=(2, 3)):
            yield case(f"Conv{rank}D", shape, filters=4, **options)
            yield case(f"Conv{rank}DTranspose", shape, filters=4, **options)
            if rank < 3:
                yield case(f"DepthwiseConv{rank}D", shape, **options)
                yield case(f"SeparableConv{rank}D", shape, filters=4, **options)
        for options in grid(padding=("same", "valid"), dilation_rate=(2,)):
            yield case(f"Conv{rank}D", shape, filters=4, kernel_size=3, **options)
            if rank < 3:
                yield case(f"DepthwiseConv{rank}D", shape, kernel_size=3, **options)
                yield case(f"SeparableConv{rank}D", shape, filters=4, kernel_size=3, **options)
                yield case(f"Conv{rank}DTranspose", shape, filters=4, kernel_size=3, **options)
        yield case(f"Conv{rank}D", shape, filters=4, kernel_size=3, use_bias=False, activation="relu")
        yield case(
            f"Conv{rank}DTranspose", shape, filters=4, kernel_size=3, strides=2, padding="same", output_padding=1
        )
        if rank < 3:
            yield case(f"Conv{rank}D", shape, filters=6, kernel_size=3, groups=2)
            yield case(f"DepthwiseConv{rank}D", shape, kernel_size=3, depth_multiplier=2)
            yield case(f"SeparableConv{rank}D", shape, filters=4, kernel_size=3, depth_multiplier=2, use_bias=False)
    for options in grid(dilation_rate=(1, 2), kernel_size=(2, 3)):
        yield case("Conv1D", LINE, filters=4, padding="causal", **options)
    yield case("Conv1D", LINE, filters=4, kernel_size=3, padding="causal", strides=2)
    yield case("Conv1D", LINE, filters=6, kernel_size=3, padding="causal", groups=2)


def channels_first() -> Iterator[Case]:
    """Return what a CPU can run of layers with their channels first."""
    for layer, shape, options in (
        ("MaxPooling1D", (4, 12), {"pool_size": 2}), ("MaxPooling2D", (4, 9, 10), {"pool_size": 2}),
        ("MaxPooling3D", (3, 5, 6, 7), {"pool_size": 2}), ("AveragePooling1D", (4, 12), {"pool_size": 2}),
        ("AveragePooling2D", (4, 9, 10), {"pool_size": 2}), ("AveragePooling3D", (3, 5, 6, 7), {"pool_size": 2}),
        ("GlobalMaxPooling1D", (4, 12), {}), ("GlobalAveragePooling1D", (4, 12), {}),
        ("GlobalMaxPooling2D", (4, 9, 10), {}), ("GlobalAveragePooling2D", (4, 9, 10), {}),
        ("GlobalMaxPooling3D", (4, 5, 6, 7), {}), ("GlobalAveragePooling3D", (4, 5, 6, 7), {}),
        ("Flatten", (4, 9, 10), {}), ("UpSampling2D", (4, 9, 10), {}), ("UpSampling3D", (4, 3, 4, 5), {}),
        ("ZeroPadding2D", (4, 9, 10), {}), ("ZeroPadding3D", (4, 3, 4, 5), {}), ("ZeroPadding1D", (4, 9), {}),
        ("Cropping2D", (4, 9, 10), {}), ("Cropping3D", (4, 5, 4, 5), {}),
        ("SpatialDropout2D", (4, 9, 10), {"rate": 0.3}),
        ("Conv1D", (4, 12), {"filters": 3, "kernel_size": 3}),
        ("Conv2D", (4, 9, 10), {"filters": 3, "kernel_size": 3}),
        ("Conv3D", (4, 5, 6, 7), {"filters": 3, "kernel_size": 3}),
        ("DepthwiseConv2D", (4, 9, 10), {"kernel_size": 3}),
        ("SeparableConv2D", (4, 9, 10), {"filters": 3, "kernel_size": 3}),
        ("Conv2DTranspose", (4, 9, 10), {"filters": 3, "kernel_size": 3}),
        ("Resizing", (3, 9, 10), {"height": 5, "width": 7}), ("CenterCrop", (3, 9, 10), {"height": 5, "width": 7}),
    ):  # fmt: skip
        yield case(layer, shape, data_format="channels_first", **options)


def poolings() -> Iterator[Case]:
    """Return poolings over windows, over everything, and to a given size."""
    for rank, shape in SHAPES.items():
        for kind in ("Max", "Average"):
            for options in grid(padding=("same", "valid"), strides=(None, 1, 2), pool_size=(2, 3)):
                yield case(f"{kind}Pooling{rank}D", shape, **options)
            for keep in (False, True):
                yield case(f"Global{kind}Pooling{rank}D", shape, keepdims=keep)
            for size in (2, 3):
                yield case(f"Adaptive{kind}Pooling{rank}D", shape, output_size=size)


def activations() -> Iterator[Case]:
    """Return activations and layers that are functions of one number."""
    for name in (
        "relu", "relu6", "sigmoid", "tanh", "softmax", "log_softmax", "softplus", "softsign", "elu", "selu", "gelu",
        "silu", "leaky_relu", "hard_silu", "hard_sigmoid", "exponential", "mish", "celu", "hard_tanh", "hard_shrink",
        "soft_shrink", "tanh_shrink", "squareplus", "log_sigmoid", "sparse_plus", "sparse_sigmoid", "sparsemax", "glu",
        "linear",
    ):  # fmt: skip
        yield case("Activation", (5, 6), activation=name)
    yield case("ELU", (5, 6), alpha=0.7)
    yield case("LeakyReLU", (5, 6), negative_slope=0.2)
    yield case("PReLU", (5, 6))
    yield case("PReLU", IMAGE, shared_axes=[1, 2])
    for options in grid(max_value=(None, 6.0), negative_slope=(0.0, 0.1), threshold=(0.0, 0.2)):
        yield case("ReLU", (5, 6), **options)
    for axis in (-1, 1, (1, 2)):
        yield case("Softmax", (5, 6), axis=axis)
    yield called("Softmax", "mask", lambda kl: lambda x, m: kl.Softmax()(x, mask=m > 0), (5, 6), (5, 6))
    for name in (
        "Dropout", "SpatialDropout1D", "AlphaDropout", "GaussianDropout", "GaussianNoise",
    ):  # fmt: skip
        yield case(name, (5, 6), **({"stddev": 0.2} if name == "GaussianNoise" else {"rate": 0.3}))
    yield case("SpatialDropout2D", IMAGE, rate=0.3)
    yield case("SpatialDropout3D", ROOM, rate=0.3)
    yield case("Identity", (5, 6))
    yield case("ActivityRegularization", (5, 6), l1=0.1)


def normalizations() -> Iterator[Case]:
    """Return normalisations."""
    for shape in ((7,), (7, 5), IMAGE, ROOM):
        for options in grid(scale=(True, False), center=(True, False)):
            yield case("BatchNormalization", shape, **options)
            yield case("LayerNormalization", shape, **options)
    yield case("BatchNormalization", (4, 8, 8), axis=1)
    yield case("LayerNormalization", (5, 6, 8), axis=(-2, -1))
    yield case("LayerNormalization", (6, 8), axis=1)
    yield case("LayerNormalization", (6, 8), epsilon=1e-6)
    for options in grid(groups=(1, 2, 4, -1), scale=(True, False), center=(True, False)):
        yield case("GroupNormalization", IMAGE, **options)
    yield case("GroupNormalization", (12, 4), groups=2)
    yield case("GroupNormalization", (4, 8, 8), groups=2, axis=1)
    yield case("RMSNormalization", (6, 8))
    yield case("RMSNormalization", (5, 6, 8), axis=(-2, -1))
    for axis in (-1, 1):
        yield case("UnitNormalization", (6, 8), axis=axis)
    yield called("SpectralNormalization", "Dense", lambda kl: kl.SpectralNormalization(kl.Dense(5)), (6, 8))
    yield called("SpectralNormalization", "Conv2D", lambda kl: kl.SpectralNormalization(kl.Conv2D(5, 3)), IMAGE)
    yield case("Normalization", IMAGE, mean=[1.0, 2, 3, 4], variance=[1.0, 2, 3, 4])
    yield case("Normalization", IMAGE, mean=0.5, variance=2.0, axis=None)
    yield case("Normalization", IMAGE, mean=0.5, variance=2.0, axis=None, invert=True)


def shapes() -> Iterator[Case]:
    """Return layers that move elements."""
    yield case("Flatten", IMAGE)
    yield case("Flatten", ())
    yield case("Reshape", IMAGE, target_shape=(5, -1))
    yield case("Permute", IMAGE, dims=(2, 3, 1))
    yield case("RepeatVector", (5,), n=3)
    for rank, shape in SHAPES.items():
        for amount in (1, (1, 2) if rank == 1 else ((1, 2),) + ((2, 0),) * (rank - 1)):
            yield case(f"ZeroPadding{rank}D", shape, padding=amount)
            yield case(f"Cropping{rank}D", shape, cropping=amount)
        yield case(f"UpSampling{rank}D", shape, size=2)
    for method in ("nearest", "bilinear", "bicubic", "lanczos3", "lanczos5"):
        yield case("UpSampling2D", IMAGE, size=(2, 3), interpolation=method)


def merges() -> Iterator[Case]:
    """Return layers of several inputs."""
    for name in ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate"):
        yield case(name, (6, 5), (6, 5))
        if name != "Subtract":
            yield case(name, (6, 5), (6, 5), (6, 5))
    yield case("Add", (6, 5), (1, 5))
    for axis in (1, 2, -1):
        yield case("Concatenate", (6, 6, 5), (6, 6, 5), axis=axis)
    for options in grid(axes=(1, 2, (1, 2)), normalize=(False, True)):
        yield case("Dot", (6, 6), (6, 6), **options)
    yield case("Dot", (6,), (6,), axes=1)


def dense() -> Iterator[Case]:
    """Return products with weights."""
    for shape in ((5,), (5, 6), IMAGE):
        for options in grid(use_bias=(True, False), activation=(None, "relu")):
            yield case("Dense", shape, units=7, **options)
    for equation, output, bias, shape in (
        ("abc,cd->abd", (None, 64), "d", (5, 6)), ("...x,xy->...y", 7, "y", (5, 6)), ("ab,bc->ac", 7, "c", (6,)),
        ("abc,cde->abde", (None, 3, 4), "de", (5, 6)), ("abc,cd->adb", (7, 5), "d", (5, 6)),
        ("abcd,cde->abe", (None, 3), "e", (5, 2, 4)), ("abc,bcd->ad", 3, None, (5, 6)),
    ):  # fmt: skip
        yield case("EinsumDense", shape, equation=equation, output_shape=output, bias_axes=bias)
    yield case("Embedding", (5,), input_dim=7, output_dim=6, dtype="int32")
    yield case("Embedding", (5,), input_dim=7, output_dim=6, mask_zero=True, dtype="int32")
    yield case("ReversibleEmbedding", (5,), input_dim=7, output_dim=6, dtype="int32")
    yield called("ReversibleEmbedding", "reverse", _reversed_embedding, (5,), dtype="int32")
    yield called("Lambda", "a function", lambda kl: kl.Lambda(lambda x: x * 2 + 1), (5, 6))
    yield called("TimeDistributed", "Dense", lambda kl: kl.TimeDistributed(kl.Dense(3)), (5, 6))
    yield called("TimeDistributed", "Conv2D", lambda kl: kl.TimeDistributed(kl.Conv2D(3, 3)), (2, *IMAGE))
    yield called("Masking", "into a mean", lambda kl: lambda x: kl.GlobalAveragePooling1D()(kl.Masking()(x)), (5, 6))


def _reversed_embedding(layers: Any) -> Any:
    layer = layers.ReversibleEmbedding(7, 6)
    return lambda x: layer(layer(x), reverse=True)


def attentions() -> Iterator[Case]:
    """Return attention layers."""
    query, value = (5, 8), (6, 8)
    for options in grid(use_scale=(False, True), score_mode=("dot", "concat")):
        yield case("Attention", query, value, **options)
    yield case("Attention", query, value, value)
    yield called(
        "Attention", "causal", lambda kl: lambda q, v: kl.Attention()([q, v], use_causal_mask=True), query, value
    )
    yield called(
        "Attention", "mask", lambda kl: lambda q, v, m: kl.Attention()([q, v], mask=[None, m > -1]), query, value, (6,)
    )
    for use_scale in (True, False):
        yield case("AdditiveAttention", query, value, use_scale=use_scale)
    for options in grid(num_heads=(1, 2), key_dim=(3, 4), value_dim=(None, 5), use_bias=(True, False)):
        yield _two("MultiHeadAttention", query, value, options)
        if options["value_dim"] is None:
            heads = {"num_query_heads": 4, "num_key_value_heads": options["num_heads"], "head_dim": options["key_dim"]}
            yield _two("GroupQueryAttention", query, value, heads | {"use_bias": options["use_bias"]})
    for name, options in (
        ("MultiHeadAttention", {"num_heads": 2, "key_dim": 4}),
        ("GroupQueryAttention", {"num_query_heads": 4, "num_key_value_heads": 2, "head_dim": 4}),
    ):
        yield called(name, "causal", _with(name, options, use_causal_mask=True), query)
        yield called(name, "mask", _masked(name, options), query, (5, 5))
        yield called(name, "scores", _with(name, options, return_attention_scores=True), query)
    yield _two("MultiHeadAttention", query, value, {"num_heads": 2, "key_dim": 4, "output_shape": 7})
    yield _two("MultiHeadAttention", (3, 4, 8), (3, 4, 8), {"num_heads": 2, "key_dim": 4, "attention_axes": (1, 2)})


def _two(name: str, query: Any, value: Any, options: dict[str, Any]) -> Case:
    label = ", ".join(f"{key}={item}" for key, item in options.items())
    return called(name, label, lambda layers: getattr(layers, name)(**options), query, value)


def _with(name: str, options: dict[str, Any], **arguments: Any) -> Callable[[Any], Any]:
    return lambda layers: lambda x: getattr(layers, name)(**options)(x, x, **arguments)


def _masked(name: str, options: dict[str, Any]) -> Callable[[Any], Any]:
    return lambda layers: lambda x, mask: getattr(layers, name)(**options)(x, x, attention_mask=mask > 0)


def preprocessing() -> Iterator[Case]:
    """Return preprocessing layers with a static meaning."""
    yield case("Rescaling", IMAGE, scale=1 / 127.5, offset=-1.0)
    for options in grid(
        interpolation=("nearest", "bilinear", "bicubic", "lanczos3", "lanczos5", "area"),
        crop_to_aspect_ratio=(False, True),
    ):
        yield case("Resizing", IMAGE, height=5, width=7, **options)
    yield case("Resizing", IMAGE, height=14, width=20)
    yield case("Resizing", IMAGE, height=14, width=20, pad_to_aspect_ratio=True)
    yield case("Resizing", IMAGE, height=14, width=20, antialias=True)
    yield case("CenterCrop", IMAGE, height=4, width=5)
    yield case("CenterCrop", IMAGE, height=14, width=5)
    for mode in ("one_hot", "multi_hot", "count"):
        yield case(
            "CategoryEncoding", (1,) if mode == "one_hot" else (5,), num_tokens=7, output_mode=mode, dtype="int32"
        )
    for mode in ("int", "one_hot", "multi_hot", "count"):
        boundaries = [-0.5, 0.0, 0.9]
        yield case("Discretization", (1,) if mode == "one_hot" else (5,), bin_boundaries=boundaries, output_mode=mode)
    for mode in ("log", "magnitude", "psd", "real", "imag", "angle", "stft"):
        yield case("STFTSpectrogram", (200, 1), mode=mode, frame_length=32, frame_step=8, fft_length=64)
    yield case(
        "STFTSpectrogram", (200, 1), frame_length=32, frame_step=16, window="hann", periodic=True, scaling="spectrum"
    )
    yield case("STFTSpectrogram", (200, 2), frame_length=32, frame_step=16, expand_dims=True, padding="same")
    yield case("MelSpectrogram", (400,), fft_length=64, sequence_stride=16, num_mel_bins=20, sampling_rate=8000)
    yield case("MelSpectrogram", (400,), fft_length=64, num_mel_bins=20, power_to_db=False, mag_exp=1.0)
    yield case("Solarization", IMAGE, addition_factor=0.2, threshold_factor=0.4, value_range=(0.0, 1.0))
    yield case("MaxNumBoundingBoxes", IMAGE, max_number=3)
    yield case("Equalization", (9, 10, 3), value_range=(0, 255))
    yield case("ContrastLimitedAdaptiveHistogramEqualization", (16, 16, 3), value_range=(0, 255), tile_grid_size=(2, 2))
    for name in (
        "RandomBrightness", "RandomContrast", "RandomCrop", "RandomFlip", "RandomRotation", "RandomTranslation",
        "RandomZoom", "RandomHue", "RandomSaturation", "RandomGrayscale", "RandomColorJitter", "RandomSharpness",
        "RandomShear", "RandomPosterization", "RandomPerspective", "RandomColorDegeneration", "RandomGaussianBlur",
        "RandomInvert", "RandomErasing", "RandomElasticTransform", "AutoContrast", "RandAugment", "AugMix", "CutMix",
        "MixUp",
    ):  # fmt: skip
        yield case(name, (9, 10, 3), **RANDOM.get(name, {}))


# What a random layer cannot be made without; in inference it returns its input (cropped to a size, for one).
RANDOM: dict[str, dict[str, Any]] = {
    "RandomBrightness": {"factor": 0.2}, "RandomContrast": {"factor": 0.2}, "RandomCrop": {"height": 5, "width": 6},
    "RandomRotation": {"factor": 0.2}, "RandomTranslation": {"height_factor": 0.2, "width_factor": 0.2},
    "RandomZoom": {"height_factor": 0.2}, "RandomHue": {"factor": 0.2}, "RandomSaturation": {"factor": 0.2},
    "RandomSharpness": {"factor": 0.2}, "RandomPosterization": {"factor": 4},
    "RandomColorDegeneration": {"factor": 0.2},
    "RandomColorJitter": {"brightness_factor": 0.2},
}  # fmt: skip


def cases() -> list[Case]:
    """Return every case."""
    families = (
        convolutions, channels_first, poolings, activations, normalizations, shapes, merges, dense, attentions,
        preprocessing,
    )  # fmt: skip
    return [item for family in families for item in family()]
