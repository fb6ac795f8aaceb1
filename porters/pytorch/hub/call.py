"""What a model of transformers is called with: a signature that the original itself accepts, and fixed arguments."""

from __future__ import annotations

import functools
import inspect
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from porters.pytorch.hub import documented, modalities
from porters.pytorch.hub.modalities import Part, Placeholder
from porters.pytorch.original import named_outputs, to_tensor
from zoo.errors import UserError
from zoo.inputs import InputSpec, sample

# Candidates tried before a model counts as one that cannot be called: of all modalities together, and of some.
MOST_WHOLE, MOST_PARTIAL = 64, 32
# The same for signatures out of the documentation.
MOST_DOCUMENTED = 24
# How many refused calls are mended by what their messages ask for, in how many ways each, how many times over.
MOST_COMPLETIONS, MOST_ANSWERS, MOST_ROUNDS = 24, 6, 3
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
    """Give a model its fixed arguments."""
    supply(model, Bound(constants), constants)


def supply(model: Any, hook: Any, names: Iterable[str]) -> None:
    """Let a hook give a model arguments; torch.export must not ask for those of them that ``forward`` demands."""
    model.register_forward_pre_hook(hook, with_kwargs=True)
    demanded = [name for name in documented.required(inspect.signature(model.forward).parameters) if name in names]
    if demanded:
        model.forward = functools.partial(model.forward, **dict.fromkeys(demanded))


def find_call(model: Any) -> Call:
    """Return the first signature, the most telling ones first, that the original runs on.

    Raises:
        UserError: If it runs on none of them.
    """
    parameters = inspect.signature(model.forward).parameters
    problem: Exception | None = None
    for calls in (
        _by_modality(model, parameters),
        itertools.islice(_by_documentation(model, parameters), MOST_DOCUMENTED),
    ):
        refused: list[tuple[Call, Exception]] = []
        for call in calls:
            try:
                _try(model, call)
            except Exception as error:
                refused.append((call, error))
                continue
            return call
        # What a message asks for comes after what the modalities themselves say.
        completed = _completed(model, refused)
        if completed is not None:
            return completed
        problem = problem or (refused[0][1] if refused else None)
    said = "" if problem is None else f"{type(problem).__name__}: {str(problem).strip().splitlines()[0:1]}"
    raise UserError(
        "no signature is known that the model accepts",
        place=type(model).__name__,
        expected="inputs for " + ", ".join(documented.required(parameters) or list(parameters)[:6]),
        got=said or "nothing to try",
        hint="give the inputs by --input",
    ) from problem


def _by_modality(model: Any, parameters: Mapping[str, Any]) -> Iterator[Call]:
    switches = _switches(parameters)
    for parts in _combinations(model, parameters):
        yield from _placed(model, parts, switches)


def _by_documentation(model: Any, parameters: Mapping[str, Any]) -> Iterator[Call]:
    names = documented.demanded(model)
    if not names:
        return
    for specs in documented.combinations(model, names):
        yield from _free_and_fixed(Call(specs, _switches(parameters)))


def _switches(parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {"use_cache": False} if "use_cache" in parameters else {}


def _completed(model: Any, refused: Sequence[tuple[Call, Exception]]) -> Call | None:
    """Return one of the calls with what its error messages ask for, where the original runs on that."""
    first: dict[str, tuple[Call, Exception, int]] = {}
    for call, error in refused:
        first.setdefault(str(error), (call, error, MOST_ROUNDS))
    waiting = list(reversed(first.values()))
    for _ in range(MOST_COMPLETIONS):
        if not waiting:
            break
        call, error, rounds = waiting.pop()
        nearer = []
        for better in itertools.islice(_asked_for(model, call, error), MOST_ANSWERS):
            try:
                _try(model, better)
            except Exception as other:
                if rounds > 1 and str(other) != str(error):
                    nearer.append((better, other, rounds - 1))
                continue
            return better
        waiting += reversed(nearer)  # the likeliest answer is followed up first
    return None


def _asked_for(model: Any, call: Call, error: Exception) -> Iterator[Call]:
    """Yield the call with the arguments that a message names, and with the sizes that it wants."""
    given = {*call.constants, *(spec.name for spec in call.inputs)}
    missing = [name for name in documented.named_in(error, model) if name not in given]
    free = any("batch" in spec.shape for spec in call.inputs)
    for found in documented.combinations(model, missing) if missing else ():
        yield replace(call, inputs=[*call.inputs, *(found if free else map(_of_one, found))])
    longest = max((dim for spec in call.inputs for dim in spec.shape if isinstance(dim, int)), default=0)
    for got, wanted in documented.sizes_in(error, longest):
        resized = {spec.name: _resized(spec, got, wanted) for spec in call.inputs}
        changed = [spec.name for spec in call.inputs if resized[spec.name] != spec]
        for names in [changed, *([name] for name in changed if len(changed) > 1)] if changed else ():
            yield replace(call, inputs=[resized[s.name] if s.name in names else s for s in call.inputs])


def _resized(spec: InputSpec, got: int, wanted: int) -> InputSpec:
    """Return an input of numbers or a mask with one of its sizes changed."""
    if spec.dtype != "float32" and spec.kind != "mask":
        return spec
    return replace(spec, shape=tuple(wanted if spec.sizes.get(str(dim), dim) == got else dim for dim in spec.shape))


def _combinations(model: Any, parameters: Mapping[str, Any]) -> Iterator[list[Part]]:
    """Yield one part for each modality that ``forward`` has arguments for."""
    names = list(parameters)
    found = [list(options) for options in modalities.options(model, names, documented.required(parameters)) if options]
    if not found:
        return
    whole = [[part for part in options if part.specs] or options for options in found]
    yield from itertools.islice(itertools.product(*whole), MOST_WHOLE)
    # Signatures that leave an optional modality out come last.
    whole_ones = set(map(id, itertools.chain.from_iterable(whole)))
    left_out = (parts for parts in itertools.product(*found) if not all(id(part) in whole_ones for part in parts))
    yield from itertools.islice(left_out, MOST_PARTIAL)
    yield from itertools.product(*([part for part in options if not part.specs] or options for options in found))


def _placed(model: Any, parts: Sequence[Part], switches: Mapping[str, Any]) -> Iterator[Call]:
    """Yield calls with placeholder tokens in the text for what the other parts stand for, symbolic sizes first."""
    specs = [spec for part in parts for spec in part.specs]
    constants = {key: item for part in parts for key, item in part.constants.items()}
    notes = [f"{name} is fixed to {item}: its values decide shapes" for name, item in constants.items()]
    holders = [part.placeholder for part in parts if part.placeholder is not None]
    text = next((spec for spec in specs if spec.name == "input_ids"), None)
    if not holders or text is None:
        yield from _free_and_fixed(Call([*specs], {**constants, **switches}, notes))
        return
    fixed = {**constants, **switches}
    for counts in itertools.product(*(_counts(model, holder, specs, fixed) for holder in holders)):
        pairs = list(zip(holders, counts, strict=True))
        prefix = tuple(token for holder, count in pairs for token in holder.tokens(count))
        types = tuple(kind for holder, count in pairs for kind in holder.types(count))
        length = 2 * (len(prefix) + 6)
        placed = [_with_prefix(spec, prefix, types, length) for spec in specs]
        yield from _free_and_fixed(Call(placed, fixed, notes))


def _free_and_fixed(call: Call) -> Iterator[Call]:
    """Yield a call, and the same with every size but the batch fixed where it has such sizes."""
    yield call
    fixed = [_fixed(spec) for spec in call.inputs]
    if fixed != call.inputs:
        yield replace(call, inputs=fixed)


def _with_prefix(spec: InputSpec, prefix: tuple[int, ...], types: tuple[int, ...], length: int) -> InputSpec:
    if "sequence" not in spec.shape:
        return spec
    spec = replace(spec, sizes={**spec.sizes, "sequence": length})
    if spec.name == "input_ids":
        return replace(spec, prefix=prefix)
    return replace(spec, prefix=types) if spec.name == "mm_token_type_ids" else spec


def _of_one(spec: InputSpec) -> InputSpec:
    """Return the input for a batch of one."""
    return replace(spec, shape=tuple(1 if dim == "batch" else dim for dim in spec.shape))


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
        outputs = named_outputs(run_call(model, Call(probe, dict(constants)), {"batch": 1}))
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
        outputs = named_outputs(run_call(model, call, chosen))
        if not outputs:
            raise ValueError("the model returns no tensor")
    if not any(bool(item.isfinite().all()) for item in outputs.values()):
        raise ValueError("every output of the model has infinities or NaN")


def run_call(model: Any, call: Call, sizes: Mapping[str, int]) -> Any:
    """Run the original on a seeded sample of a call with these sizes, and return what it returns."""
    import torch

    feed = {name: to_tensor(array) for name, array in sample(call.inputs, 0, 0, sizes).items()}
    _, kwargs = Bound(call.constants)(model, (), feed)
    with torch.no_grad():
        return model(**kwargs)
