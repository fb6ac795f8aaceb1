"""Sources that are graphs: ``savedmodel:DIR``, ``frozen:FILE.pb`` and ``tf1:PREFIX``."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from porters.source import SourceOptions, with_inputs
from porters.tensorflow import runtime, signature, text
from porters.tensorflow.graph_original import GraphOriginal, needed_operations
from porters.tensorflow.graph_roles import Roles, candidates, tensor_of
from zoo.errors import UserError, did_you_mean
from zoo.inputs import InputSpec, guess_kind, is_integer

SERVE, DEFAULT_SIGNATURE = "serve", "serving_default"
# What a reference may say behind a question mark -> what it is for.
SETTINGS = {
    "savedmodel": ("signature", "tags", "inputs", "outputs"),
    "frozen": ("inputs", "outputs"),
    "tf1": ("signature", "inputs", "outputs"),
}


@dataclass
class Loaded:
    """A graph whose variables have values.

    Attributes:
        session: The session that holds it.
        roles: Its inputs and outputs.
        files: What it was read from.
        notes: Sentences for the card.
    """

    session: Any
    roles: Roles
    files: Sequence[Path]
    notes: list[str] = field(default_factory=list)


def open_reference(scheme: str, rest: str, options: SourceOptions) -> GraphOriginal:
    """Return the original for ``savedmodel:DIR``, ``frozen:FILE.pb`` or ``tf1:PREFIX``.

    Behind a question mark stand settings: ``?signature=NAME``, ``?tags=A,B``, ``?inputs=X,Y`` and ``?outputs=Z`` (names
    of operations or tensors), joined by ``&``.

    Raises:
        UserError: If the file cannot be read, or what is to be taken of it is ambiguous.
    """
    runtime.keras()
    place, settings = _settings(scheme, rest)
    if options.weights is not None:
        raise UserError(f"a {scheme} source has its own weights", place="--weights", got=str(options.weights))
    loaded = _LOADERS[scheme](Path(place) if place else Path(), place, settings)
    original = _original(loaded, settings, options)
    original.reference = f"{scheme}:{rest}"
    original.name = _name(place)
    return original


def _name(place: str) -> str:
    parts = [part for part in Path(place).with_suffix("").parts if part not in ("/", ".", "..")]
    return parts[-1].lstrip(".") or "graph" if parts else "graph"


def _settings(scheme: str, rest: str) -> tuple[str, dict[str, str]]:
    place, _, query = rest.partition("?")
    settings: dict[str, str] = {}
    for item in filter(None, query.split("&")):
        key, _, value = item.partition("=")
        if key not in SETTINGS[scheme] or not value:
            raise UserError(
                f"the setting {item!r} of the source is unknown",
                place=f"{scheme}:{rest}",
                expected=", ".join(f"{name}=..." for name in SETTINGS[scheme]),
                got=item,
                hint=did_you_mean(key, SETTINGS[scheme]),
            )
        settings[key] = value
    return place, settings


# -- the original ----------------------------------------------------------------------------------------------------


def _original(loaded: Loaded, settings: Mapping[str, str], options: SourceOptions) -> GraphOriginal:
    roles = _chosen(loaded, settings, options)
    cut = text.cut(roles, loaded.session)
    notes = [*loaded.notes, *cut.notes]
    inputs, outputs = dict(cut.inputs), dict(cut.outputs)
    operations = needed_operations(outputs.values(), inputs.values())
    read = {tensor.name for op in operations for tensor in op.inputs} | {tensor.name for tensor in outputs.values()}
    unread = [name for name, tensor in inputs.items() if tensor.name not in read]
    for name in unread:
        del inputs[name]
        notes.append(f"the input {name} was left out: no output reads it")
    specs = _specs(inputs, operations, options, cut.examples)
    return GraphOriginal(
        "graph",
        specs,
        list(outputs),
        runtime.versions(),
        checkpoint={"kind": "file", "files": [_hashed(file) for file in loaded.files]},
        details={"notes": notes} if notes else {},
        session=loaded.session,
        feeds=[inputs[spec.name] for spec in specs],
        fetches=list(outputs.values()),
    )


def _chosen(loaded: Loaded, settings: Mapping[str, str], options: SourceOptions) -> Roles:
    """Return the inputs and outputs with what the user named put in their place."""
    graph, roles = loaded.session.graph, loaded.roles
    inputs, outputs = dict(roles.inputs), dict(roles.outputs)
    if "outputs" in settings:
        outputs = {_plain(name): tensor_of(graph, name) for name in settings["outputs"].split(",")}
    if "inputs" in settings:
        inputs = {_plain(name): tensor_of(graph, name) for name in settings["inputs"].split(",")}
    if any(spec.name not in inputs for spec in options.inputs) and "inputs" not in settings:
        inputs |= {spec.name: tensor_of(graph, spec.name) for spec in options.inputs if spec.name not in inputs}
    return Roles(inputs, outputs)


def _plain(name: str) -> str:
    return name.removesuffix(":0")


def _specs(
    inputs: Mapping[str, Any],
    operations: Sequence[Any],
    options: SourceOptions,
    examples: Mapping[str, np.ndarray],
) -> list[InputSpec]:
    given = {spec.name: spec for spec in options.inputs}
    specs = [_spec(name, tensor, operations, given.get(name)) for name, tensor in inputs.items()]
    specs = [_like(spec, inputs[spec.name], examples.get(spec.name)) for spec in specs]
    return with_inputs(specs, options.inputs)


def _like(spec: InputSpec, tensor: Any, example: np.ndarray | None) -> InputSpec:
    """Return the specification of a tensor made of text: of an example's sizes, which must fit one another.

    A shape among them has the example's values; flags that are all set say which entries are there, as a mask does.
    """
    if example is None:
        return spec
    sized = replace(spec, shape=tuple(example.shape), sizes={})
    if tensor.op.type == "Shape":
        return replace(sized, prefix=tuple(int(item) for item in example))
    if example.dtype == bool and example.shape[:1] == (1,) and example.all():
        return replace(sized, kind="mask")
    return sized


def _spec(name: str, tensor: Any, operations: Sequence[Any], given: InputSpec | None) -> InputSpec:
    dtype = str(np.dtype(tensor.dtype.base_dtype.as_numpy_dtype))
    if tensor.shape.rank is None and given is None:
        raise UserError(
            f"the shape of the input {name!r} is not known",
            place=tensor.name,
            expected=f"--input {name}=SHAPE:{dtype}",
        )
    shape = given.shape if given is not None else signature.open_axes(name, tensor.shape.as_list())
    high = candidates(tensor, operations) if is_integer(dtype) else 2
    sizes = {dim: signature.SIZES[dim] for dim in shape if isinstance(dim, str) and dim in signature.SIZES}
    return InputSpec(name, dtype, tuple(shape), guess_kind(name, dtype, shape), high=high, sizes=sizes)


def _hashed(file: Path) -> dict[str, str]:
    with file.open("rb") as stream:
        return {"name": file.name, "sha256": hashlib.file_digest(stream, "sha256").hexdigest()}


# -- SavedModel ------------------------------------------------------------------------------------------------------


def _saved_model(directory: Path, place: str, settings: Mapping[str, str]) -> Loaded:
    import tensorflow as tf
    from tensorflow.python.saved_model import loader_impl

    if directory.name in ("saved_model.pb", "saved_model.pbtxt"):
        directory = directory.parent
    if not loader_impl.contains_saved_model(str(directory)):
        raise UserError(
            "there is no SavedModel",
            place=place,
            expected="a directory with saved_model.pb",
            hint="a file of its own is frozen:FILE.pb, a checkpoint of TensorFlow 1 tf1:PREFIX",
        )
    parsed = _read(lambda: loader_impl.parse_saved_model(str(directory)), place)
    tags = _tags([set(graph.meta_info_def.tags) for graph in parsed.meta_graphs], settings)
    session = tf.compat.v1.Session(graph=tf.Graph(), config=_config())
    with session.graph.as_default():
        # The loader of TensorFlow 1: it restores the graph as it stands in the file, whatever Python classes made it.
        meta = _read(lambda: tf.compat.v1.saved_model.load(session, sorted(tags), str(directory)), place)
    roles, notes = _of_signature(session.graph, meta.signature_def, settings, place)
    files = sorted(path for path in directory.rglob("*") if path.is_file() and "assets" not in path.parts)
    return Loaded(session, roles, files, notes)


def _tags(known: Sequence[set[str]], settings: Mapping[str, str]) -> set[str]:
    wanted = set(settings["tags"].split(",")) if "tags" in settings else None
    if wanted is None and len(known) == 1:
        return known[0]
    if wanted is None and {SERVE} in known:
        wanted = {SERVE}
    if wanted is None or wanted not in known:
        raise UserError(
            "the SavedModel has several graphs" if wanted is None else "the SavedModel has no graph with these tags",
            expected="?tags= with one of: " + "; ".join(",".join(sorted(item)) for item in known),
            got=",".join(sorted(wanted)) if wanted else "no tags",
        )
    return wanted


def _of_signature(
    graph: Any, signatures: Mapping[str, Any], settings: Mapping[str, str], place: str
) -> tuple[Roles, list[str]]:
    known = {name: signatures[name] for name in sorted(signatures)}
    known = {name: item for name, item in known.items() if item.outputs and not name.startswith("__saved_model")}
    named = settings.get("signature")
    if "inputs" in settings and "outputs" in settings and named is None:
        return Roles({}, {}), []
    chosen = named or (DEFAULT_SIGNATURE if DEFAULT_SIGNATURE in known else "")
    if not chosen and len(known) == 1:
        chosen = next(iter(known))
    if chosen not in known:
        raise UserError(
            f"the model has no signature {chosen!r}" if chosen else "which signature is meant is not clear",
            place=place,
            expected="?signature= with one of: " + ", ".join(known) if known else "?inputs=NAMES&outputs=NAMES",
            got=chosen or f"{len(known)} signatures",
            hint=did_you_mean(chosen, known) if chosen else None,
        )
    others = sorted(set(known) - {chosen})
    notes = [f"the signature {chosen} was ported; there are also {', '.join(others)}"] if others else []
    found = known[chosen]
    inputs = {name: graph.get_tensor_by_name(info.name) for name, info in sorted(found.inputs.items())}
    outputs = {name: graph.get_tensor_by_name(info.name) for name, info in sorted(found.outputs.items())}
    return Roles(inputs, outputs), notes


# -- frozen graphs and checkpoints -----------------------------------------------------------------------------------


def _frozen(file: Path, place: str, settings: Mapping[str, str]) -> Loaded:
    import tensorflow as tf

    if not file.is_file():
        raise UserError("the graph file does not exist", place=place)
    if file.name == "saved_model.pb":
        raise UserError("the file is a SavedModel", place=place, hint=f"savedmodel:{file.parent}")
    graph_def = tf.compat.v1.GraphDef()
    _read(lambda: graph_def.ParseFromString(file.read_bytes()), place)
    if not graph_def.node:
        raise UserError("the graph file has no node", place=place, expected="a frozen GraphDef")
    forget_shapes(graph_def)
    graph = tf.Graph()
    with graph.as_default():
        _read(lambda: tf.import_graph_def(graph_def, name=""), place)
    session = tf.compat.v1.Session(graph=graph, config=_config())
    roles, notes = _inferred(graph, settings, place, several=True)
    return Loaded(session, roles, [file], notes)


def _checkpoint(file: Path, place: str, settings: Mapping[str, str]) -> Loaded:
    import tensorflow as tf

    prefix = checkpoint_prefix(place)
    meta = tf.compat.v1.MetaGraphDef()
    _read(lambda: meta.ParseFromString(Path(f"{prefix}.meta").read_bytes()), place)
    forget_shapes(meta.graph_def)
    graph = tf.Graph()
    with graph.as_default():
        saver = _read(lambda: tf.compat.v1.train.import_meta_graph(meta, clear_devices=True), place)
        session = tf.compat.v1.Session(graph=graph, config=_config())
        if saver is None:
            raise UserError("the checkpoint's graph says nothing of how it is restored", place=f"{prefix}.meta")
        _read(lambda: saver.restore(session, prefix), place)
    if meta.signature_def and "outputs" not in settings:
        roles, notes = _of_signature(graph, meta.signature_def, settings, place)
    else:
        roles, notes = _inferred(graph, settings, place, several=False)
    folder, stem = Path(prefix + ".meta").parent, Path(prefix + ".meta").name.removesuffix(".meta")
    files = [path for path in sorted(folder.iterdir()) if path.name.startswith((f"{stem}.index", f"{stem}.data-"))]
    return Loaded(session, roles, [Path(f"{prefix}.meta"), *files], notes)


def checkpoint_prefix(place: str) -> str:
    """Return the prefix of a checkpoint of TensorFlow 1; it may be empty behind its folder (``FOLDER/.index``).

    Raises:
        UserError: If there is no such checkpoint, several, or one without a graph.
    """
    prefix = place
    for suffix in (".meta", ".index", ".data-00000-of-00001"):
        prefix = prefix.removesuffix(suffix)
    if not Path(f"{prefix}.index").is_file() and Path(prefix or ".").is_dir():
        folder = Path(prefix or ".")
        # A file of which the name is but the suffix has no stem to tell from others.
        found = sorted(path.name.removesuffix(".index") for path in folder.iterdir() if path.name.endswith(".index"))
        if len(found) != 1:
            raise UserError(
                "the folder holds no checkpoint" if not found else "the folder holds several checkpoints",
                place=str(folder),
                expected="tf1:PREFIX, with PREFIX.index, PREFIX.data-... and PREFIX.meta",
                got=", ".join(found) or None,
            )
        prefix = f"{folder}/{found[0]}"
    missing = [suffix for suffix in (".index", ".meta") if not Path(prefix + suffix).is_file()]
    if missing:
        alone = missing == [".meta"]
        raise UserError(
            "the checkpoint has no graph" if alone else "the checkpoint does not exist",
            place=prefix + missing[0],
            expected="PREFIX.index, PREFIX.data-... and PREFIX.meta",
            hint="write the model in Keras and load the checkpoint into it: python:module:factory --weights PREFIX"
            if alone
            else None,
        )
    return prefix


def forget_shapes(graph_def: Any) -> None:
    """Remove the shapes that an older TensorFlow noted in ``graph_def``: they are hints, and some contradict it."""
    nodes = [*graph_def.node, *(node for function in graph_def.library.function for node in function.node_def)]
    for node in nodes:
        node.attr.pop("_output_shapes", None)


def _inferred(graph: Any, settings: Mapping[str, str], place: str, *, several: bool) -> tuple[Roles, list[str]]:
    from porters.tensorflow.graph_roles import infer

    roles = infer(graph)
    given = "outputs" in settings
    if not given and (not roles.outputs or (len(roles.outputs) > 1 and not several)):
        raise UserError(
            "which outputs are meant is not clear" if roles.outputs else "the graph has no output",
            place=place,
            expected="?outputs=NAMES (and ?inputs=NAMES), operations or tensors joined by commas",
            got=", ".join(roles.outputs) or None,
        )
    outputs = {} if given else roles.outputs
    said = [] if "inputs" in settings else [f"the inputs {', '.join(roles.inputs)}"]
    said += [] if given else [f"the outputs {', '.join(roles.outputs)}"]
    return Roles(roles.inputs, outputs), [f"{' and '.join(said)} were inferred from the graph"] if said else []


def _config() -> Any:
    import tensorflow as tf

    return tf.compat.v1.ConfigProto(device_count={"GPU": 0})


def _read(load: Callable[[], Any], place: str | None = None) -> Any:
    try:
        return load()
    except UserError:
        raise
    except Exception as error:  # TensorFlow raises anything here: the file is the user's
        line = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise UserError("TensorFlow cannot load the graph", place=place, got=line[:300]) from error


_LOADERS: Mapping[str, Callable[[Path, str, Mapping[str, str]], Loaded]] = {
    "savedmodel": _saved_model,
    "frozen": _frozen,
    "tf1": _checkpoint,
}
