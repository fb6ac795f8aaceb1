"""What upstream's own source calls things: the class around a line, the variable that a line assigns."""

from __future__ import annotations

import ast
import keyword
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

# Frameworks' own files are no model: their classes are not what a module is called.
_FRAMEWORKS = ("torch", "keras", "tensorflow")


@dataclass(frozen=True)
class Place:
    """What stands around a line of source.

    Attributes:
        targets: The variables that the statement assigns.
        owner: The class whose method it is, empty where it is none's.
        arguments: The method's arguments after ``self``.
        required: How many of them have no default.
    """

    targets: tuple[str, ...] = ()
    owner: str = ""
    arguments: tuple[str, ...] = ()
    required: int = 0


@cache
def place(line: str) -> Place:
    """Return what stands around ``package/module.py:123``; nothing where the package is not installed here."""
    file, _, number = line.rpartition(":")
    tree = _tree(file)
    return Place() if tree is None or not number.isdigit() else _around(tree, int(number))


@cache
def _tree(file: str) -> ast.Module | None:
    """Return the syntax tree of a file of an installed package, without importing the package."""
    top = Path(file).parts[0] if file else ""
    if not top.isidentifier() or top in _FRAMEWORKS:
        return None
    try:
        spec = find_spec(top)
    except (ImportError, ValueError):
        return None
    for folder in (spec.submodule_search_locations or []) if spec is not None else []:
        path = Path(folder).parent / file
        if path.is_file():
            try:
                return ast.parse(path.read_text(encoding="utf-8"))
            except SyntaxError:
                return None
    return None


def _around(tree: ast.Module, line: int) -> Place:
    owner, required = "", 0
    arguments: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    for node in ast.walk(tree):  # outer before inner
        if not isinstance(node, ast.stmt) or not node.lineno <= line <= (node.end_lineno or node.lineno):
            continue
        if isinstance(node, ast.ClassDef):
            owner = node.name
        elif isinstance(node, ast.FunctionDef):
            arguments = tuple(arg.arg for arg in node.args.args if arg.arg != "self")
            required = len(arguments) - len(node.args.defaults)
        elif isinstance(node, (ast.Assign, ast.AnnAssign, ast.AugAssign)):
            targets = _targets(node)
    return Place(targets, owner, arguments, required)


def _targets(node: ast.Assign | ast.AnnAssign | ast.AugAssign) -> tuple[str, ...]:
    target = node.targets[0] if isinstance(node, ast.Assign) else node.target
    parts = target.elts if isinstance(target, (ast.Tuple, ast.List)) else [target]
    return tuple(part.id if isinstance(part, ast.Name) else "" for part in parts)


def class_with(files: Iterable[str], attributes: Collection[str]) -> str:
    """Return the class of these files whose methods assign all these attributes and the fewest others, if any."""
    found = [
        (len(assigned), name)
        for file in files
        for name, assigned in _attributes(file).items()
        if attributes and assigned.issuperset(attributes)
    ]
    return min(found)[1] if found else ""


@cache
def _attributes(file: str) -> Mapping[str, frozenset[str]]:
    """Return what each class of a file assigns to ``self``."""
    tree = _tree(file)
    found: dict[str, frozenset[str]] = {}
    for node in ast.walk(tree) if tree is not None else ():
        if isinstance(node, ast.ClassDef):
            names = (
                part.attr
                for part in ast.walk(node)
                if isinstance(part, ast.Attribute) and isinstance(part.ctx, ast.Store)
            )
            found[node.name] = frozenset(names)
    return found


def is_name(text: str) -> bool:
    """Say whether a text can be the name of a variable."""
    return text.isidentifier() and not keyword.iskeyword(text) and text not in ("self", "_")
