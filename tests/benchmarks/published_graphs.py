"""Ports the models of `zoo/ascend/published/sources.yaml`, graphs without weights, for the validation of cost models.

    python -m tests.benchmarks.published_graphs -o build/published [--only 'resnet*'] [--again]

Each becomes `KEY/model.onnx`, its weights external data that is not there; `index.json` holds what was measured,
`failures.json` what could not be ported and why. What is there already is left alone. Needs the extra `upstream`.
"""

from __future__ import annotations

import argparse
import fnmatch
import gc
import importlib
import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zoo.ascend.published import Mapped, mapped
from zoo.ascend.published.graphs import GRAPH, write_index
from zoo.errors import UserError

FAILURES = "failures.json"


def build(entry: Mapped) -> Any:
    """Build the model of an entry as upstream's constructor makes it, from the package of its source."""
    from porters.pytorch.sources import need

    scheme, _, name = entry.source.partition(":")
    if scheme == "torchvision":
        torchvision = need("torchvision", "vision")
        return torchvision.models.get_model(name, weights=None, **dict(entry.config or {}))
    if scheme == "timm":
        return need("timm", "vision").create_model(name, pretrained=False, **dict(entry.config or {}))
    if scheme == "transformers":
        kind = getattr(need("transformers", "text"), name)
        return kind(kind.config_class(**dict(entry.config or {})))
    module, _, attribute = name.partition(":")
    return getattr(importlib.import_module(module), attribute)()


def original_of(entry: Mapped, *, real: bool = False) -> Any:
    """Return the original of an entry.

    Args:
        entry: The entry.
        real: Whether to build it with weights, as its constructor makes them. Otherwise no tensor of more than 16,384
            elements takes memory, and a table that a constructor computes may be lost.
    """
    import inspect

    from porters.pytorch import on_disk
    from porters.pytorch.hub.call import bind
    from porters.pytorch.original import TorchOriginal

    if real:
        model, absent = build(entry).eval(), None
    else:
        model, buffers = on_disk.build(lambda: build(entry))
        absent = on_disk.OnDisk({}, buffers)
    if "use_cache" in inspect.signature(model.forward).parameters:
        bind(model, {"use_cache": False})
    inputs = list(entry.inputs)
    return TorchOriginal(model, reference=entry.source, name=entry.key, task="", inputs=inputs, on_disk=absent)


def translated(entry: Mapped) -> Any:
    """Return the translation of an entry, built without weights where that will do."""
    from porters.from_pytorch import PORTER

    try:
        return PORTER.translate(original_of(entry))
    except (UserError, RuntimeError):  # a constant whose value was lost, a constructor that computes with its weights
        return PORTER.translate(original_of(entry, real=True))


def port(entry: Mapped, directory: Path) -> str:
    """Port one entry to `directory/KEY/model.onnx` and return what there is to note of it."""
    import onnx_ir as ir

    from porters.folding import fold

    translation = translated(entry)
    if [spec.shape for spec in translation.inputs] != [spec.shape for spec in entry.inputs]:
        raise UserError("the model fixes its sizes", expected=entry.inputs, got=translation.inputs)
    fold(translation.model)
    _drop_weights(translation.model)
    folder = directory / entry.key
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f"{GRAPH}.partial"
    partial.write_bytes(ir.serde.serialize_model(translation.model).SerializeToString(deterministic=True))
    partial.rename(folder / GRAPH)
    fallback = f"fallback: {translation.fallback}" if translation.fallback else ""
    return "; ".join(filter(None, [fallback, *translation.notes]))


def _drop_weights(model: Any) -> None:
    """Let every parameter refer to a file that is not there; constants stay, since shapes may be computed of them."""
    import onnx_ir as ir

    from zoo.graph import is_parameter

    offset = 0
    for graph in (model.graph, *model.graph.subgraphs()):
        for name, value in graph.initializers.items():
            tensor = value.const_value
            if tensor is None or not is_parameter(value):
                continue
            value.const_value = ir.ExternalTensor(
                "model.safetensors",
                offset,
                tensor.nbytes,
                tensor.dtype,
                shape=ir.Shape(tensor.shape.numpy()),
                name=name,
            )
            offset += tensor.nbytes


def main(arguments: list[str] | None = None) -> int:
    """Port what is not there yet; the exit status says whether everything asked for is there."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("-o", "--out", type=Path, default=Path("build/published"))
    parser.add_argument("--only", default="*", help="a pattern of keys")
    parser.add_argument("--again", action="store_true", help="port what is there already, too")
    given = parser.parse_args(arguments)
    wanted = [entry for entry in mapped() if fnmatch.fnmatchcase(entry.key, given.only)]
    if not wanted:
        parser.error(f"--only {given.only!r} names none of the {len(mapped())} models, such as {mapped()[0].key}")
    todo = [entry for entry in wanted if given.again or not (given.out / entry.key / GRAPH).is_file()]
    try:
        failures = _port_all(todo, given.out)
    finally:
        write_index(given.out)
    sys.stderr.write(f"{len(wanted) - len(failures)} of {len(wanted)} graphs are in {given.out}\n")
    return 1 if failures else 0


def _port_all(todo: list[Mapped], out: Path) -> Mapping[str, str]:
    from zoo.console import progress

    out.mkdir(parents=True, exist_ok=True)
    file = out / FAILURES
    failures = json.loads(file.read_text()) if file.is_file() else {}
    with progress() as bar:
        task = bar.add_task("port", total=len(todo))
        for entry in todo:
            bar.update(task, description=entry.key)
            failures.pop(entry.key, None)
            started = time.perf_counter()
            try:
                said = port(entry, out)
            except Exception as error:  # a failure is a row with its cause, whatever the upstream code raises
                said = failures[entry.key] = f"{type(error).__name__}: {str(error).strip()[:600]}"
            sys.stderr.write(f"{entry.key}: {time.perf_counter() - started:.1f} s {said}\n")
            gc.collect()
            bar.advance(task)
            file.write_text(json.dumps(failures, indent=1))
    return {key: said for key, said in failures.items() if key in {entry.key for entry in todo}}


if __name__ == "__main__":
    sys.exit(main())
