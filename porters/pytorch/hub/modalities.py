"""The inputs of each modality of transformers by argument name: text, images, patches, videos, sound, series."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from porters.pytorch.hub.fields import FIRST_ORDINARY_TOKEN
from porters.pytorch.hub.tiny import parts
from zoo.inputs import InputSpec

# Lengths of the text, of a decoder's text, and of sound in samples and in frames.
LENGTH, TARGET, SAMPLES, FRAMES = 16, 8, 2000, 64
# Patches of an image along each side, where the image comes as a list of patches.
GRID = 4
# The size of an image where the configuration names none.
IMAGE = 64


@dataclass(frozen=True)
class Placeholder:
    """Tokens in the text that stand for another modality: ``start``, ``token`` for each feature, ``end``."""

    token: int
    start: int | None = None
    end: int | None = None
    type_id: int = 1
    usual: int = GRID * GRID

    def tokens(self, count: int) -> list[int]:
        """Return the token ids for ``count`` features."""
        return [*self._edge(self.start), *[self.token] * count, *self._edge(self.end)]

    def types(self, count: int) -> list[int]:
        """Return the modality of each of those tokens: 0 is text."""
        return [*[0] * len(self._edge(self.start)), *[self.type_id] * count, *[0] * len(self._edge(self.end))]

    def _edge(self, token: int | None) -> list[int]:
        return [] if token is None else [token]


@dataclass(frozen=True)
class Part:
    """The inputs of one modality."""

    specs: Sequence[InputSpec] = ()
    constants: Mapping[str, Any] = field(default_factory=dict)
    placeholder: Placeholder | None = None


def options(model: Any, names: Sequence[str], required: Sequence[str]) -> list[list[Part]]:
    """Return, for each modality that ``forward`` has arguments for, the parts to try, the most telling first."""
    config = model.config
    packed = any("grid" in name or name in ("target_sizes", "spatial_shapes") for name in names)
    images = (_patches(config, names) if packed else []) + _images(config, names)
    sound = _sound(config, names)
    series = _series(config, names)
    optional = "input_ids" in names and not (set(required) & {"pixel_values", "input_features", "input_values"})
    if optional:
        images, sound = [*images, Part()] if images else [], [*sound, Part()] if sound else []
    batch: int | str = 1 if packed and images else "batch"
    return [images, sound, series, _text(model, names, batch)]


def text_width(model: Any) -> int:
    """Return the width of the text model's hidden states."""
    text = model.config.get_text_config()
    return int(getattr(text, "hidden_size", 0) or 1)


def setting(config: Any, *names: str, default: Any = None) -> Any:
    """Return the first of ``names`` that a configuration, or one inside it, sets."""
    for name in names:
        for part in parts(config):
            value = getattr(part, name, None)
            if value is not None:
                return value
    return default


def _one(value: Any) -> int:
    return int(value[0]) if isinstance(value, (list, tuple)) else int(value)


# -- text ---------------------------------------------------------------------------------------------------------


def _text(model: Any, names: Sequence[str], batch: int | str) -> list[Part]:
    if "input_ids" not in names and "decoder_input_ids" not in names:
        return []
    config = model.config
    text = config.get_text_config() if hasattr(config, "get_text_config") else config
    high = int(setting(text, "vocab_size", default=0) or setting(config, "vocab_size", default=2))
    low = FIRST_ORDINARY_TOKEN if high > FIRST_ORDINARY_TOKEN else 0
    shape, sizes = (batch, "sequence"), {"sequence": LENGTH}
    tokens = InputSpec("input_ids", "int64", shape, "tokens", low=low, high=high, sizes=sizes)
    specs = [tokens] if "input_ids" in names else []
    if "attention_mask" in names and specs:
        specs.append(InputSpec("attention_mask", "int64", shape, "mask", sizes=sizes))
    segments = getattr(text, "type_vocab_size", None)
    if segments is None and "pixel_values" in names:
        segments = 2  # no table of embeddings: they say which tokens see one another both ways
    if "token_type_ids" in names and segments:
        specs.append(InputSpec("token_type_ids", "int64", shape, "segments", high=int(segments), sizes=sizes))
    if "mm_token_type_ids" in names:
        specs.append(InputSpec("mm_token_type_ids", "int64", shape, "tokens", low=0, high=1, sizes=sizes))
    if "position_ids" in names and any(hasattr(part, "get_rope_index") for part in (model, *model.children())):
        # Positions in time, height and width are found by looping over the tokens; they can be given instead.
        axes = InputSpec("position_ids", "int64", (3, *shape), "positions", high=LENGTH, sizes=sizes)
        specs.append(axes)
    if "bbox" in names:
        most = int(setting(config, "max_2d_position_embeddings", default=1000))
        specs.append(InputSpec("bbox", "int64", (*shape, 4), "boxes", high=most, sizes=sizes))
    if "decoder_input_ids" in names:
        decoder = config.get_text_config(decoder=True) if hasattr(config, "get_text_config") else config
        high = int(setting(decoder, "vocab_size", default=high))
        low = FIRST_ORDINARY_TOKEN if high > FIRST_ORDINARY_TOKEN else 0
        target = InputSpec(
            "decoder_input_ids", "int64", (batch, "target"), "tokens", low=low, high=high, sizes={"target": TARGET}
        )
        specs.append(target)
    plain = [spec for spec in specs if spec.name != "attention_mask"]
    return [Part(specs), Part(plain)] if len(plain) < len(specs) else [Part(specs)]


# -- images -------------------------------------------------------------------------------------------------------


def _channels(config: Any) -> int:
    return _one(setting(config, "num_channels", "in_channels", "in_chans", "image_channels", default=3))


def _images(config: Any, names: Sequence[str]) -> list[Part]:
    name = next((name for name in ("pixel_values", "pixel_values_videos", "input_pixels") if name in names), None)
    if name is None:
        return []
    channels = _channels(config)
    known = setting(config, "image_size", "input_size", "img_size")
    heights = [(_one(known), int(known[-1]) if isinstance(known, (list, tuple)) else _one(known))] if known else []
    sizes = list(dict.fromkeys([*heights, (IMAGE, IMAGE), (2 * IMAGE, 2 * IMAGE), (224, 224)]))
    frames = int(setting(config, "num_frames", default=2))
    holder = _image_tokens(config)
    shapes: list[tuple[int | str, ...]] = [("batch", channels, *size) for size in sizes]
    shapes += [("batch", frames, channels, *size) for size in sizes[:2]]
    shapes += [("batch", channels, frames, *size) for size in sizes[:1]]
    found = []
    for shape in shapes:
        image = InputSpec(name, "float32", shape, "image")
        extra = _sizes_of_images(names, [int(side) for side in shape[-2:]])
        found.append(Part([image], {}, holder))
        if extra:
            batchless = InputSpec(name, "float32", (1, *shape[1:]), "image")
            found.append(Part([batchless], extra, holder))
    return found


def _sizes_of_images(names: Sequence[str], size: Sequence[int]) -> dict[str, Any]:
    return {"image_sizes": [list(size)]} if "image_sizes" in names else {}


def _image_tokens(config: Any) -> Placeholder | None:
    token = setting(config, "image_token_id", "image_token_index", "media_placeholder_token_id", "im_patch_id")
    if token is None:
        return None
    start = setting(config, "vision_start_token_id", "image_start_token_id", "boi_token_id", "boi_token_index")
    end = setting(config, "vision_end_token_id", "image_end_token_id", "eoi_token_id", "eoi_token_index")
    return Placeholder(int(token), start, end)


def _patches(config: Any, names: Sequence[str]) -> list[Part]:
    """Images as lists of flattened patches, their grid a constant: its values decide shapes."""
    patch, channels = _one(setting(config, "patch_size", default=14)), _channels(config)
    depth = _one(setting(config, "temporal_patch_size", default=1))
    count = GRID * GRID
    holder = _image_tokens(config)
    width = channels * depth * patch * patch
    grids = {name: [[1, GRID, GRID]] for name in ("grid_thw", "image_grid_thw") if name in names}
    flat = "hidden_states" if "hidden_states" in names and "pixel_values" not in names else "pixel_values"
    if grids:
        shapes: list[tuple[int | str, ...]] = [
            (count, width), (count, channels, patch, patch), (1, count, width), (1, count, channels, patch, patch),
        ]  # fmt: skip
        return [Part([InputSpec(flat, "float32", shape)], grids, holder) for shape in shapes]
    if "spatial_shapes" in names:
        mask = next((name for name in ("pixel_attention_mask", "attention_mask") if name in names), None)
        whole = {} if mask is None or ("input_ids" in names and mask == "attention_mask") else {mask: [[1] * count]}
        pixels = InputSpec("pixel_values", "float32", (1, count, width))
        return [Part([pixels], {"spatial_shapes": [[GRID, GRID]], **whole}, holder)]
    if "target_sizes" in names:
        strip = InputSpec("pixel_values", "float32", (1, channels, patch, patch * count))
        return [Part([strip], {"target_sizes": [[GRID, GRID]]}, holder)]
    return []


# -- sound --------------------------------------------------------------------------------------------------------


# The fields that say how many numbers a frame of sound is.
_BINS = ("num_mel_bins", "feature_size", "n_mels", "input_feat_per_channel", "input_dim", "input_size")


def _sound(config: Any, names: Sequence[str]) -> list[Part]:
    widths = [setting(config, name) for name in _BINS]
    bins = list(dict.fromkeys(_one(width) for width in widths if width)) or [80]
    mels = bins[0]
    token = setting(config, "audio_token_id", "audio_token_index")
    holder = None if token is None else Placeholder(int(token), type_id=3)
    found: list[Part] = []
    if "input_features" in names:
        longest = setting(config, "max_source_positions", default=FRAMES // 2)
        lengths = dict.fromkeys([2 * int(longest), FRAMES, int(setting(config, "max_length", default=FRAMES))])
        for width, frames in itertools.product(bins, lengths):
            for shape in ((width, frames), (frames, width)):
                found += _features("input_features", shape, frames, names, holder)
        # Sound as an image of one channel.
        found.append(Part([InputSpec("input_features", "float32", ("batch", 1, FRAMES, mels))], {}, holder))
    if "input_values" in names:
        longest = int(setting(config, "max_length", default=FRAMES))
        plain = InputSpec("input_values", "float32", ("batch", SAMPLES))
        if "attention_mask" in names and "input_ids" not in names:
            mask = InputSpec("attention_mask", "int64", ("batch", SAMPLES), "mask")
            found.append(Part([plain, mask], {}, holder))
        found.append(Part([plain], {}, holder))
        found.append(Part([InputSpec("input_values", "float32", ("batch", 1, SAMPLES))], {}, holder))
        found += _features("input_values", (longest, mels), longest, names, holder)
    return found


def _features(
    name: str, shape: tuple[int, int], frames: int, names: Sequence[str], holder: Placeholder | None
) -> list[Part]:
    sound = InputSpec(name, "float32", ("batch", *shape))
    found = []
    for mask in ("input_features_mask", "feature_attention_mask", "attention_mask"):
        if mask in names and not (mask == "attention_mask" and "input_ids" in names):
            found.append(Part([sound, InputSpec(mask, "int64", ("batch", frames), "mask")], {}, holder))
            found.append(Part([sound, InputSpec(mask, "bool", ("batch", frames), "mask")], {}, holder))
    return [*found, Part([sound], {}, holder)]


# -- time series --------------------------------------------------------------------------------------------------


def _series(config: Any, names: Sequence[str]) -> list[Part]:
    if "past_values" not in names:
        return []
    context = int(setting(config, "context_length", default=32) or 32)
    channels = int(setting(config, "num_input_channels", "input_size", default=1))
    lags = max(setting(config, "lags_sequence", default=[0]) or [0])
    past = context + int(lags)
    width = int(getattr(config, "num_time_features", 0) or 0)
    ahead = int(getattr(config, "prediction_length", 0) or context)
    found = []
    shapes: list[tuple[int | str, ...]] = [("batch", past), ("batch", past, channels), ("batch", context)]
    for shape in shapes:
        specs = [InputSpec("past_values", "float32", shape)]
        if "past_time_features" in names:
            specs.append(InputSpec("past_time_features", "float32", ("batch", past, width)))
        if "past_observed_mask" in names:
            specs.append(InputSpec("past_observed_mask", "float32", shape, mean=1.0, std=0.0))
        if "future_time_features" in names:
            specs.append(InputSpec("future_time_features", "float32", ("batch", ahead, width)))
        if "future_values" in names:
            specs.append(InputSpec("future_values", "float32", ("batch", ahead, *shape[2:])))
        found.append(Part(specs))
        found.append(Part(specs[:1]))
    return found
