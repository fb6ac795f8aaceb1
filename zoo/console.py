"""Where words go: results to standard output, progress and messages to standard error."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from zoo.record import dumps

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress
    from rich.table import Table


def say(message: str) -> None:
    """Write one message for a person to standard error."""
    sys.stderr.write(message + "\n")


def emit_json(value: Any) -> None:
    """Write ``value`` as the one JSON object that ``--json`` promises on standard output."""
    sys.stdout.write(dumps(value))


def emit(text: str) -> None:
    """Write a result for a person to standard output."""
    sys.stdout.write(text + "\n")


def stderr_console() -> Console:
    """Return a rich console on standard error."""
    from rich.console import Console

    return Console(stderr=True)


def show_table(table: Table) -> None:
    """Write a table to standard output; wide enough for its columns where nobody watches."""
    from rich.console import Console

    console = Console()
    (console if console.is_terminal else Console(width=140)).print(table)


def progress() -> Progress:
    """Return a progress bar on standard error (a context manager); silent where nobody watches."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = stderr_console()
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=28),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
