"""Inputs of any name: their shapes from the documentation of ``forward``, their sizes from the configuration."""

from __future__ import annotations

import inspect
import itertools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from porters.pytorch.hub.fields import FIRST_ORDINARY_TOKEN
from porters.pytorch.hub.modalities import IMAGE, LENGTH, TARGET, setting, text_width
from porters.pytorch.hub.tiny import parts
from zoo.inputs import InputSpec

# How far behind its name the shape of an argument is looked for.
_HEADER = 400
_SHAPE = re.compile(r"(?:shape:?|or)\s+`*[(\[]((?:[^()\[\]]|\([^()]*\))*)[)\]]")
# What a message may name and what is yet no help: other forms of what is given, and switches.
_NEVER = r"inputs_embeds$|labels$|^past_|^output_|^return_|^use_|_values_cache$|_kwargs$"
# How torch says that two sizes do not go together.
_MISFITS = (
    r"cannot be multiplied \(\d+x(\d+) and (\d+)x\d+\)",
    r"size of tensor a \((\d+)\) must match the size of tensor b \((\d+)\)",
    r"to have (\d+) channels, but got (\d+) channels",
)
_LENGTH = re.compile(r"len(gth)?$|frames|seq|num_samples|time|steps|num_tokens|context|num_patches")


def required(parameters: Mapping[str, Any]) -> list[str]:
    """Return the arguments that have no default."""
    return [
        name
        for name, item in parameters.items()
        if item.default is item.empty and item.kind not in (item.VAR_KEYWORD, item.VAR_POSITIONAL)
    ]


def demanded(model: Any) -> list[str]:
    """Return the tensors that ``forward`` cannot do without: by its signature, or else by its documentation."""
    parameters = inspect.signature(model.forward).parameters
    found = required(parameters)
    if found:
        return found
    for name in parameters:
        header = _header(model, name, parameters)
        plain = "Tensor" in header and "optional" not in header and bool(_shapes(header))
        if (plain and "position" not in name) or name == getattr(model, "main_input_name", None):
            found.append(name)
    return found


def named_in(error: BaseException, model: Any) -> list[str]:
    """Return the tensors among the arguments of ``forward`` that a message names: what it misses."""
    parameters = inspect.signature(model.forward).parameters
    words = set(re.findall(r"\w+", str(error)))
    return [name for name in parameters if name in words and "_" in name and not re.search(_NEVER, name)]


def sizes_in(error: BaseException, longest: int) -> list[tuple[int, int]]:
    """Return pairs of a size that a message complains of and the one it wants; ``longest`` is the longest given."""
    text = re.sub(r"`[^`]*`", "", str(error))
    found = []
    for pattern in _MISFITS:
        for one, other in re.findall(pattern, text):
            found += [(int(one), int(other)), (int(other), int(one))]
    unit = re.search(r"multiple of\D*?\(?(\d+)\b", text)
    if unit and int(unit[1]) and longest % int(unit[1]):
        found.append((longest, -(-longest // int(unit[1])) * int(unit[1])))
    return found


def specs_of(model: Any, name: str) -> list[InputSpec]:
    """Return the inputs that an argument may be, the documented shapes first."""
    parameters = inspect.signature(model.forward).parameters
    header = _header(model, name, parameters)
    said = f"{parameters[name].annotation} {header}"
    shapes = [shape for text in _shapes(header) if (shape := _shape(model.config, text)) is not None]
    dtype = _dtype(name, said)
    shapes += _usual(model, name, dtype)
    return [_spec(model, name, dtype, shape) for shape in dict.fromkeys(shapes)]


def combinations(model: Any, names: Sequence[str]) -> Iterator[list[InputSpec]]:
    """Yield one input for each of the named arguments."""
    for chosen in itertools.product(*(specs_of(model, name) for name in names)):
        yield list(chosen)


def _header(model: Any, name: str, parameters: Mapping[str, Any]) -> str:
    """Return what the documentation says of an argument, up to the next one."""
    text = model.forward.__doc__ or ""
    text = text.split("Returns:")[0]
    start = re.search(rf"^\s*{name}\b\s*[(:]", text, re.MULTILINE)
    if start is None:
        return ""
    rest = text[start.end() - 1 :][:_HEADER]
    others = "|".join(re.escape(item) for item in parameters if item != name)
    end = re.search(rf"^\s*(?:{others})\b\s*[(:]", rest, re.MULTILINE) if others else None
    return rest[: end.start()] if end else rest


def _shapes(header: str) -> list[list[str]]:
    found = []
    for text in _SHAPE.findall(header):
        plain = re.sub(r"\([^()]*\)", "", text).replace("`", "")
        dims = [dim.strip() for dim in plain.split(",")]
        found.append([dim for dim in dims if dim])
    return [dims for dims in found if dims]


def _shape(config: Any, dims: Sequence[str]) -> tuple[int | str, ...] | None:
    shape: list[int | str] = []
    for place, dim in enumerate(dims):
        size = _size(config, dim.removeprefix("self.").removeprefix("config.").lower(), place)
        if size is None:
            return None
        shape.append(size)
    return tuple(shape)


def _size(config: Any, dim: str, place: int) -> int | str | None:
    """Return what a name of a dimension stands for, or None where it is a formula."""
    if dim.isdecimal():
        return int(dim)
    if "*" in dim:  # samples times something: of one sample
        sizes = [_size(config, factor.strip(), place) for factor in dim.split("*")]
        known = [1 if size == "batch" else size for size in sizes if isinstance(size, int) or size == "batch"]
        return math.prod(known) if len(known) == len(sizes) else None
    if not dim.isidentifier():
        return None
    if dim.startswith("batch") or dim == "bsz" or (place == 0 and not dim.startswith("num")):
        return "batch"
    side = setting(config, "image_size", "input_size", "img_size", default=IMAGE)
    if dim in ("height", "width", "image_size", "h", "w"):
        ends = list(side) if isinstance(side, (list, tuple)) else [side]
        return int(ends[0] if dim in ("height", "h") else ends[-1])
    known = setting(config, dim)
    if isinstance(known, int) and not isinstance(known, bool):
        return known
    if _LENGTH.search(dim):
        return "target" if "target" in dim or "decoder" in dim else "sequence"
    if dim in ("num_channels", "channels"):
        return int(setting(config, "num_channels", "in_channels", default=3))
    return _like(config, dim) or (2 if dim.startswith("num") else None)


def _like(config: Any, dim: str) -> int | None:
    """Return the size that a configuration names by a part of a dimension's name."""
    stem = re.sub(r"_?(dim|size|width|features?)$", "", dim)
    for part in parts(config):
        for name, item in vars(part).items():
            if stem and stem in name and type(item) is int and re.search(r"(dim|size|width|features|bins)$", name):
                return item
    return _width(config) if re.search(r"(dim|size|width)$|hidden|embed|feature", dim) else None


def _width(config: Any) -> int:
    """Return how wide the hidden states are."""
    return int(setting(config, "hidden_size", "d_model", "n_embd", default=1))


def _usual(model: Any, name: str, dtype: str) -> list[tuple[int | str, ...]]:
    """Return the shapes that arguments without documentation mostly have."""
    if dtype != "float32":
        return [("batch", "sequence"), ("batch",)]
    width, like = text_width(model), _like(model.config, name)
    found: list[tuple[int | str, ...]] = [("batch", like)] if like is not None and like != width else []
    return [*found, ("batch", "sequence", width), ("batch", width, "sequence"), ("batch", width), ("batch",)]


def _dtype(name: str, said: str) -> str:
    if re.search(r"(Long|Int)Tensor", said) or re.search(r"_ids?$|_codes$", name):
        return "int64"
    if "BoolTensor" in said:
        return "bool"
    if name.endswith("mask"):
        return "int64"
    return "float32"


def _spec(model: Any, name: str, dtype: str, shape: tuple[int | str, ...]) -> InputSpec:
    sizes = {dim: size for dim, size in (("sequence", LENGTH), ("target", TARGET)) if dim in shape}
    if name.endswith("mask"):
        return InputSpec(name, dtype, shape, "mask", sizes=sizes)
    if dtype != "int64":
        image = len(shape) >= 4 and "pixel" in name
        return InputSpec(name, dtype, shape, "image" if image else "features", sizes=sizes)
    if re.search(r"position|timestep", name):
        return InputSpec(name, dtype, shape, "positions", high=LENGTH, sizes=sizes)
    codes = setting(model.config, "codebook_size") if "code" in name and "decoder" not in name else None
    high = int(codes or setting(model.config, "vocab_size", default=2))
    low = FIRST_ORDINARY_TOKEN if name.endswith("_ids") and high > FIRST_ORDINARY_TOKEN else 0
    if "type" in name:
        return InputSpec(name, dtype, shape, "segments", high=2, sizes=sizes)
    return InputSpec(name, dtype, shape, "tokens", low=low, high=high, sizes=sizes)
