"""The verb ``map`` with what has to run models: the audit of a map, and proposals that are settled by running."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from weight_maps import cli
from zoo.verb import Verb

if TYPE_CHECKING:
    from weight_maps.audit import Audit


def _configure(parser: argparse.ArgumentParser) -> None:
    verbs = cli.configure(parser)
    audited = verbs.add_parser("audit", help="run both models with each alternative that shapes leave open")
    audited.add_argument("map", metavar="MAP", help="a YAML file, or a name of `zooport map list`")
    audited.add_argument("source", metavar="SOURCE", help="a source of `zooport port`, mindcv:NAME, or a factory")
    audited.add_argument("wanted", metavar="TARGET", help="likewise, for the target naming")
    audited.add_argument(
        "--input",
        action="append",
        required=True,
        metavar="SHAPE[:BELOW]",
        help="an input of both, channels first: 2,3,64,64 for floats, 2,9:100 for integers below 100",
    )
    audited.add_argument("--most", type=int, metavar="N", help="run N alternatives, evenly chosen (default: all)")
    audited.add_argument("--seed", type=int, default=0, help="seed of weights and inputs")
    audited.add_argument("--real", action="store_true", help="the source brings real weights: leave them as they are")
    audited.add_argument("--reverse", action="store_true", help="go the map's way back")
    cli.add_parameters(audited)
    audited.add_argument("--json", action="store_true", help="print one JSON object")
    audited.set_defaults(act=_audit)


def _audit(args: argparse.Namespace) -> int:
    from dataclasses import asdict

    from parity.weight_audit import audit_pair
    from zoo.console import emit_json, progress

    weight_map = cli.chosen(args)
    inputs = [_input(text) for text in args.input]
    with progress() as bar:
        task = bar.add_task(f"audit {weight_map.name}")
        found = audit_pair(
            weight_map,
            args.source,
            args.wanted,
            inputs,
            seed=args.seed,
            real=args.real,
            most=args.most,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    if args.json:
        emit_json({"map": weight_map.name, "verdict": verdict(found), **asdict(found)})
    else:
        _show(weight_map.name, found)
    return 0 if found.holds else 1


def verdict(found: Audit) -> str:
    """Return what an audit comes to.

    ``holds``, ``undecided`` (an alternative is not ruled out), ``differs`` (the models do not agree), or ``powerless``
    (they do, on outputs that hardly depend on the input).
    """
    from weight_maps.audit import LIMIT

    if found.agrees:
        return "holds" if found.holds else "undecided"
    return "powerless" if found.error <= LIMIT else "differs"


def _input(text: str) -> dict[str, Any]:
    from zoo.errors import UserError

    sizes, _, below = text.partition(":")
    if not all(size.isdigit() for size in sizes.split(",")) or (below and not below.isdigit()):
        raise UserError(f"--input {text!r} cannot be read", expected="2,3,64,64 or 2,9:100", got=text)
    return {"shape": [int(size) for size in sizes.split(",")], **({"below": int(below)} if below else {})}


def _show(name: str, found: Audit) -> None:
    from zoo.console import emit

    emit(f"{name}: {verdict(found)}")
    emit(
        f"  outputs {'identical to the bit' if found.identical else f'{found.error:.2e} apart (relative L2)'}; "
        f"the inputs move them by {found.signal:.2g}"
    )
    emit(
        f"  {found.ambiguous} of {found.tensors} tensors are open by shape; of {len(found.findings)} alternatives "
        f"{found.count('ruled out')} ruled out, {found.count('neutral')} neutral"
    )
    if found.where is not None:
        emit(f"  {found.where}")
    for finding in found.findings:
        if finding.verdict not in ("ruled out", "neutral"):
            emit(
                f"  {finding.verdict}: {finding.kind} {', '.join(finding.targets)} ({finding.detail}): "
                f"{finding.times:.2f} times the map's own error"
            )


MAP = Verb("map", "carry a checkpoint over into another naming, with ledger and proof", _configure, cli.run)
