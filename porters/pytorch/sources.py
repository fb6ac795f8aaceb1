"""PyTorch sources: torchvision, timm, transformers, a factory function, an exported program, a live module."""

from __future__ import annotations

import importlib
import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, metadata, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from porters.pytorch import checkpoints, dtypes
from porters.pytorch.original import TorchOriginal
from porters.source import SourceOptions, with_inputs
from zoo.errors import UserError, missing_extra, nearest
from zoo.inputs import InputSpec, guess_kind

if TYPE_CHECKING:
    import torch

IMAGE_SIZE = 224
# Standard deviation of the noise on constant parameters of seeded models: BERT's initialiser range.
ROUGHNESS = 0.02


def open_reference(scheme: str, rest: str, options: SourceOptions) -> TorchOriginal:
    """Return the original for ``scheme:rest``; see ``porters.source``."""
    need("torch", "torch")
    openers: Mapping[str, Callable[[str, SourceOptions], TorchOriginal]] = {
        "torchvision": _open_torchvision,
        "timm": _open_timm,
        "transformers": _open_transformers,
        "python": _open_python,
        "exported": _open_exported,
    }
    return openers[scheme](rest, options)


def open_live(model: Any, options: SourceOptions) -> TorchOriginal:
    """Return the original for a live ``nn.Module``; ``options.inputs`` gives its signature."""
    if not options.inputs:
        raise UserError(
            "a live module needs its inputs",
            expected="inputs=[InputSpec(...)] or inputs={'x': example_tensor}",
            got="none",
        )
    return TorchOriginal(
        model.eval(),
        reference="",
        name=type(model).__name__.lower(),
        task="unknown",
        inputs=list(options.inputs),
        versions=_versions("torch"),
        checkpoint={"kind": "live"},
    )


def need(package: str, extra: str) -> Any:
    """Import an optional package, torchvision's shim first.

    Raises:
        UserError: Naming the extra that brings it.
    """
    from porters.pytorch.torchvision_shim import prepare

    try:
        if package in ("torchvision", "timm", "transformers"):
            prepare()
        return importlib.import_module(package)
    except ImportError as error:
        if error.name not in (package, None):
            raise
        raise missing_extra(package, extra, f"a {package} source") from error


# -- torchvision and timm ------------------------------------------------------------------------------------------


def _open_torchvision(name: str, options: SourceOptions) -> TorchOriginal:
    torchvision = need("torchvision", "vision")
    known = torchvision.models.list_models()
    if name not in known:
        raise _unknown("torchvision model", name, known)
    weights = torchvision.models.get_model_weights(name)
    builder = torchvision.models.get_model_builder(name)
    keywords = {"weights_backbone": None} if "weights_backbone" in inspect.signature(builder).parameters else {}
    model = seeded(lambda: torchvision.models.get_model(name, weights=None, **keywords), options.seed)
    size = _crop_size(weights)
    return finish(
        model,
        f"torchvision:{name}",
        name,
        _torchvision_task(name, torchvision),
        [InputSpec("x", "float32", ("batch", 3, size, size), "image")],
        options,
        packages=("torch", "torchvision"),
    )


def _crop_size(weights: Any) -> int:
    for entry in weights:
        crop = getattr(entry.transforms, "keywords", {}).get("crop_size")
        if isinstance(crop, int):
            return crop
    return IMAGE_SIZE


def _torchvision_task(name: str, torchvision: Any) -> str:
    models = torchvision.models
    for module, task in (
        ("segmentation", "image-segmentation"),
        ("detection", "object-detection"),
        ("video", "video-classification"),
        ("optical_flow", "optical-flow"),
    ):
        if name in models.list_models(module=getattr(models, module)):
            return task
    return "image-classification"


def _open_timm(name: str, options: SourceOptions) -> TorchOriginal:
    timm = need("timm", "vision")
    known = timm.list_models()
    if name.partition(".")[0] not in known:
        raise _unknown("timm model", name, known)
    model = seeded(lambda: timm.create_model(name, pretrained=False), options.seed)
    channels, *size = timm.data.resolve_model_data_config(model)["input_size"]
    first = next(iter(inspect.signature(model.forward).parameters))
    return finish(
        model,
        f"timm:{name}",
        name,
        "image-classification",
        [InputSpec(first, "float32", ("batch", channels, *size), "image")],
        options,
        packages=("torch", "timm"),
    )


# -- transformers --------------------------------------------------------------------------------------------------


def _open_transformers(rest: str, options: SourceOptions) -> TorchOriginal:
    transformers = need("transformers", "text")
    directory = Path(rest).expanduser()
    if directory.is_dir():
        model, checkpoint = _transformers_directory(transformers, directory)
        reference, name = f"transformers:{directory.resolve()}", directory.name
    else:
        model = _transformers_architecture(transformers, rest, options.seed)
        checkpoint, reference, name = None, f"transformers:{rest}", rest
    return finish(
        model,
        reference,
        name.lower(),
        _transformers_task(type(model).__name__),
        transformers_inputs(model),
        options,
        packages=("torch", "transformers"),
        checkpoint=checkpoint,
    )


def _transformers_directory(transformers: Any, directory: Path) -> tuple[Any, dict[str, Any]]:
    file = directory / "config.json"
    if not file.is_file():
        raise UserError("the directory holds no config.json", place=str(directory), hint="give a model directory")
    names = json.loads(file.read_text()).get("architectures") or []
    kind = getattr(transformers, names[0], None) if names else transformers.AutoModel
    if kind is None:
        raise UserError("transformers has no such architecture", place=str(file), got=names[0])
    shards = sorted(directory.glob("*.safetensors"))
    if not shards:
        raise UserError("the directory holds no safetensors", place=str(directory), expected="model.safetensors")
    model = kind.from_pretrained(str(directory), local_files_only=True, use_safetensors=True)
    return model.float(), {"kind": "file", "files": [checkpoints.describe(shard) for shard in shards]}


def _transformers_architecture(transformers: Any, name: str, seed: int) -> Any:
    kind = getattr(transformers, name, None)
    config = getattr(kind, "config_class", None)
    if config is None:
        known = [item for item in dir(transformers) if item.endswith(("Model", "LMHeadModel")) or "For" in item]
        raise _unknown("transformers architecture", name, known)
    return seeded(lambda: kind(config()), seed)


def transformers_inputs(model: Any, length: int = 16) -> list[InputSpec]:
    """Return the signature of a transformers model from its main input and its configuration."""
    config = model.config.get_text_config() if hasattr(model.config, "get_text_config") else model.config
    parameters = inspect.signature(model.forward).parameters
    if "pixel_values" in parameters:
        size = getattr(model.config, "image_size", IMAGE_SIZE)
        size = size[0] if isinstance(size, (list, tuple)) else size
        channels = getattr(model.config, "num_channels", 3)
        return [InputSpec("pixel_values", "float32", ("batch", channels, size, size), "image")]
    shape, sizes = ("batch", "sequence"), {"sequence": length}
    vocabulary = int(getattr(config, "vocab_size", 2))
    specs = [InputSpec("input_ids", "int64", shape, "tokens", high=vocabulary, sizes=sizes)]
    if "attention_mask" in parameters:
        specs.append(InputSpec("attention_mask", "int64", shape, "mask", sizes=sizes))
    if "token_type_ids" in parameters and getattr(config, "type_vocab_size", 0):
        high = int(config.type_vocab_size)
        specs.append(InputSpec("token_type_ids", "int64", shape, "segments", high=high, sizes=sizes))
    return specs


def _transformers_task(kind: str) -> str:
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


# -- factories and files -------------------------------------------------------------------------------------------


def _open_python(rest: str, options: SourceOptions) -> TorchOriginal:
    module_name, colon, attribute = rest.partition(":")
    if not colon:
        raise UserError(
            "a python source names a module and a function", expected="python:package.module:factory", got=rest
        )
    factory = resolve_factory(module_name, attribute)
    model = seeded(factory, options.seed)
    if not hasattr(model, "state_dict"):
        raise UserError(
            "the factory returned no model", place=f"python:{rest}", expected="an nn.Module", got=type(model).__name__
        )
    if not options.inputs:
        raise UserError(
            "a python source needs its inputs",
            place=f"python:{rest}",
            expected="--input for each of " + ", ".join(inspect.signature(model.forward).parameters),
            got="none",
            hint="--input x=batch,3,224,224:float32",
        )
    return finish(
        model, f"python:{rest}", attribute.lower(), "unknown", list(options.inputs), options, packages=("torch",)
    )


def resolve_factory(module_name: str, attribute: str) -> Callable[..., Any]:
    """Return the function ``attribute`` (dots allowed) of a module.

    Raises:
        UserError: If the module or the attribute is not there.
    """
    try:
        need("torch", "torch")
        from porters.pytorch.torchvision_shim import prepare

        prepare()
        target: Any = importlib.import_module(module_name)
    except ImportError as error:
        raise UserError(
            "the module cannot be imported", place=module_name, got=str(error), hint="is it on PYTHONPATH?"
        ) from error
    for part in attribute.split("."):
        if not hasattr(target, part):
            raise UserError(
                f"the module has no {attribute!r}", place=module_name, got=f"near: {nearest(part, dir(target))}"
            )
        target = getattr(target, part)
    if not callable(target):
        raise UserError("the source is no function", place=f"{module_name}:{attribute}", got=type(target).__name__)
    result: Callable[..., Any] = target
    return result


def _open_exported(rest: str, options: SourceOptions) -> TorchOriginal:
    import torch

    file = Path(rest).expanduser()
    if not file.is_file():
        raise UserError("the exported program does not exist", place=str(file))
    try:
        program = torch.export.load(file)
    except Exception as error:
        raise UserError(
            "the file is no exported program", place=str(file), expected="what torch.export.save wrote",
            got=str(error).splitlines()[0][:200],
        ) from error  # fmt: skip
    specs = exported_inputs(program)
    original = TorchOriginal(
        program.module(),
        reference=f"exported:{file.resolve()}",
        name=file.stem.lower(),
        task="unknown",
        inputs=with_inputs(specs, options.inputs),
        versions=_versions("torch"),
        checkpoint={"kind": "file", "files": [checkpoints.describe(file)]},
    )
    original.details = {"program": program}
    return original


def exported_inputs(program: torch.export.ExportedProgram) -> list[InputSpec]:
    """Return the signature of an exported program; its symbolic dimensions keep torch's names."""
    fakes = {node.name: node.meta["val"] for node in program.graph.nodes if node.op == "placeholder"}
    specs = []
    for name in program.graph_signature.user_inputs:
        fake = fakes.get(str(name))
        if fake is None or not hasattr(fake, "dtype"):
            continue
        shape = tuple(dim if isinstance(dim, int) else str(dim) for dim in fake.shape)
        dtype = dtypes.to_card(fake.dtype)
        specs.append(InputSpec(str(name), dtype, shape, guess_kind(str(name), dtype, shape)))
    return specs


# -- common --------------------------------------------------------------------------------------------------------


def seeded(build: Callable[[], Any], seed: int) -> Any:
    """Build a model under a seed, in eval mode; the caller's random state is left as it was."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = build()
        if hasattr(model, "parameters"):
            _roughen(model)
    return model.eval() if hasattr(model, "eval") else model


def _roughen(model: torch.nn.Module) -> None:
    """Give every constant parameter of a seeded model some seeded noise.

    Initialisers leave biases at 0, norm weights at 1 and some heads at 0 altogether (torchvision's ViT answers 0 to
    everything): a port that loses or swaps such tensors would look perfect. Trained weights are never constant.
    """
    import torch

    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.is_floating_point() and parameter.numel() > 1 and not parameter.is_meta:
                first = parameter.flatten()[0]
                if bool((parameter == first).all()):
                    parameter.add_(torch.randn_like(parameter) * ROUGHNESS)


def finish(
    model: torch.nn.Module,
    reference: str,
    name: str,
    task: str,
    specs: Sequence[InputSpec],
    options: SourceOptions,
    *,
    packages: Sequence[str],
    checkpoint: dict[str, Any] | None = None,
) -> TorchOriginal:
    """Load or recalibrate the weights of a freshly built model and describe it.

    Args:
        model: The model as its factory made it.
        reference: The source reference.
        name: Short name for the card.
        task: The task.
        specs: The signature that the source knows.
        options: What the user added.
        packages: Packages whose versions matter; the licence is that of the last.
        checkpoint: The card's entry, where the source has loaded weights already.
    """
    inputs = with_inputs(specs, options.inputs)
    notes: list[str] = []
    if options.weights is not None:
        notes = checkpoints.load_into(model, options.weights)
        checkpoint = {"kind": "file", "given": True, "files": [checkpoints.describe(options.weights)]}
    elif checkpoint is None:
        recalibrated = recalibrate(model, inputs, options.seed)
        checkpoint = {"kind": "seeded", "seed": options.seed, "recalibrated": recalibrated, "roughened": True}
    return TorchOriginal(
        model.eval(),
        reference=reference,
        name=name,
        task=task,
        inputs=inputs,
        versions=_versions(*packages),
        licence=licence_of(packages[-1]),
        checkpoint=checkpoint,
        details={"notes": notes} if notes else {},
    )


def recalibrate(model: torch.nn.Module, specs: Sequence[InputSpec], seed: int, cases: int = 4) -> bool:
    """Give the batch norms of a seeded model the statistics of seeded inputs; say whether there were any.

    A model whose running statistics are still (0, 1) drives its activations to nothing or to infinity, and its
    output then says nothing about its layers. One thread: sums must not depend on how many cores there are.
    """
    import torch

    from porters.pytorch.original import to_tensor
    from zoo.inputs import sample

    norms = [
        m for m in model.modules() if isinstance(m, torch.nn.modules.batchnorm._BatchNorm) and m.track_running_stats
    ]
    if not norms:
        return False
    before = [(norm, norm.momentum) for norm in norms]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # a plain average over the cases
            norm.train()
        feed = sample(specs, seed, 2_000_003, {"batch": cases})
        with torch.no_grad():
            model(**{name: to_tensor(array) for name, array in feed.items()})
    finally:
        torch.set_num_threads(threads)
        for norm, momentum in before:
            norm.momentum = momentum
        model.eval()
    return True


def _versions(*packages: str) -> dict[str, str]:
    return {package: version(package).partition("+")[0] for package in packages}


def licence_of(package: str) -> str:
    """Return the licence that a package's metadata names."""
    try:
        info = metadata(package)
    except PackageNotFoundError:
        return ""
    named = info.get("License-Expression") or info.get("License") or ""
    return str(named).splitlines()[0] if named else ""


def _unknown(kind: str, name: str, known: Sequence[str]) -> UserError:
    return UserError(f"there is no {kind} {name!r}", got=name, hint=f"did you mean {nearest(name, known)}?")


def specs_from_examples(examples: Mapping[str, Any]) -> list[InputSpec]:
    """Return a signature from example tensors by name; axis 0 is the batch."""
    specs = []
    for name, example in examples.items():
        if isinstance(example, InputSpec):
            specs.append(replace(example, name=name))
            continue
        dtype = dtypes.to_card(example.dtype) if hasattr(example, "is_floating_point") else str(example.dtype)
        shape = ("batch", *example.shape[1:]) if len(example.shape) else ()
        kind = guess_kind(name, dtype, shape)
        high = int(example.max()) + 1 if kind in ("tokens", "segments") else 2
        specs.append(InputSpec(name, dtype, tuple(shape), kind, high=max(high, 1)))
    return specs
