"""What a selftest has done so far, in the file that its result goes to: an interrupted one goes on from there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from parity.selftest.trial import Trial
from zoo.errors import UserError
from zoo.record import dumps, to_json, write_atomically

if TYPE_CHECKING:
    from parity.selftest.selftest import SelftestOptions, SelftestResult, Sound

# Where a trial stands: the subject, the fault and which of its sites.
Place = tuple[str, str, int]


class Journal:
    """The trials and sound ports that are done; the file is written anew after each.

    A file of a selftest that has ended is replaced, as is any file where ``fresh`` says so.

    Args:
        file: Where they are kept; ``None`` for nowhere.
        options: What is tried.
        fresh: Whether to begin anew whatever the file holds.

    Raises:
        UserError: If the file holds an interrupted selftest with other options, or something else.
    """

    def __init__(self, file: Path | None, options: SelftestOptions, *, fresh: bool = False) -> None:
        self._file, self._options = file, options
        # By place; ``None`` where the fault cannot be made.
        self.trials: dict[Place, Trial | None] = {}
        self.sound: dict[tuple[str, int], Sound] = {}
        if file is not None and file.exists() and not fresh:
            self._read(file)

    def _read(self, file: Path) -> None:
        try:
            held = json.loads(file.read_text(encoding="utf-8"))
            complete = bool(held["complete"])
            options: Mapping[str, Any] = held["options"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(
                "the file is no selftest's and would be overwritten", place=str(file), got=f"{type(error).__name__}",
                hint="--fresh overwrites it",
            ) from error  # fmt: skip
        if complete:
            return
        asked = to_json(self._options)
        if options != asked:
            raise UserError(
                "the file holds an interrupted selftest with other options",
                place=str(file),
                expected=_said(options),
                got=_said(asked),
                hint="give the same options, another file, or --fresh",
            )
        self._take(held)

    def _take(self, held: Mapping[str, Any]) -> None:
        from parity.selftest.selftest import Sound

        rows = {(row["subject"], row["fault"], row["site"]): row for row in held["table"]}
        for entry in held["tried"]:
            place = (entry["subject"], entry["fault"], int(entry["number"]))
            row = rows.get((*place[:2], entry["site"]))
            self.trials[place] = None if row is None else Trial(**{**row, "effect": float(row["effect"])})
        for row in held["sound"]:
            number = sum(subject == row["subject"] for subject, _ in self.sound)
            self.sound[row["subject"], number] = Sound(**{**row, "ratio": float(row["ratio"])})

    def add_trial(self, place: Place, trial: Trial | None) -> None:
        """Keep what became of a fault."""
        self.trials[place] = trial
        self._save()

    def add_sound(self, subject: str, number: int, sound: Sound) -> None:
        """Keep what was said of a sound port."""
        self.sound[subject, number] = sound
        self._save()

    def result(self, *, complete: bool = True) -> SelftestResult:
        """Return the result of what is done."""
        from parity.selftest.selftest import counted

        tried = [
            {"subject": place[0], "fault": place[1], "number": place[2], "site": trial.site if trial else None}
            for place, trial in self.trials.items()
        ]
        # Of several draws that fell on one site only one counts.
        table = {(trial.subject, trial.fault, trial.site): trial for trial in self.trials.values() if trial is not None}
        return counted(list(table.values()), list(self.sound.values()), self._options, tried, complete=complete)

    def _save(self) -> None:
        if self._file is not None:
            self.write(self.result(complete=False))

    def write(self, result: SelftestResult) -> None:
        """Write a result to the file, where there is one."""
        if self._file is not None:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(self._file, dumps(result.to_dict()).encode())


def _said(options: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in options.items())
