"""What a verb of the command line is: a name, a line of help, its options, and its function."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Verb:
    """One verb; packages offer it through the entry-point group ``zooport.verbs``.

    Attributes:
        name: The word on the command line.
        summary: One line for ``zooport --help``.
        configure: Adds the verb's options to its parser. Must not import a framework.
        run: Does the work and returns the exit code (0 holds, 1 a verdict failed).
    """

    name: str
    summary: str
    configure: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]
