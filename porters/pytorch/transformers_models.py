"""``transformers:``: a model directory with its weights, or an architecture with seeded ones."""

from __future__ import annotations

import copy
import functools
import inspect
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from porters.pytorch import checkpoints, decoding, on_disk
from porters.pytorch.hub import masks
from porters.pytorch.hub.call import Call, bind, find_call, supply
from porters.pytorch.hub.missing import with_missing
from porters.pytorch.hub.tiny import Variant, tiny_configs
from porters.pytorch.original import TorchOriginal
from porters.pytorch.seeding import keep_variance
from porters.pytorch.sources import IMAGE_SIZE, failed, finish, licence_of, need, seeded, unknown, versions
from porters.source import SourceOptions, with_inputs
from zoo.errors import UserError
from zoo.inputs import InputSpec

TINY = "@tiny"
# Parameters of an architecture that runs in no smaller configuration.
LARGEST_TINY = 50_000_000


def open_transformers(rest: str, options: SourceOptions) -> TorchOriginal:
    """Return the original for a model directory, an architecture, or ``ARCHITECTURE@tiny``.

    With ``?cache=N`` behind it a causal language model takes and gives its keys and values of N tokens.

    Raises:
        UserError: If there is no such architecture, or the directory does not hold the whole of a model.
    """
    rest, length = decoding.split(rest)
    if not length:
        return _open(rest, options)
    return decoding.open_decoder(_open(rest, replace(options, inputs=())), length, options)


def _open(rest: str, options: SourceOptions) -> TorchOriginal:
    transformers = need("transformers", "text")
    directory = Path(rest).expanduser()
    if rest.endswith(TINY):
        return _open_tiny(transformers, rest, options)
    if directory.is_dir():
        kind, config, shards = _described(transformers, directory, options)
        if options.on_disk and (options.graph_only or sum(s.stat().st_size for s in shards) > on_disk.LARGEST_LOADED):
            return _open_on_disk(kind, config, shards, directory, options)
        model, checkpoint = _loaded(transformers, kind, shards, directory)
        reference, name = f"transformers:{directory.resolve()}", directory.name
    else:
        model = _architecture(transformers, rest, options.seed)
        checkpoint, reference, name = None, f"transformers:{rest}", rest
    _without_cache(model)
    return _finish(model, reference, name, transformers_inputs(model), options, checkpoint)


def _without_cache(model: Any) -> None:
    """Call a decoder without a key-value cache, by the argument that it has for this; its code is left alone."""
    if "use_cache" in inspect.signature(model.forward).parameters:
        bind(model, {"use_cache": False})


def _open_on_disk(
    kind: Any, config: Any, shards: Sequence[Path], directory: Path, options: SourceOptions
) -> TorchOriginal:
    """Open a model directory without loading a weight."""
    make = kind if hasattr(kind, "config_class") else kind.from_config  # AutoModel is no architecture
    model, buffers = on_disk.build(lambda: make(config))
    _without_cache(model)
    tensors: dict[str, Any] = {}
    if not options.graph_only:
        tensors = on_disk.bind(model, on_disk.read_headers(shards), str(directory))
    checkpoint = {"kind": "file", "files": [checkpoints.describe(shard) for shard in shards]}
    original = TorchOriginal(
        model,
        reference=f"transformers:{directory.resolve()}",
        name=directory.name.lower(),
        task=_task(kind.__name__),
        inputs=with_inputs(transformers_inputs(model), options.inputs),
        versions=versions("torch", "transformers"),
        licence=licence_of("transformers"),
        checkpoint={"kind": "none"} if options.graph_only else checkpoint,
        on_disk=on_disk.OnDisk(tensors, buffers),
    )
    notes = ["the graph only: its weights were left out"] if options.graph_only else []
    original.details = {"notes": notes} if notes else {}
    return original


def _finish(
    model: Any,
    reference: str,
    name: str,
    specs: Sequence[InputSpec],
    options: SourceOptions,
    checkpoint: dict[str, Any] | None = None,
) -> TorchOriginal:
    task = _task(type(model).__name__)
    packages = ("torch", "transformers")
    return finish(model, reference, name.lower(), task, specs, options, packages=packages, checkpoint=checkpoint)


def _open_tiny(transformers: Any, rest: str, options: SourceOptions) -> TorchOriginal:
    """Open an architecture in the first tiny configuration that it can be built and run in."""
    kind = _kind(transformers, rest.removesuffix(TINY))
    problem: Exception | None = None
    for variant, config in _configs(kind, rest):
        try:
            if variant.large:
                with_missing(config, functools.partial(_weigh, kind, config))
            build = functools.partial(built, kind, config)
            model = with_missing(config, functools.partial(seeded, build, options.seed))
            call = find_call(model)
        except Exception as error:
            problem = problem or error
            continue
        return _called(model, call, f"transformers:{rest}", rest.removesuffix(TINY), options)
    assert problem is not None
    raise failed("no tiny configuration runs", f"transformers:{rest}", problem) from problem


def open_configured(name: str, changes: Mapping[str, Any], options: SourceOptions) -> TorchOriginal:
    """Return the original for an architecture in a configuration of one's own, with seeded weights.

    Args:
        name: The architecture.
        changes: What the configuration says otherwise than its class does by itself.
        options: What the user added.

    Raises:
        UserError: If there is no such architecture, or no way to call it is found.
    """
    kind = _kind(need("transformers", "text"), name)
    config = kind.config_class(**changes)
    reference = f"transformers:{name}"
    try:
        model = seeded(functools.partial(built, kind, config), options.seed)
        call = find_call(model)
    except Exception as error:
        raise failed("the configuration does not run", reference, error) from error
    return _called(model, call, reference, name, options)


def _called(model: Any, call: Call, reference: str, name: str, options: SourceOptions) -> TorchOriginal:
    """Return the original for a model and the way to call it."""
    whole = masks.needed(model, call)
    bind(model, call.constants)
    optional = [name for name in _optional(model, call.inputs) if name not in whole]
    supply(model, masks.Whole(whole, call.inputs), whole)
    original = _finish(model, reference, name, call.inputs, options)
    original.optional, original.whole = optional, whole
    constants = {name: item for name, item in call.constants.items() if isinstance(item, list)}
    notes = [*original.details.get("notes", ()), *call.notes]
    original.details = {**original.details, "notes": notes, **({"constants": constants} if constants else {})}
    return original


def _configs(kind: Any, rest: str) -> Iterator[tuple[Variant, Any]]:
    try:
        yield from tiny_configs(kind.config_class)
    except Exception as error:
        raise failed("no tiny configuration can be made", f"transformers:{rest}", error) from error


def _described(transformers: Any, directory: Path, options: SourceOptions) -> tuple[Any, Any, list[Path]]:
    """Return the class, the configuration and the weight files of a model directory."""
    file = directory / "config.json"
    if not file.is_file():
        raise UserError("the directory holds no config.json", place=str(directory), hint="give a model directory")
    try:
        names = json.loads(file.read_text()).get("architectures") or []
        kind = getattr(transformers, names[0], None) if names else transformers.AutoModel
    except (OSError, ValueError, AttributeError, KeyError, TypeError) as error:
        raise UserError("the configuration cannot be read", place=str(file), got=str(error)) from error
    if kind is None:
        raise UserError("transformers has no such architecture", place=str(file), got=names[0])
    shards = sorted(directory.glob("*.safetensors"))
    if not shards and not options.graph_only:
        raise UserError(
            "the directory holds no safetensors",
            place=str(directory),
            expected="model.safetensors",
            hint="--graph-only ports the graph without its weights",
        )
    try:
        config = transformers.AutoConfig.from_pretrained(str(directory), local_files_only=True)
    except Exception as error:
        raise failed("the configuration cannot be read", str(file), error) from error
    return kind, config, shards


def _loaded(transformers: Any, kind: Any, shards: Sequence[Path], directory: Path) -> tuple[Any, dict[str, Any]]:
    transformers.utils.logging.disable_progress_bar()
    try:
        model, report = kind.from_pretrained(
            str(directory), local_files_only=True, use_safetensors=True, output_loading_info=True
        )
    except Exception as error:
        raise failed("transformers cannot load the directory", str(directory), error) from error
    if report["missing_keys"]:
        # transformers would draw these at random and only warn.
        raise UserError(
            "the checkpoint does not fit the model",
            place=str(directory),
            expected=f"weights for the whole of {kind.__name__}",
            got="missing: " + ", ".join(sorted(report["missing_keys"])[:8]),
            hint="give the checkpoint of this architecture",
        )
    return model.float(), {"kind": "file", "files": [checkpoints.describe(shard) for shard in shards]}


def _architecture(transformers: Any, name: str, seed: int) -> Any:
    kind = _kind(transformers, name)
    return seeded(lambda: kind(kind.config_class()), seed)


def _optional(model: Any, specs: Sequence[InputSpec]) -> list[str]:
    """Return the masks that ``forward`` does not demand."""
    parameters = inspect.signature(model.forward).parameters
    names = [spec.name for spec in specs if spec.kind == "mask"]
    return [name for name in names if parameters[name].default is not inspect.Parameter.empty]


def _weigh(kind: Any, config: Any) -> None:
    """Hold a model that is not small by construction to a size that is quick to port, before it takes any memory."""
    import torch

    with torch.device("meta"):
        count = sum(parameter.numel() for parameter in kind(copy.deepcopy(config)).parameters())
    if count > LARGEST_TINY:
        raise UserError("the model is not tiny", expected=f"at most {LARGEST_TINY} parameters", got=count)


def built(kind: Any, config: Any) -> Any:
    """Return a model of a tiny configuration, with weights that suit its widths."""
    model = kind(config).float()
    keep_variance(model)
    return model


def _kind(transformers: Any, name: str) -> Any:
    kind: Any = getattr(transformers, name, None)
    if getattr(kind, "config_class", None) is None:
        known = [item for item in dir(transformers) if item.endswith(("Model", "LMHeadModel")) or "For" in item]
        raise unknown("transformers architecture", name, known)
    if kind.forward is need("torch", "torch").nn.Module.forward:
        raise UserError(
            "the architecture has no forward",
            place=f"transformers:{name}",
            got="a class that only joins or generates",
            hint="name one of its parts",
        )
    return kind


def transformers_inputs(model: Any, length: int = 16) -> list[InputSpec]:
    """Return the signature of a transformers model from its main input and its configuration."""
    config = model.config.get_text_config() if hasattr(model.config, "get_text_config") else model.config
    parameters = inspect.signature(model.forward).parameters
    if "pixel_values" in parameters:
        size = getattr(model.config, "image_size", None) or IMAGE_SIZE
        size = size[0] if isinstance(size, (list, tuple)) else size
        channels = getattr(model.config, "num_channels", 3)
        return [InputSpec("pixel_values", "float32", ("batch", channels, size, size), "image")]
    shape: tuple[int | str, ...] = ("batch", "sequence")
    sizes = {"sequence": length}
    vocabulary = int(getattr(config, "vocab_size", 2))
    specs = [InputSpec("input_ids", "int64", shape, "tokens", high=vocabulary, sizes=sizes)]
    if "attention_mask" in parameters:
        specs.append(InputSpec("attention_mask", "int64", shape, "mask", sizes=sizes))
    if "token_type_ids" in parameters and getattr(config, "type_vocab_size", None):
        high = int(config.type_vocab_size)
        specs.append(InputSpec("token_type_ids", "int64", shape, "segments", high=high, sizes=sizes))
    return specs


def _task(kind: str) -> str:
    for ending, task in (
        ("ForQuestionAnswering", "question-answering"),
        ("ForSequenceClassification", "text-classification"),
        ("ForImageClassification", "image-classification"),
        ("ForMaskedLM", "fill-mask"),
        ("LMHeadModel", "language-modelling"),
        ("ForCausalLM", "language-modelling"),
    ):
        if kind.endswith(ending):
            return task
    return "feature-extraction"
