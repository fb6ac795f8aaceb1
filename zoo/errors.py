"""The two kinds of failure: the user's input is at fault (exit 2) or zooport is (exit 3)."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """Something the user gave cannot be used; the message says what, where, and what to do next.

    Args:
        fact: What is wrong, one sentence without a full stop.
        place: Where it stands (a file, an option, a module path with source line).
        expected: What would have been right.
        got: What was found.
        hint: The next step for the user.
    """

    exit_code = 2
    # What was being done when it came up, where the one who raises it knows better than the one who hears it.
    stage: str | None = None

    def __init__(
        self,
        fact: str,
        *,
        place: str | None = None,
        expected: object = None,
        got: object = None,
        hint: str | None = None,
    ) -> None:
        self.fact, self.place, self.expected, self.got, self.hint = fact, place, expected, got, hint
        super().__init__(self.render())

    def render(self) -> str:
        """Return the message, one labelled line for each part that is known."""
        lines = [self.fact]
        for label, part in (
            ("where", self.place),
            ("expected", self.expected),
            ("got", self.got),
            ("next", self.hint),
        ):
            if part is not None:
                lines.append(f"  {label + ':':<10}{part}")
        return "\n".join(lines)


class InternalError(Exception):
    """zooport broke one of its own rules: a bug of ours, whatever the input was."""

    exit_code = 3


def missing_extra(package: str, extra: str, needed_for: str) -> UserError:
    """Return the error for an optional package that is not installed."""
    return UserError(
        f"{needed_for} needs the package {package!r}, which is not installed",
        hint=f"pip install 'zooport[{extra}]'",
    )


def missing_package(package: str, needed_for: str) -> UserError:
    """Return the error for a package that no extra brings, because what it pins is too old to stand beside the rest."""
    name = package.replace("_", "-")
    return UserError(
        f"{needed_for} needs the package {name!r}, which is not installed",
        hint=f"pip install --no-deps {name}, and what it asks for then",
    )


def nearest(word: str, known: Iterable[str], count: int = 3) -> str:
    """Return the known words nearest to ``word`` as text, for 'did you mean' hints."""
    close = difflib.get_close_matches(word, list(known), n=count, cutoff=0.4)
    return ", ".join(close) if close else "nothing similar"


def did_you_mean(word: str, known: Iterable[str], otherwise: str | None = None) -> str | None:
    """Return the hint that names the known words nearest to ``word``, or ``otherwise`` where none is near."""
    close = difflib.get_close_matches(word, list(known), n=3, cutoff=0.4)
    return f"did you mean {', '.join(close)}?" if close else otherwise
