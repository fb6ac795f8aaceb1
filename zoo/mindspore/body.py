"""What one module does, as statements whose variables and numbers are still open."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from zoo.mindspore.makers import ClassUse, GroupUse, Leaf, Maker, Weight
from zoo.mindspore.tree import Module

# Marks around the number of a variable, and of a number that may differ between modules of one class.
_VARIABLE, _NUMBER = "\x01", "\x02"
TOKEN = re.compile(f"{_VARIABLE}\\d+{_VARIABLE}")
NUMBER = re.compile(f"{_NUMBER}(\\d+){_NUMBER}")


def variable_token(at: int) -> str:
    """Return what stands for a variable in text."""
    return f"{_VARIABLE}{at}{_VARIABLE}"


def number_token(at: int) -> str:
    """Return what stands for a number in text."""
    return f"{_NUMBER}{at}{_NUMBER}"


@dataclass
class Variable:
    """A variable.

    Attributes:
        hints: What it may be called, best first; a token stands for the name of another variable.
    """

    hints: list[str]


@dataclass
class Statement:
    """``targets = text``, or a loop over a list of modules.

    Attributes:
        targets: Tokens of the variables.
        text: The expression.
        container: The list whose module is called, where it is one.
        arguments: What that module is called with.
        loop: How many modules are called one after the other, each on the result of the one before.
        begin: Which module of the list is the first.
    """

    targets: list[str]
    text: str
    container: str = ""
    arguments: list[str] = field(default_factory=list)
    loop: int = 0
    begin: int = 0


@dataclass(eq=False)
class Body:
    """One module's code.

    Attributes:
        module: The module.
        owner: The upstream class, empty where it is not known.
        makers: Attribute -> what makes it, in the order of use.
        variables: Token -> variable.
        inputs: Tokens of the arguments of ``construct``.
        sizes: Symbols of the sizes that are arguments too, behind ``inputs``.
        statements: What it does.
        results: What it returns.
        numbers: Numbers in the text that may differ between modules of one class.
        class_name: What its class is called; known once all classes are.
        class_arguments: The arguments of its class: (name, index of a leaf).
    """

    module: Module
    owner: str = ""
    makers: dict[str, Maker] = field(default_factory=dict)
    variables: dict[str, Variable] = field(default_factory=dict)
    inputs: list[str] = field(default_factory=list)
    sizes: list[str] = field(default_factory=list)
    statements: list[Statement] = field(default_factory=list)
    results: list[str] = field(default_factory=list)
    numbers: list[Leaf] = field(default_factory=list)
    class_name: str = ""
    class_arguments: list[tuple[str, int]] = field(default_factory=list)
    _key: Any = None

    def key(self) -> Any:
        """Return what is equal for modules of one class: everything but numbers and weights."""
        if self._key is None:
            text = tuple((tuple(s.targets), s.text, s.container, s.loop, s.begin) for s in self.statements)
            makers = tuple((attribute, maker.key()) for attribute, maker in self.makers.items())
            self._key = ("class", len(self.inputs), len(self.sizes), text, tuple(self.results), makers)
        return self._key

    def used_numbers(self) -> list[int]:
        """Return which of the numbers still stand in the text, in its order."""
        text = "".join(statement.text for statement in self.statements) + "".join(self.results)
        return list(dict.fromkeys(int(found) for found in NUMBER.findall(text)))

    def leaves(self) -> list[Leaf]:
        """Return every number: what attributes are made with, then those of the text."""
        made = [leaf for maker in self.makers.values() for leaf in maker.leaves()]
        return [*made, *(self.numbers[at] for at in self.used_numbers())]

    def arguments(self) -> list[Leaf]:
        """Return the arguments of the class, as they are for this module."""
        leaves = self.leaves()
        return [Leaf(name, leaves[at].value) for name, at in self.class_arguments]

    def parameters(self, prefix: str = "") -> Iterator[tuple[str, Weight]]:
        """Yield each parameter's name and where it comes from."""
        for attribute, maker in self.makers.items():
            yield from maker.parameters(f"{prefix}{attribute}")

    def bodies(self) -> Iterator[Body]:
        """Yield the bodies of all modules, inner ones first."""
        yield from _inside(list(self.makers.values()))
        yield self


def _inside(makers: Sequence[Maker]) -> Iterator[Body]:
    for maker in makers:
        if isinstance(maker, ClassUse):
            yield from maker.body.bodies()
        elif isinstance(maker, GroupUse):
            yield from _inside(maker.members)
