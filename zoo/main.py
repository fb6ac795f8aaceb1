"""Assembles the command line from entry points and maps failures to exit codes."""

from __future__ import annotations

import argparse
import errno
import os
import sys
import traceback
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, distribution, entry_points, version

from zoo.errors import UserError
from zoo.verb import Verb

GROUP = "zooport.verbs"
# What the system says where it has no room or gives no leave: nothing that zooport could do better.
_REFUSALS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM})


def load_verbs() -> dict[str, Verb]:
    """Return every verb on offer, those of zooport itself first and in their own order."""
    own = _own_entry_points()
    points = own or list(entry_points(group=GROUP))
    verbs: dict[str, Verb] = {}
    for point in points:
        verb = point.load()
        if isinstance(verb, Verb):
            verbs[verb.name] = verb
    return verbs


def _own_entry_points() -> list:  # type: ignore[type-arg]
    # Reading one distribution's entry points instead of all of them keeps `--help` fast;
    # ZOOPORT_PLUGINS=1 looks at every installed package.
    if os.environ.get("ZOOPORT_PLUGINS"):
        return []
    try:
        return list(distribution("zooport").entry_points.select(group=GROUP))
    except PackageNotFoundError:
        return []


def build_parser(verbs: dict[str, Verb]) -> argparse.ArgumentParser:
    """Return the parser of ``zooport`` with one sub-parser for each verb."""
    parser = argparse.ArgumentParser(
        prog="zooport",
        description="Port a model to Ascend's static graphs, and prove that the port is the same model.",
        epilog="Exit codes: 0 holds, 1 a verdict failed, 2 the input is at fault, 3 zooport is.",
    )
    parser.add_argument("--version", action="store_true", help="print the version and leave")
    parser.add_argument("--traceback", action="store_true", help="show where in the code an error came from")
    choices = parser.add_subparsers(dest="verb", metavar="VERB")
    for verb in verbs.values():
        sub = choices.add_parser(verb.name, help=verb.summary, description=verb.summary)
        verb.configure(sub)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``zooport`` and return its exit code; the one place where exceptions become exit codes."""
    verbs = load_verbs()
    parser = build_parser(verbs)
    args = parser.parse_args(argv)
    if args.version:
        sys.stdout.write(f"zooport {version('zooport')}\n")
        return 0
    if args.verb is None:
        parser.print_help(sys.stderr)
        return 2
    try:
        return verbs[args.verb].run(args)
    except UserError as error:
        _show(error, args.traceback)
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; nothing half-written was left\n")
        return 130
    except BrokenPipeError:
        return 0
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _REFUSALS:
            _show(error, args.traceback)
            refusal = UserError("the system refuses", place=error.filename, got=error.strerror)
            sys.stderr.write(f"error: {refusal}\n")
            return refusal.exit_code
        traceback.print_exc()
        sys.stderr.write(
            f"zooport itself failed ({type(error).__name__}); this is our fault, not yours.\n"
            "Please report the lines above with the command and the output of `zooport doctor`.\n"
        )
        return 3


def _show(error: BaseException, wanted: bool) -> None:
    if wanted:
        traceback.print_exception(error)


if __name__ == "__main__":
    sys.exit(main())
