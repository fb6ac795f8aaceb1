"""Tiny configurations of transformers, made from the defaults of a configuration class by the meaning of its fields."""

from __future__ import annotations

import copy
import dataclasses
import math
import re
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from porters.pytorch.hub.fields import (
    CHOSEN,
    EXPERTS,
    HEAD_WIDTH,
    HEADS,
    INNER,
    LAYER_NUMBERS,
    LAYERS,
    OTHER_WIDTHS,
    STAGE,
    STAGE_DEPTHS,
    STAGE_WIDTHS,
    VOCABULARY,
    WIDTH,
    Kind,
    is_numbers,
    is_token,
    renumbered,
    rule_of,
)

# The longest list that is one of stages; a longer one that is as long as the model is deep is one of layers.
MOST_STAGES = 6
# Weights that a checkpoint would bring are seeded here: with less spread than this the input would decide nothing.
LEAST_SPREAD, SPREAD = 1e-3, 0.02
# Lists of the numbers of heads of stages.
HEAD_LISTS = r"heads(_per_stage)?$"
# The fields that say how wide a model is; the others are measured by them.
_MAIN_WIDTH = r"^(hidden_size|d_model|n_embd|hidden_dim|embed_dim|dim|width)$"
_TOKEN = re.compile(r"(_token_id|_token_index|_id|_index)$")
_KNOWN_TOKENS = {"pad": 0, "bos": 1, "eos": 2, "decoder_start": 3, "sep": 4, "cls": 5, "mask": 6, "unk": 7}

# What some classes leave open and their models need.
_OPEN = {
    "vocab_size": VOCABULARY, "num_experts_per_tok": CHOSEN, "n_routed_experts": EXPERTS, "n_shared_experts": 1,
    "prediction_length": 8, "head_dim": HEAD_WIDTH,
}  # fmt: skip

# Kinds of layers that the library's models share.
_KINDS_OF_LAYERS = {"layer_types": ("full_attention",), "mlp_layer_types": ("dense", "sparse")}

_ROPE = {"rope_type": "default", "rope_theta": 10000.0}


@dataclass(frozen=True)
class Variant:
    """One way to be tiny; where a model cannot be built or run in one, the next is tried.

    Attributes:
        image: Sides of an image, in patches.
        shrink_lists: Whether the widths of stages shrink with the rest.
        inner: Width of feed-forward layers.
        heads: Whether numbers of heads shrink.
        decoder: Whether a model that can be encoder or decoder is told to be a decoder.
        layers: How deep it is; None keeps the depth.
        widths: ``fixed`` gives every width the same small value; ``divided`` divides them all by one power of two, so
            that products and ratios of widths and heads stay what they were; ``kept`` leaves them alone.
        fill: Whether what a class leaves open and does not work out gets a value.
        published: Whether nothing shrinks at all.
    """

    image: int = 4
    shrink_lists: bool = True
    inner: int = INNER
    heads: bool = True
    decoder: bool = False
    layers: int | None = LAYERS
    widths: Literal["fixed", "divided", "kept"] = "fixed"
    fill: bool = False
    published: bool = False

    @property
    def large(self) -> bool:
        """Whether nothing bounds the number of parameters."""
        return self.published or self.widths != "fixed"


_FIXED = (
    Variant(), Variant(shrink_lists=False), Variant(image=8), Variant(image=8, shrink_lists=False),
    Variant(inner=WIDTH), Variant(heads=False), Variant(heads=False, shrink_lists=False), Variant(decoder=True),
    Variant(layers=3 * LAYERS), Variant(fill=True),
)  # fmt: skip
_LARGER = (
    Variant(widths="divided"), Variant(widths="divided", image=8), Variant(widths="divided", layers=3 * LAYERS),
    Variant(widths="divided", layers=None), Variant(widths="kept"), Variant(widths="kept", layers=None, image=8),
)  # fmt: skip
_FILLED = (Variant(widths="divided", fill=True), Variant(widths="kept", fill=True))
# From the smallest to what is published: each shrinks fewer fields, so that fewer of them can disagree.
VARIANTS = (*_FIXED, *_LARGER, *_FILLED, Variant(published=True))


def tiny_configs(kind: type[Any]) -> Iterator[tuple[Variant, Any]]:
    """Yield the different configurations of a class, the smallest first; variants that it refuses are left out.

    Raises:
        Exception: What the class said to the first variant, if it refused them all.
    """
    problem: Exception | None = None
    seen: list[Any] = []
    for variant in VARIANTS:
        try:
            config = tiny_config(kind, variant)
            said = config.to_dict()
        except Exception as error:
            problem = problem or error
            continue
        if said not in seen:
            seen.append(said)
            yield variant, config
    if problem is not None and not seen:
        raise problem


def tiny_config(kind: type[Any], variant: Variant = VARIANTS[0]) -> Any:
    """Return a tiny configuration of a configuration class of transformers.

    Raises:
        Exception: Whatever the class raises where the values do not fit together.
    """
    default = kind()
    if variant.published:
        return default
    return _shrunk(default, None, _Scale(default, variant))


class _Scale:
    """What must agree over a whole tree of configurations: the factors of widths, and token ids by name."""

    def __init__(self, config: Any, variant: Variant) -> None:
        self.variant = variant
        self.fixed = variant.widths == "fixed"
        widths = [width for part in parts(config) for width in _stage_widths(part)]
        shrink = self.fixed and variant.shrink_lists
        self.factor = max(1.0, min(widths, default=STAGE) / STAGE) if shrink else 1.0
        self.divisor = _common_divisor(config) if variant.widths == "divided" else 1
        self.image_ratio = _image_ratio(config, variant)
        self.tokens: dict[str, int] = {}

    def token(self, name: str) -> int:
        """Return the id of a special token, the same wherever the name occurs."""
        stem = _TOKEN.sub("", name)
        if stem in _KNOWN_TOKENS:
            return _KNOWN_TOKENS[stem]
        return self.tokens.setdefault(stem, len(_KNOWN_TOKENS) + 2 + len(self.tokens))

    def stage(self, width: float) -> int:
        """Return the width of a stage: a multiple of 8 where it was one."""
        small = width / self.factor
        return max(8, round(small / 8) * 8) if width >= 8 and self.factor > 1 else max(1, round(small))

    def divided(self, value: int, least: int | None = None) -> int:
        """Return a width divided by what all are divided by, where it can be; ``least`` is that of heads and groups."""
        if value % self.divisor == 0:
            return value // self.divisor
        return value if least is None else max(least, value // self.divisor)

    def layers(self, config: Any) -> int | None:
        """Return how deep a model is to be: it has a layer for each of the features that are taken from it."""
        if self.variant.layers is None:
            return None
        wanted = [len(item) for name, item in vars(config).items() if name.endswith("out_indices") and is_numbers(item)]
        return max(self.variant.layers, *wanted, 0)


def _common_divisor(config: Any) -> int:
    """Return the power of two by which every width can be divided: heads stay whole, and at least two."""
    most = [1 << 10]
    for part in parts(config):
        for name, item in vars(part).items():
            rule = rule_of(name)
            if not isinstance(item, int) or rule is None:
                continue
            if re.search(_MAIN_WIDTH, name) and item >= WIDTH:
                most.append(item * 2 // WIDTH)
            elif rule.kind is Kind.HEADS and rule.value >= HEADS and item > 1:
                most.append(max(1, (item & -item) // 2))
    return 1 << (min(most).bit_length() - 1)


def parts(config: Any) -> Iterator[Any]:
    """Yield a configuration and every one inside it."""
    yield config
    for item in vars(config).values():
        if _is_config(item):
            yield from parts(item)


def _is_config(item: Any) -> bool:
    return hasattr(item, "to_dict") and hasattr(item, "model_type")


def _stage_widths(config: Any) -> list[float]:
    found: list[float] = []
    for name, item in vars(config).items():
        if re.search(STAGE_WIDTHS, name) and is_numbers(item):
            found += [width for width in item if width >= STAGE]
    if is_numbers(getattr(config, "depths", None)):
        found += [width for width in (getattr(config, "embed_dim", None),) if isinstance(width, int)]
    return found


def _shrunk(config: Any, plain: Any, scale: _Scale) -> Any:
    """Return a configuration of the same class with every field small; ``plain`` is what the class itself would say."""
    fields = {field.name: field for field in dataclasses.fields(config)} if dataclasses.is_dataclass(config) else {}
    values: dict[str, Any] = {}
    for name, field in fields.items():
        if not field.init or name.startswith("_"):
            continue
        given = field.default
        if given is dataclasses.MISSING:
            given = field.default_factory() if field.default_factory is not dataclasses.MISSING else None
        now = _read(config, name)
        if now is None and name in _OPEN:
            values[name] = _OPEN[name]
        elif now is None and scale.variant.fill:
            small = _filled(name, str(field.type), config, scale)
            values.update({} if small is _KEEP else {name: small})
        elif _is_config(now):
            values[name] = _shrunk(now, _plain(type(now)), scale)
        elif isinstance(now, dict) and given is None and name.endswith("rope_parameters"):
            values[name] = _rope(now or _rope_of_kinds(config, scale), config)
        else:
            # What the configuration around it has set stays set; what a class leaves open it works out from the rest.
            # A name may be that of an architecture which has one size: the smallest variants take the class's own.
            set_around = now is not None and plain is not None and _read(plain, name) != now
            set_around = set_around and not (scale.fixed and isinstance(given, str))
            numbers = _is_table(now) or _is_choice(name, now)
            small = _small(name, now, config, scale) if given is not None or set_around or numbers else _KEEP
            if small is not _KEEP or set_around:
                values[name] = now if small is _KEEP else small
    values.update(_geometry(config, values, scale))
    values.update(_switches(config, plain, fields))
    values.update(_features(config, plain, scale))
    if "use_cache" in fields:
        values["use_cache"] = False
    if scale.variant.decoder and "is_decoder" in fields:
        values["is_decoder"] = True
    return type(config)(**values)


def _switches(config: Any, plain: Any, fields: Container[str]) -> dict[str, bool]:
    """Return the switches that are no field of the class and that the configuration around it has set."""
    if plain is None:
        return {}
    free = {name: item for name, item in vars(config).items() if name not in fields and not name.startswith("_")}
    return {name: item for name, item in free.items() if isinstance(item, bool) and vars(plain).get(name) != item}


def _read(config: Any, name: str) -> Any:
    try:
        return getattr(config, name, None)
    except Exception:  # a field that differs from layer to layer may be read by layer only
        return vars(config).get(name)


def _plain(kind: type[Any]) -> Any:
    try:
        return kind()
    except Exception:  # a class that needs arguments has no defaults of its own
        return None


_KEEP: Any = object()


def _small(name: str, value: Any, config: Any, scale: _Scale) -> Any:
    if name == "initializer_range" and isinstance(value, float) and value < LEAST_SPREAD:
        return SPREAD
    if isinstance(value, (bool, str, dict)) or value is None or isinstance(value, float):
        return _KEEP
    if isinstance(value, int):
        return _small_number(name, value, config, scale)
    if isinstance(value, (list, tuple)) and value:
        return _small_list(name, value, config, scale)
    return _KEEP


def _small_number(name: str, value: int, config: Any, scale: _Scale) -> Any:
    if is_token(name):
        return value if value < 0 else scale.token(name)
    hierarchical = hasattr(config, "depths") and name in ("embed_dim", "embedding_size", "hidden_size", "num_features")
    if hierarchical and scale.fixed:
        return scale.stage(value)
    rule = rule_of(name)
    if rule is None or value <= 0:
        return _KEEP
    if rule.kind is Kind.COUNT:
        return min(value, rule.value)
    if rule.kind is Kind.LAYERS:
        layers = scale.layers(config)
        return _KEEP if layers is None or value in _stages(config) else min(value, layers)
    if rule.kind is Kind.KEPT or (rule.kind is Kind.DETAIL and not scale.fixed):
        return _KEEP
    if not scale.fixed:
        return scale.divided(value, 1 if rule.kind is Kind.HEADS or "groups" in name else None)
    if name == "window_size" and value > WIDTH:  # in pixels, or in frames
        return _KEEP
    if rule.kind is Kind.HEADS and not scale.variant.heads:
        return _KEEP
    return min(value, scale.variant.inner if rule.value == INNER else rule.value)


def _stages(config: Any) -> set[int]:
    """Return the numbers of stages that lists of depths and widths speak of: lists and number must agree."""
    lists = [item for name, item in vars(config).items() if is_numbers(item) and name in ("depths", "hidden_sizes")]
    return {len(item) for item in lists}


def _depth(config: Any) -> int | None:
    """Return the number of layers that a configuration names."""
    for name, item in vars(config).items():
        rule = rule_of(name)
        if rule is not None and rule.kind is Kind.LAYERS and type(item) is int:
            return item
    return None


def _is_choice(name: str, value: Any) -> bool:
    """Say whether a value names a few layers of a model."""
    return bool(re.search(LAYER_NUMBERS, name)) and is_numbers(value) and len(value) <= MOST_STAGES


def _is_table(value: Any) -> bool:
    """Say whether a value is a list of pairs: heights and widths."""
    return (
        isinstance(value, (list, tuple)) and bool(value) and all(is_numbers(item) and len(item) == 2 for item in value)
    )


def _small_list(name: str, value: Sequence[Any], config: Any, scale: _Scale) -> Any:
    kind: Any = type(value)
    layers, before = scale.layers(config), _depth(config)
    if all(isinstance(item, str) for item in value):
        # The first kinds of layers and, where there is one, another.
        if layers is None or ("type" not in name and "pattern" not in name):
            return _KEEP
        head = list(value[:layers])
        other = next((item for item in value if item != value[0]), value[0])
        return kind(head if other in head else [*head[:-1], other])
    if _is_table(value) and name.endswith("sizes"):
        return [[max(1, round(side * scale.image_ratio)) for side in pair] for pair in value]
    if not is_numbers(value):
        return _KEEP
    if re.search(STAGE_DEPTHS, name):
        return kind(min(item, 2 if place in (0, len(value) - 2) else 1) for place, item in enumerate(value))
    if layers is not None and len(value) == before and before > MOST_STAGES:
        return kind(value[:layers])
    if layers is not None and re.search(LAYER_NUMBERS, name):
        return _KEEP if hasattr(config, "depths") else kind(renumbered(value, layers, before))
    return _small_widths(name, value, scale)


def _small_widths(name: str, value: Sequence[Any], scale: _Scale) -> Any:
    kind: Any = type(value)
    widths = re.search(STAGE_WIDTHS, name) or re.search(OTHER_WIDTHS, name)
    if scale.variant.widths == "divided" and (widths or re.search(HEAD_LISTS, name)):
        least = None if widths else 1
        return kind(scale.divided(item, least) if isinstance(item, int) else item for item in value)
    if not scale.fixed:
        return _KEEP
    if re.search(STAGE_WIDTHS, name):
        return kind(scale.stage(item) for item in value)
    if re.search(HEAD_LISTS, name) and scale.variant.shrink_lists:
        return kind(2 if item > 1 else 1 for item in value)
    if widths and scale.variant.shrink_lists:
        return kind(min(item, WIDTH // 2) if item > 3 else item for item in value)
    return _KEEP


def _features(config: Any, plain: Any, scale: _Scale) -> dict[str, Any]:
    """Return which stages a backbone hands on, where the configuration around it has said so."""
    taken = getattr(config, "_out_indices", None)
    if taken is None or plain is None or taken == getattr(plain, "_out_indices", None):
        return {}
    layers, before = scale.layers(config), _depth(config)
    if before is None and scale.fixed and layers is not None:  # a backbone of timm's, which is as wide as it is
        return {"out_indices": renumbered(taken, min(layers, LAYERS), None)}
    if layers is None or before is None or len(config.stage_names) != before + 1 or hasattr(config, "depths"):
        return {"out_indices": list(taken)}
    return {"out_indices": renumbered(taken, min(layers, before), before)}


def _filled(name: str, annotation: str, config: Any, scale: _Scale) -> Any:
    """Return a value for what a class leaves open and does not work out either."""
    layers = scale.layers(config) or LAYERS
    if name in _KINDS_OF_LAYERS:
        kinds = _KINDS_OF_LAYERS[name]
        return [kinds[place % len(kinds)] for place in range(layers)]
    if name == "rope_parameters":
        return dict(_ROPE)
    if "int" not in annotation or "list" in annotation or "tuple" in annotation:
        return _KEEP
    if is_token(name):
        return scale.token(name)
    rule = rule_of(name)
    return _KEEP if rule is None or not rule.value else rule.value


def _rope_of_kinds(config: Any, scale: _Scale) -> dict[str, Any]:
    """Return rotary embeddings for each kind of layers of a class that leaves them open; none before it is filled."""
    kinds = getattr(config, "layer_types", None) or ()
    return {kind: dict(_ROPE) for kind in kinds} if scale.variant.fill else {}


def _rope(parameters: dict[str, Any], config: Any) -> dict[str, Any]:
    """Shrink the sections of a multi-axis rotary embedding to the width of a tiny head; the rest stays."""
    small = copy.deepcopy(parameters)
    nested = [item for item in small.values() if isinstance(item, dict)]
    holders = [small, *nested]
    for holder in holders:
        if "mrope_section" in getattr(config, "ignore_keys_at_rope_validation", ()) and "rope_type" in holder:
            holder.setdefault("mrope_section", [1, 1, 1])  # the model's own default is that of a wide head
        section = holder.get("mrope_section")
        if section:
            share = float(holder.get("partial_rotary_factor") or 1.0)
            holder["mrope_section"] = _split(max(int(HEAD_WIDTH * share) // 2, 1), section)
    return small


def _split(total: int, weights: Sequence[int]) -> list[int]:
    """Divide ``total`` in the proportions of ``weights``; the last takes what is left."""
    if len(weights) > total:
        return [1] * len(weights)
    shares = [max(1, math.floor(total * weight / sum(weights))) for weight in weights]
    shares[-1] += total - sum(shares)
    return shares


def _geometry(config: Any, values: dict[str, Any], scale: _Scale) -> dict[str, Any]:
    """Return the sizes of images and patches: few patches, and stages that still have pixels."""
    size = getattr(config, "image_size", None)
    if size is None or "image_size" not in {field.name for field in dataclasses.fields(config)}:
        return {}
    side = _side(config, scale.variant)
    return {"image_size": type(size)([side] * len(size)) if isinstance(size, (list, tuple)) else side}


def _side(config: Any, variant: Variant) -> int:
    size, patch = config.image_size, getattr(config, "patch_size", None)
    patch = patch[0] if isinstance(patch, (list, tuple)) and patch else patch
    hierarchical = any(hasattr(config, name) for name in ("depths", "hidden_sizes", "strides", "embed_dims"))
    unit = patch if isinstance(patch, int) and not hierarchical else STAGE
    side = unit * variant.image
    whole = size[0] if isinstance(size, (list, tuple)) else size
    return min(side, whole) if isinstance(whole, int) else side


def _image_ratio(config: Any, variant: Variant) -> float:
    """Return by how much images shrink, and with them all the sizes of feature maps."""
    for part in sorted(parts(config), key=lambda part: not hasattr(part, "patch_size")):
        size = getattr(part, "image_size", None)
        whole = size[0] if isinstance(size, (list, tuple)) and size else size
        if isinstance(whole, int) and whole and dataclasses.is_dataclass(part):
            return _side(part, variant) / whole
    return 1.0
