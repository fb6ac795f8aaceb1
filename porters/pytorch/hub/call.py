"""What a model of transformers is called with: a signature that the original itself accepts, and fixed arguments."""

from __future__ import annotations

import functools
import inspect
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from porters.pytorch.hub import modalities
from porters.pytorch.hub.modalities import Part, Placeholder
from porters.pytorch.original import named_outputs, to_tensor
from zoo.errors import UserError
from zoo.inputs import InputSpec, sample

# Candidates tried before a model counts as one that cannot be called.
MOST_CANDIDATES = 96
# Sizes that the original must accept before its dimensions are taken for free: two batches and two lengths.
_TRIALS = ({"batch": 2}, {"batch": 1, "sequence": 0, "target": 0})


@dataclass(frozen=True)
class Call:
    """How a model is called.

    Attributes:
        inputs: The signature.
        constants: Arguments that are the same in every call: integers whose values decide shapes, and switches.
        notes: Sentences for the card.
    """

    inputs: list[InputSpec]
    constants: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


class Bound:
    """A forward pre-hook that adds fixed arguments to every call; the model's code and weights are left alone."""

    def __init__(self, constants: Mapping[str, Any]) -> None:
        self.constants = dict(constants)

    def __call__(self, module: Any, args: Any, kwargs: Any) -> tuple[Any, Any]:
        """Return the arguments of a call with the fixed ones among them; those of the caller win."""
        import torch

        fixed = {
            name: torch.tensor(item, dtype=torch.int64) if isinstance(item, list) else item
            for name, item in self.constants.items()
        }
        return args, {**fixed, **kwargs}


def bind(model: Any, constants: Mapping[str, Any]) -> None:
    """Give a model its fixed arguments; torch.export must not ask for those that ``forward`` demands."""
    model.register_forward_pre_hook(Bound(constants), with_kwargs=True)
    demanded = [name for name in _required(inspect.signature(model.forward).parameters) if name in constants]
    if demanded:
        model.forward = functools.partial(model.forward, **dict.fromkeys(demanded))


def find_call(model: Any) -> Call:
    """Return the first signature, the most telling ones first, that the original runs on.

    Raises:
        UserError: If it runs on none of them.
    """
    parameters = inspect.signature(model.forward).parameters
    switches = {"use_cache": False} if "use_cache" in parameters else {}
    problem: Exception | None = None
    tried = 0
    for parts in _combinations(model, parameters):
        for call in _placed(model, parts, switches):
            if tried >= MOST_CANDIDATES:
                break
            tried += 1
            try:
                _try(model, call)
            except Exception as error:
                problem = problem or error
                continue
            return call
    said = "" if problem is None else f"{type(problem).__name__}: {str(problem).strip().splitlines()[0:1]}"
    raise UserError(
        "no signature is known that the model accepts",
        place=type(model).__name__,
        expected="inputs for " + ", ".join(_required(parameters) or list(parameters)[:6]),
        got=said or "nothing to try",
        hint="give the inputs by --input",
    ) from problem


def _required(parameters: Mapping[str, Any]) -> list[str]:
    return [
        name
        for name, item in parameters.items()
        if item.default is item.empty and item.kind not in (item.VAR_KEYWORD, item.VAR_POSITIONAL)
    ]


def _combinations(model: Any, parameters: Mapping[str, Any]) -> Iterator[list[Part]]:
    """Yield one part for each modality that ``forward`` has arguments for."""
    names = list(parameters)
    found = [list(options) for options in modalities.options(model, names, _required(parameters)) if options]
    if not found:
        return
    # Signatures that leave an optional modality out come last.
    yield from itertools.product(*found)


def _placed(model: Any, parts: Sequence[Part], switches: Mapping[str, Any]) -> Iterator[Call]:
    """Yield calls with placeholder tokens in the text for what the other parts stand for, symbolic sizes first."""
    specs = [spec for part in parts for spec in part.specs]
    constants = {key: item for part in parts for key, item in part.constants.items()}
    notes = [f"{name} is fixed to {item}: its values decide shapes" for name, item in constants.items()]
    holders = [part.placeholder for part in parts if part.placeholder is not None]
    text = next((spec for spec in specs if spec.name == "input_ids"), None)
    if not holders or text is None:
        whole = [*specs]
        yield Call(whole, {**constants, **switches}, notes)
        yield Call([_fixed(spec) for spec in whole], {**constants, **switches}, notes)
        return
    fixed = {**constants, **switches}
    for counts in itertools.product(*(_counts(model, holder, specs, fixed) for holder in holders)):
        pairs = list(zip(holders, counts, strict=True))
        prefix = tuple(token for holder, count in pairs for token in holder.tokens(count))
        types = tuple(kind for holder, count in pairs for kind in holder.types(count))
        length = 2 * (len(prefix) + 6)
        placed = [_with_prefix(spec, prefix, types, length) for spec in specs]
        yield Call(placed, fixed, notes)
        yield Call([_fixed(spec) for spec in placed], fixed, notes)


def _with_prefix(spec: InputSpec, prefix: tuple[int, ...], types: tuple[int, ...], length: int) -> InputSpec:
    if "sequence" not in spec.shape:
        return spec
    spec = replace(spec, sizes={**spec.sizes, "sequence": length})
    if spec.name == "input_ids":
        return replace(spec, prefix=prefix)
    return replace(spec, prefix=types) if spec.name == "mm_token_type_ids" else spec


def _fixed(spec: InputSpec) -> InputSpec:
    """Return the input with every symbolic size but the batch fixed."""
    return replace(
        spec, shape=tuple(dim if isinstance(dim, int) or dim == "batch" else spec.sizes[dim] for dim in spec.shape)
    )


def _counts(model: Any, holder: Placeholder, specs: Sequence[InputSpec], constants: Mapping[str, Any]) -> Sequence[int]:
    """Return how many tokens one sample of a part may stand for, from what the model says of a single one."""
    prefix, types = tuple(holder.tokens(1)), tuple(holder.types(1))
    probe = [_with_prefix(spec, prefix, types, 2 * (len(prefix) + 6)) for spec in specs]
    try:
        outputs = named_outputs(_run(model, Call(probe, dict(constants)), {"batch": 1}))
    except Exception as error:
        said = re.search(r"(?:features|embeddings)\D{0,20}?(\d+)", str(error))
        if said is None:
            return [holder.usual]
        count, width = int(said[1]), modalities.text_width(model)
        # Some count rows of features, some elements.
        return [count // width, count] if count % width == 0 and count > width else [count]
    # A model may put the features in the place of a single token itself, which it does not while it is traced.
    logits = outputs.get("logits")
    grown = logits.shape[1] - 2 * (len(prefix) + 6) if logits is not None and logits.dim() == 3 else 0
    return [1 + grown] if grown > 0 else [1]


def _try(model: Any, call: Call) -> None:
    """Run the original at two sizes.

    Raises:
        Exception: What it raises, or that it returned no tensor or no finite number.
    """
    for sizes in _TRIALS:
        usual = {name: size for spec in call.inputs for name, size in spec.sizes.items()}
        chosen = {name: size if size else max(2, usual.get(name, 2) // 2) for name, size in sizes.items()}
        outputs = named_outputs(_run(model, call, chosen))
        if not outputs:
            raise ValueError("the model returns no tensor")
    if not any(bool(item.isfinite().all()) for item in outputs.values()):
        raise ValueError("every output of the model has infinities or NaN")


def _run(model: Any, call: Call, sizes: Mapping[str, int]) -> Any:
    import torch

    feed = {name: to_tensor(array) for name, array in sample(call.inputs, 0, 0, sizes).items()}
    _, kwargs = Bound(call.constants)(model, (), feed)
    with torch.no_grad():
        return model(**kwargs)
