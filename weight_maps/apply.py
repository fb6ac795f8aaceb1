"""Applies a map to a checkpoint: plan, stream, prove, publish; the ledger says what became of every tensor."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from weight_maps.checkpoint import Checkpoint, open_checkpoint
from weight_maps.engine import check_dropped, constant, run
from weight_maps.formats.safetensors import read_safetensors
from weight_maps.ledger import Journal, Ledger, LonePosting, RoundTrip
from weight_maps.plan import Plan, plan
from weight_maps.proof import round_trip
from weight_maps.stage import PART, Stage, writer_of
from weight_maps.tensors import Spec, sha256_of
from zoo.errors import InternalError, UserError
from zoo.record import dumps, write_atomically

if TYPE_CHECKING:
    from weight_maps.weight_map import WeightMap

Progress = Callable[[str, int, int], None]


def apply_map(
    weight_map: WeightMap,
    source: Path,
    out: Path,
    target: Mapping[str, Spec] | None = None,
    *,
    prove: bool = True,
    progress: Progress = lambda stage, done, total: None,
) -> Ledger:
    """Write ``source`` under the target naming to ``out``, and its ledger to ``out.ledger.json``.

    One entry of the map is in memory at a time. ``out`` appears once it is whole and, unless ``prove`` is off, read
    back and held against the source; what was begun and killed is gone on with.

    Args:
        weight_map: The map.
        source: The checkpoint to read.
        out: The checkpoint to write; its ending says the format.
        target: What the target wants, to hold the result against.
        prove: Whether to go the way back.
        progress: Hears the stage, entries done and entries in all.

    Raises:
        UserError: If the map does not use every tensor exactly once, or a tensor is not what the map says.
        InternalError: If the proof fails.
    """
    writer_of(out)
    checkpoint = open_checkpoint(source)
    work = plan(weight_map, checkpoint.specs(), target)
    journal = Journal()
    dropped = _read_dropped(checkpoint, work)
    stage = Stage(out, work.targets(), _task(weight_map, source, work))
    stage.replay(journal)
    written, proof = _written(checkpoint, work, stage, journal, prove, progress)
    ledger = _ledger(weight_map, source, work, journal, dropped, proof)
    stage.publish(written)
    write_atomically(out.with_name(f"{out.name}.ledger.json"), dumps(ledger.to_json()).encode())
    return ledger


def _written(
    checkpoint: Checkpoint, work: Plan, stage: Stage, journal: Journal, prove: bool, progress: Progress
) -> tuple[Path, RoundTrip | None]:
    """Write the file beside its place and go the way back; what fails leaves nothing behind."""
    try:
        _stream(checkpoint, work, stage, journal, progress)
        written = stage.finish()
        return written, _proven(written, work, journal, progress) if prove else None
    except (UserError, InternalError):
        stage.discard()  # there is nothing here to go on from
        raise


def _proven(written: Path, work: Plan, journal: Journal, progress: Progress) -> RoundTrip:
    """Return what the way back gives.

    Raises:
        InternalError: If what should be identical is not.
    """
    done = iter(range(1, len(work.entries) + 1))
    checkpoint = read_safetensors(written) if written.suffix == PART else open_checkpoint(written)
    proof = round_trip(checkpoint, work, journal, lambda _: progress("prove", next(done), len(work.entries)))
    if not proof.holds:
        written.unlink()
        raise InternalError(f"the round trip fails: {[*proof.damaged, *proof.different][:8]}")
    return proof


def _task(weight_map: WeightMap, source: Path, work: Plan) -> str:
    """Return a fingerprint of what is to be done: the plan, and which file at which size and time."""
    known = source.stat() if source.exists() else None
    facts = [
        weight_map.name,
        weight_map.sha256,
        str(source.resolve()),
        [known.st_size, known.st_mtime_ns] if known else None,
        [(entry.sources, entry.targets, str(entry.steps)) for entry in work.entries],
        [(alone.name, str(alone.spec), alone.value) for alone in work.initialised],
    ]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _stream(checkpoint: Checkpoint, work: Plan, stage: Stage, journal: Journal, progress: Progress) -> None:
    """Take every entry that is not done yet through its rules and onto the disk."""
    for done, entry in enumerate(work.entries, 1):
        if not all(name in journal.targets for name in entry.targets):
            arrays = [checkpoint.read(name) for name in entry.sources]
            before = {name: sha256_of(array) for name, array in zip(entry.sources, arrays, strict=True)}
            made = dict(zip(entry.targets, run(entry, arrays), strict=True))
            after = {name: sha256_of(array) for name, array in made.items()}
            stage.put(made, before, after)
            journal.sources |= before
            journal.targets |= after
        progress("apply", done, len(work.entries))
    for alone in work.initialised:
        if not alone.made:
            continue
        array = constant(alone)
        after = {alone.name: sha256_of(array)}
        stage.put({alone.name: array}, {}, after)
        journal.targets |= after


def _read_dropped(checkpoint: Checkpoint, work: Plan) -> list[LonePosting]:
    dropped = []
    for alone in work.dropped:
        array = checkpoint.read(alone.name)
        check_dropped(alone, array)
        dropped.append(LonePosting.of(alone, sha256_of(array)))
    return dropped


def _ledger(
    weight_map: WeightMap,
    source: Path,
    work: Plan,
    journal: Journal,
    dropped: list[LonePosting],
    proof: RoundTrip | None,
) -> Ledger:
    one_way = {id(entry): reason for entry, reason in work.one_way()}
    return Ledger(
        map=weight_map.name,
        map_sha256=weight_map.sha256,
        parameters=weight_map.parameters,
        source=source.name,
        against_target=work.against_target,
        entries=[journal.posting(entry, one_way.get(id(entry), "")) for entry in work.entries],
        dropped=dropped,
        initialised=[LonePosting.of(alone, journal.targets.get(alone.name, "")) for alone in work.initialised],
        round_trip=proof,
    )
