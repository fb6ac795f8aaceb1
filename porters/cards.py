"""``card:NAME``: a model of the catalogue to its original."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from porters.porter import Original
from porters.source import SourceOptions, open_source
from zoo.catalog import find_card, package_file
from zoo.errors import UserError
from zoo.inputs import InputSpec

# Entries of a catalogue card that go into the artifact's card as they are.
_CARRIED = ("preprocessing", "evaluation", "targets", "tags")


def open_reference(scheme: str, rest: str, options: SourceOptions) -> Original:
    """Return the original for ``card:NAME``, or ``card:NAME@tensorflow`` for another framework than the card's first.

    Raises:
        UserError: If the card or the framework is unknown, or a package that it needs is missing.
    """
    name, at, framework = rest.partition("@")
    card = find_card(name)
    framework = framework if at else next(iter(card["sources"]))
    if framework not in card["sources"]:
        raise UserError(
            f"the card {name!r} has no source for {framework!r}", expected=", ".join(card["sources"]), got=framework
        )
    original = _open(card, card["sources"][framework], options)
    original.reference = f"{scheme}:{rest}"
    original.name = name
    original.task = card["task"]
    original.details = {**original.details, **{key: card[key] for key in _CARRIED if key in card}}
    return original


def _open(card: Mapping[str, Any], source: Mapping[str, Any], options: SourceOptions) -> Original:
    if "reference" in source:
        return open_source(source["reference"], options)
    if "transformers" in source:
        original = open_source(f"transformers:{package_file(source['transformers'])}", options)
    else:
        original = _from_factory(card, source, options)
    original.checkpoint = {**original.checkpoint, "kind": "package", "package": source["package"]}
    return original


def _from_factory(card: Mapping[str, Any], source: Mapping[str, Any], options: SourceOptions) -> Original:
    from porters.pytorch.sources import finish, licence_of, need, resolve_factory, seeded

    need("torch", "torch")
    module, _, attribute = source["factory"].partition(":")
    factory = resolve_factory(module, attribute)
    model = seeded(lambda: factory(*source.get("arguments", ())), options.seed)
    weights = options.weights or package_file(source["weights"])
    specs = [InputSpec.from_card(entry) for entry in card["inputs"]]
    original = finish(
        model,
        f"card:{card['name']}",
        card["name"],
        card["task"],
        specs,
        replace(options, weights=weights),
        packages=("torch", source["package"]),
    )
    original.checkpoint = {key: value for key, value in original.checkpoint.items() if key != "given"}
    original.licence = licence_of(source["package"])
    return original
