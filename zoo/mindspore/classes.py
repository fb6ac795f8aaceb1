"""Folds modules that do the same into one class, whose arguments are the numbers in which they differ."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from zoo.mindspore.body import Body
from zoo.mindspore.code import literal
from zoo.mindspore.names import clean


@dataclass(eq=False)
class CellClass:
    """A class of the project.

    Attributes:
        name: What it is called.
        bodies: The modules that it stands for; the first is the one that is written.
        fixed: Index of a leaf -> its text, where it is the same in all modules.
        varying: Index of a leaf -> the argument that it is.
    """

    name: str
    bodies: Sequence[Body]
    fixed: Mapping[int, str] = field(default_factory=dict)
    varying: Mapping[int, str] = field(default_factory=dict)

    @property
    def body(self) -> Body:
        """The module that is written."""
        return self.bodies[0]


def classes_of(root: Body, model_name: str, reserved: set[str]) -> list[CellClass]:
    """Return the classes that a model is made of, what is used before what uses it; the model is the last.

    Args:
        root: The model.
        model_name: What its class is called where upstream does not say.
        reserved: Names that are taken.
    """
    groups: dict[object, list[Body]] = {}
    for body in root.bodies():
        groups.setdefault(body.key(), []).append(body)
    names = _class_names(list(groups.values()), root, model_name, reserved)
    classes = []
    for bodies, name in zip(groups.values(), names, strict=True):  # inner ones come first
        columns = list(zip(*(body.leaves() for body in bodies), strict=True))
        texts = [[literal(leaf.value) for leaf in column] for column in columns]
        fixed = {at: column[0] for at, column in enumerate(texts) if len(set(column)) == 1}
        varying = _arguments(texts, [column[0].hint for column in columns], fixed)
        first: dict[str, int] = {}
        for at, argument in varying.items():
            first.setdefault(argument, at)
        for body in bodies:
            body.class_name = name
            body.class_arguments = list(first.items())
        classes.append(CellClass(name, bodies, fixed, varying))
    return classes


def _arguments(texts: Sequence[Sequence[str]], hints: Sequence[str], fixed: Mapping[int, str]) -> dict[int, str]:
    """Return an argument for each number that varies; numbers that vary together share one."""
    arguments: dict[int, str] = {}
    known: dict[tuple[str, ...], str] = {}
    for at, column in enumerate(texts):
        if at in fixed:
            continue
        key = tuple(column)
        if key not in known:
            base, count = clean(hints[at]), 2
            name = base
            while name in known.values():
                name, count = f"{base}{count}", count + 1
            known[key] = name
        arguments[at] = known[key]
    return arguments


def _class_names(groups: Sequence[Sequence[Body]], root: Body, model_name: str, reserved: set[str]) -> list[str]:
    """Return a name for each class: upstream's, told apart by what one has and the other has not."""
    family = _family([group[0].owner for group in groups])
    wanted = [root.owner or model_name if group[0] is root else _class_name(group[0], family) for group in groups]
    names: list[str] = []
    for group, name in zip(groups, wanted, strict=True):
        rivals = [other[0] for other, same in zip(groups, wanted, strict=True) if same == name]
        base = name
        if group[0] is not root and root in rivals:
            base = f"{name}Body"
        elif group[0] is not root and group[0] is not rivals[0]:
            base = _told_apart(name, group[0], rivals[0])
        unique, count = base, 2
        while unique in names or unique in reserved:
            unique, count = f"{base}{'V' if base[-1].isdigit() else ''}{count}", count + 1
        names.append(unique)
    return names


def _told_apart(name: str, body: Body, rival: Body) -> str:
    extra = [attribute for attribute in body.makers if attribute not in rival.makers]
    return f"{name}With{_camel(extra[0])}" if extra else name


def _family(owners: Sequence[str]) -> str:
    """Return the first word of upstream's class names, where it is the same: Bert of BertLayer and BertModel."""
    words = [re.findall(r"[A-Z]+(?![a-z])|[A-Z][a-z0-9]*", owner)[:1] for owner in owners if owner]
    same = len(words) > 2 and all(word == words[0] for word in words)
    return words[0][0] if same and words[0] else ""


def _class_name(body: Body, family: str) -> str:
    if body.owner:
        return body.owner.lstrip("_")
    words = [part for part in body.module.path if not part.isdigit()]
    last = words[-1] if words else "Module"
    if body.module.path[-1].isdigit():  # a member of a list: layers -> Layer
        last = last.removesuffix("s")
    return family + _camel(last)


def _camel(text: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in clean(text).split("_") if part)
