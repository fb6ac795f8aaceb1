"""``selftest``: every fault in every port, sound ports besides, and the table of what was caught by whom."""

from __future__ import annotations

import shutil
import tempfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np

from parity.harness import check
from parity.selftest.baselines import BASELINES
from parity.selftest.faults.fault import Fault, all_faults, looks_like
from parity.selftest.journal import Journal
from parity.selftest.remembering import Remembering
from parity.selftest.subjects import SUBJECTS, Subject
from parity.selftest.trial import Bench, Trial, baselines_of, try_fault
from porters.porting import port_to
from porters.source import SourceOptions, open_source
from zoo.artifact import Artifact, open_artifact
from zoo.errors import UserError
from zoo.inputs import parse_input

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class SelftestOptions:
    """What to try.

    Attributes:
        subjects: Globs over the sources of :data:`SUBJECTS`.
        faults: Globs over the names of faults.
        sites: At how many places each fault is made in each port.
        sound: How many sound ports must hold.
        seed: Seed of the places, of weights and of inputs.
    """

    subjects: Sequence[str] = ("*",)
    faults: Sequence[str] = ("*",)
    sites: int = 1
    sound: int = 200
    seed: int = 0


@dataclass(frozen=True)
class Sound:
    """What the checks say of one port that has no fault.

    Attributes:
        subject: The source reference.
        variant: Its seed, and whether weights were folded.
        holds: Whether the check passed.
        ratio: The largest ratio of its outputs.
        baselines: For each of the usual comparisons, whether it refused the port.
        detail: What the check said, where it failed.
    """

    subject: str
    variant: str
    holds: bool
    ratio: float
    baselines: dict[str, bool]
    detail: str = ""


@dataclass(frozen=True)
class SelftestResult:
    """What the checker is worth; only faults that change the function beyond the noise count.

    Attributes:
        kinds: How many kinds of fault were made somewhere.
        faults: How many faults were made that change the function.
        caught: How many of them the check failed.
        located: In how many of those it named the right layer first.
        locatable: In how many of those it could look at layers at all.
        diagnosed: In how many of the located it named the mistake as well.
        sound_ports: How many ports without a fault were checked.
        false_alarms: How many of these failed.
        baselines: The same for the usual comparisons.
        table: Every trial.
        sound: Every sound port.
        options: What was tried.
        tried: Every draw: subject, fault, number, and the site it fell on, ``None`` where the fault cannot be made.
        complete: Whether nothing is left to do.
    """

    kinds: int
    faults: int
    caught: int
    located: int
    locatable: int
    diagnosed: int
    sound_ports: int
    false_alarms: int
    baselines: dict[str, dict[str, int]]
    table: list[Trial]
    sound: list[Sound]
    options: SelftestOptions = field(default_factory=SelftestOptions)
    tried: list[dict[str, Any]] = field(default_factory=list)
    complete: bool = True

    @property
    def holds(self) -> bool:
        """Whether every fault was caught, 95 % were located and no sound port failed."""
        return self.caught == self.faults and self.located >= 0.95 * self.locatable and not self.false_alarms

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return asdict(self)


def selftest(
    options: SelftestOptions,
    progress: Progress = lambda what, done, total: None,
    file: Path | None = None,
    *,
    fresh: bool = False,
) -> SelftestResult:
    """Put every fault into every port, check sound ports besides, and count.

    Args:
        options: What to try.
        progress: Hears what is being done, how much is done, and of how much.
        file: Holds what is done after each step; where it holds an interrupted selftest, that one goes on.
        fresh: Whether to begin anew all the same.

    Raises:
        UserError: If no subject or no fault has a name that was asked for, or ``file`` holds something else.
    """
    subjects = [item for item in SUBJECTS if any(fnmatchcase(item.source, glob) for glob in options.subjects)]
    faults = [item for name, item in all_faults().items() if any(fnmatchcase(name, glob) for glob in options.faults)]
    if not subjects or not faults:
        raise UserError(
            "nothing to try",
            place="zooport selftest",
            expected=", ".join([item.source for item in SUBJECTS] if not subjects else list(all_faults())),
            got=", ".join(options.faults if subjects else options.subjects),
        )
    journal = Journal(file, options, fresh=fresh)
    promised = 0
    share = -(-options.sound // len(subjects))
    for place, subject in enumerate(subjects):
        with tempfile.TemporaryDirectory(prefix="zooport-selftest-") as name:
            heard = _Share(progress, subject.source, place, len(subjects), len(faults) * options.sites + share)
            _try_all(subject, faults, options, Path(name), heard, journal)
            wanted = min(share, options.sound - promised)
            promised += wanted
            for number in range(wanted):
                heard(f"sound port {number + 1}")
                if (subject.source, number) not in journal.sound:
                    journal.add_sound(subject.source, number, _sound(subject, number, options.seed, Path(name)))
    result = journal.result()
    journal.write(result)
    return result


@dataclass
class _Share:
    """Turns the steps of one subject into steps of the whole."""

    progress: Progress
    subject: str
    place: int
    subjects: int
    steps: int
    done: int = 0

    def __call__(self, what: str) -> None:
        self.progress(f"{self.subject}: {what}", self.place * self.steps + self.done, self.subjects * self.steps)
        self.done += 1


def _ported(subject: Subject, seed: int, folder: Path, *, fold: bool) -> tuple[Artifact, Remembering]:
    """Port a subject and build its original; a batch norm that is folded away could not be wrong."""
    options = SourceOptions([parse_input(text) for text in subject.inputs], None, seed)
    shutil.rmtree(folder, ignore_errors=True)
    port_to(subject.source, folder, options, record_golden=False, fold_weights=fold)
    return open_artifact(folder), Remembering(open_source(subject.source, options))


def _try_all(
    subject: Subject,
    faults: Sequence[Fault],
    options: SelftestOptions,
    folder: Path,
    heard: Callable[[str], None],
    journal: Journal,
) -> None:
    bench: Bench | None = None
    for fault in faults:
        for number in range(options.sites):
            heard(fault.name)
            place = (subject.source, fault.name, number)
            if place in journal.trials:
                continue
            if bench is None:
                artifact, original = _ported(subject, options.seed, folder / "sound", fold=False)
                bench = Bench(subject.source, artifact, original, folder / "faulty")
            # crc32 and not hash(): Python salts hash() anew in every process.
            random = np.random.default_rng([options.seed, number, zlib.crc32(fault.name.encode())])
            journal.add_trial(place, try_fault(bench, fault, random))


def _sound(subject: Subject, number: int, seed: int, folder: Path) -> Sound:
    fold, seed = number % 2 == 0, seed + number // 2
    artifact, original = _ported(subject, seed, folder / "sound", fold=fold)
    result = check(artifact, original=original, seed=seed + 1, save=False)
    bench = Bench(subject.source, artifact, original, folder / "faulty")
    ratios = [output.budget.ratio for output in result.outputs if output.budget is not None]
    variant = f"seed {seed}, {'folded' if fold else 'as upstream'}"
    refused = {name: not holds for name, holds in baselines_of(bench, bench.answers).items()}
    return Sound(subject.source, variant, result.holds, max(ratios, default=0.0), refused, result.diagnosis)


def counted(
    trials: Sequence[Trial],
    sound: Sequence[Sound],
    options: SelftestOptions,
    tried: list[dict[str, Any]],
    *,
    complete: bool,
) -> SelftestResult:
    """Count what became of trials and sound ports."""
    real = [trial for trial in trials if trial.effective]
    caught = [trial for trial in real if trial.caught]
    known = [trial for trial in caught if trial.located is not None]
    baselines = {
        name: {
            "caught": sum(trial.baselines.get(name, True) for trial in real),
            "false_alarms": sum(port.baselines[name] for port in sound),
        }
        for name in BASELINES
    }
    return SelftestResult(
        kinds=len({trial.fault for trial in trials}),
        faults=len(real),
        caught=len(caught),
        located=sum(trial.located is True for trial in known),
        locatable=len(known),
        diagnosed=sum(trial.located is True and bool(looks_like(trial.fault) & set(trial.mistakes)) for trial in known),
        sound_ports=len(sound),
        false_alarms=sum(not port.holds for port in sound),
        baselines=baselines,
        table=list(trials),
        sound=list(sound),
        options=options,
        tried=tried,
        complete=complete,
    )
