"""Seeded inputs made from a card's input signature: ordinary samples and probes."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from zoo.errors import UserError

Feed = dict[str, np.ndarray]

# The dtypes a signature may name, as ONNX and NumPy spell them.
DTYPES = (
    "float32", "float64", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool",
)  # fmt: skip
# Values are drawn in this many standard deviations by the probes that look for overflow and underflow.
LARGE, SMALL = 32.0, 1e-3
# Sides of the squares that a scene is made of, in pixels.
SCENE_SQUARES = (1, 4, 16, 64)
# Heights of the constant and of the ramp, in standard deviations, one for each sample in turn.
PROBE_LEVELS = (0.5, -0.75, 1.25, -0.3)
# Noise on the constant, relative to it. Of equal numbers every partial sum rounds the same way, so that the order in
# which a runtime adds decides by a factor of the root of their number: 20 on RegNet's first mean over 112 x 112.
UNEVEN = 0.01


@dataclass(frozen=True)
class InputSpec:
    """One input of a model.

    Attributes:
        name: Name in the graph.
        dtype: One of :data:`DTYPES`.
        shape: Integers, and names for symbolic dimensions.
        kind: ``image``, ``scene``, ``tokens``, ``mask``, ``segments``, ``positions``, ``boxes`` ...; how values are
            drawn.
        low: Smallest value of an integer input.
        high: One more than the largest value of an integer input.
        mean: Mean of a floating-point input.
        std: Standard deviation of a floating-point input.
        sizes: The size used for a symbolic dimension when nothing else says; by name.
        least: The least size of a symbolic dimension, where it is above 2; by name.
        prefix: What every row of an integer input begins with: the placeholder tokens of an image, say.
    """

    name: str
    dtype: str
    shape: tuple[int | str, ...]
    kind: str = "features"
    low: int = 0
    high: int = 2
    mean: float = 0.0
    std: float = 1.0
    sizes: Mapping[str, int] = field(default_factory=dict)
    prefix: tuple[int, ...] = ()
    least: Mapping[str, int] = field(default_factory=dict)

    def to_card(self) -> dict[str, Any]:
        """Return the card's entry; defaults are left out."""
        entry: dict[str, Any] = {
            "name": self.name, "dtype": self.dtype, "shape": list(self.shape), "kind": self.kind,
        }  # fmt: skip
        if is_integer(self.dtype):
            entry["low"], entry["high"] = self.low, self.high
        elif self.dtype != "bool":
            entry["mean"], entry["std"] = self.mean, self.std
        if self.sizes:
            entry["sizes"] = dict(self.sizes)
        if self.least:
            entry["least"] = dict(self.least)
        if self.prefix:
            entry["prefix"] = list(self.prefix)
        return entry

    @staticmethod
    def from_card(entry: Mapping[str, Any]) -> InputSpec:
        """Read the card's entry; unknown keys are ignored.

        Raises:
            UserError: If the entry has no name, no shape or no known dtype.
        """
        keys = ("kind", "low", "high", "mean", "std", "sizes", "least")
        try:
            known = {key: entry[key] for key in keys if key in entry}
            if "prefix" in entry:
                known["prefix"] = tuple(int(token) for token in entry["prefix"])
            spec = InputSpec(entry["name"], entry["dtype"], tuple(entry["shape"]), **known)
        except (KeyError, TypeError, ValueError) as error:
            raise _unreadable(entry) from error
        if spec.dtype not in DTYPES or not all(isinstance(dim, (int, str)) for dim in spec.shape):
            raise _unreadable(entry)
        return spec

    def static_shape(self, sizes: Mapping[str, int]) -> tuple[int, ...]:
        """Return the shape with symbolic dimensions replaced: by ``sizes``, then by the spec's own sizes."""
        return tuple(dim if isinstance(dim, int) else int(sizes.get(dim, self.sizes.get(dim, 2))) for dim in self.shape)


def _unreadable(entry: Any) -> UserError:
    return UserError(
        "an input of the card cannot be read",
        expected=f"a mapping with name, shape and dtype (one of {', '.join(DTYPES)})",
        got=repr(entry)[:120],
    )


def is_integer(dtype: str) -> bool:
    """Say whether ``dtype`` (as in a card) is an integer type."""
    return dtype.startswith(("int", "uint"))


def numpy_dtype(name: str) -> np.dtype[Any]:
    """Return the NumPy dtype for a card's name; ``bfloat16`` comes from ml_dtypes."""
    if name == "bfloat16":
        import ml_dtypes

        bfloat16: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
        return bfloat16
    return np.dtype(name)


def guess_kind(name: str, dtype: str, shape: Sequence[int | str]) -> str:
    """Return how values of an input are to be drawn, from its name, dtype and rank."""
    lower = name.lower()
    if "mask" in lower:
        return "mask"
    if is_integer(dtype) and "type" in lower:
        return "segments"
    if is_integer(dtype) and "position" in lower:
        return "positions"
    if is_integer(dtype):
        return "tokens"
    if len(shape) == 4 and (shape[1] in (1, 3, 4) or shape[-1] in (1, 3, 4)):
        return "image"
    return "features"


def sample(specs: Sequence[InputSpec], seed: int, case: int = 0, sizes: Mapping[str, int] | None = None) -> Feed:
    """Return one seeded feed.

    The values depend on the seed, the case and the input's name only, so that adding an input changes no other.
    """
    return {spec.name: _draw(spec, _generator(spec, seed, case), sizes or {}) for spec in specs}


def probes(specs: Sequence[InputSpec], seed: int, sizes: Mapping[str, int] | None = None) -> dict[str, Feed]:
    """Return the probe feeds: ``small``, ``large``, ``constant`` and ``ramp``; integer inputs stay ordinary.

    A model without floating-point inputs is probed at the ends of its integer ranges instead: ``low``, ``high``.
    """
    ordinary = sample(specs, seed, 1_000_003, sizes)
    floats = [spec for spec in specs if spec.dtype not in ("bool",) and not is_integer(spec.dtype)]
    if not floats:
        return {name: _integer_ends(specs, ordinary, name) for name in ("low", "high")}
    result = {}
    for name in ("small", "large", "constant", "ramp"):
        feed = dict(ordinary)
        for spec in floats:
            feed[spec.name] = _probe(spec, ordinary[spec.name], name)
        result[name] = feed
    return result


def _probe(spec: InputSpec, values: np.ndarray, name: str) -> np.ndarray:
    wide = values.astype(np.float64)
    if name == "small":
        wide = wide * SMALL
    elif name == "large":
        wide = wide * LARGE
    else:
        # Every sample its own level: on such inputs all roundings go the same way, and one sample is one draw of them.
        samples = wide.shape[0] if wide.ndim else 1
        levels = np.resize(PROBE_LEVELS, samples).reshape((-1,) + (1,) * max(wide.ndim - 1, 0))
        shape = 1 + UNEVEN * (wide - spec.mean) / (spec.std or 1) if name == "constant" else _ramp(wide.shape)
        wide = shape * levels * spec.std + spec.mean if wide.ndim else shape * spec.std + spec.mean
    return wide.astype(values.dtype)


def _ramp(shape: tuple[int, ...]) -> np.ndarray:
    inner = int(np.prod(shape[1:])) if len(shape) > 1 else 1
    ramp: np.ndarray = np.broadcast_to(np.linspace(-2, 2, inner).reshape(shape[1:]), shape)
    return ramp


def _integer_ends(specs: Sequence[InputSpec], ordinary: Feed, end: str) -> Feed:
    feed = dict(ordinary)
    for spec in specs:
        if spec.kind == "tokens":
            whole = np.full_like(ordinary[spec.name], spec.low if end == "low" else spec.high - 1)
            feed[spec.name] = _prefixed(spec, whole)
    return feed


def _generator(spec: InputSpec, seed: int, case: int) -> np.random.Generator:
    if seed < 0:
        raise UserError("the seed is negative", place="--seed", expected="0 or more", got=seed)
    # crc32 and not hash(): Python salts hash() anew in every process.
    return np.random.default_rng([seed, case, zlib.crc32(spec.name.encode())])


def _draw(spec: InputSpec, random: np.random.Generator, sizes: Mapping[str, int]) -> np.ndarray:
    shape = spec.static_shape(sizes)
    dtype = numpy_dtype(spec.dtype)
    if spec.kind == "mask":
        return _padding_mask(shape, random).astype(dtype)
    if spec.kind == "positions":
        return np.broadcast_to(np.arange(shape[-1]), shape).astype(dtype)
    if spec.dtype == "bool":
        return random.integers(0, 2, shape).astype(bool)
    if spec.kind == "boxes":
        return _boxes(random.integers(spec.low, spec.high, shape)).astype(dtype)
    if is_integer(spec.dtype):
        return _prefixed(spec, random.integers(spec.low, spec.high, shape).astype(dtype))
    noise = _scene(shape, random) if spec.kind == "scene" else random.standard_normal(shape)
    return (noise * spec.std + spec.mean).astype(dtype)


def _scene(shape: tuple[int, ...], random: np.random.Generator) -> np.ndarray:
    """Return noise of unit variance with as much in large squares as in small ones, as pictures have.

    Deep features of white noise are the same everywhere: a model that looks for things in a picture finds nothing in it
    that is any better than the rest.
    """
    height, width = shape[-2:]
    total = np.zeros(shape)
    for side in SCENE_SQUARES:
        coarse = random.standard_normal((*shape[:-2], -(-height // side), -(-width // side)))
        total += coarse.repeat(side, axis=-2).repeat(side, axis=-1)[..., :height, :width]
    unit: np.ndarray = total / len(SCENE_SQUARES) ** 0.5
    return unit


def _prefixed(spec: InputSpec, values: np.ndarray) -> np.ndarray:
    if spec.prefix:
        values[..., : len(spec.prefix)] = np.asarray(spec.prefix)[: values.shape[-1]]
    return values


def _boxes(corners: np.ndarray) -> np.ndarray:
    # (x0, y0, x1, y1) with x0 <= x1 and y0 <= y1, as models of documents take for granted.
    return np.concatenate(
        [np.minimum(corners[..., :2], corners[..., 2:]), np.maximum(corners[..., :2], corners[..., 2:])], -1
    )


def _padding_mask(shape: tuple[int, ...], random: np.random.Generator) -> np.ndarray:
    # The first row is whole, the others end in padding of a random length; at least one token stays.
    if len(shape) != 2:
        return np.ones(shape)
    lengths = random.integers(max(1, shape[1] // 2), shape[1] + 1, shape[0])
    lengths[0] = shape[1]
    return np.arange(shape[1])[None, :] < lengths[:, None]


def moved(feed: Feed, seed: int) -> Feed:
    """Return the feed with every floating-point value moved to a neighbour (one ULP), up or down."""
    random = np.random.default_rng([seed, 77])
    result = {}
    for name, array in feed.items():
        if array.dtype.kind == "f":
            up = random.integers(0, 2, array.shape).astype(bool)
            neighbour = np.where(up, np.nextafter(array, np.inf), np.nextafter(array, -np.inf))
            result[name] = neighbour.astype(array.dtype)
        else:
            result[name] = array
    return result


def parse_input(text: str) -> InputSpec:
    """Parse ``NAME=SHAPE:DTYPE``, e.g. ``x=batch,3,224,224:float32``; letters make a dimension symbolic.

    Raises:
        UserError: If the text has another form.
    """
    name, equals, rest = text.partition("=")
    dims, colon, dtype = rest.partition(":")
    dtype = dtype if colon else "float32"
    shape = [dim.strip() for dim in (dims.replace("x", ",") if dims[:1].isdecimal() else dims).split(",")]
    legal = all(dim.isdecimal() or dim.isidentifier() for dim in shape)
    if not (name and equals and dims and legal) or dtype not in DTYPES:
        raise UserError(
            f"--input {text!r} cannot be read",
            expected=f"NAME=SHAPE:DTYPE such as x=batch,3,224,224:float32 (dtypes: {', '.join(DTYPES)})",
            got=text,
        )
    sized = tuple(int(dim) if dim.isdecimal() else dim for dim in shape)
    return InputSpec(name, dtype, sized, guess_kind(name, dtype, sized))
