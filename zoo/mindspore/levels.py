"""How tightly an expression binds, read from its text."""

from __future__ import annotations

import ast

from zoo.mindspore import code
from zoo.mindspore.body import NUMBER, TOKEN

_OPERATORS: dict[type[ast.operator], int] = {
    ast.Add: code.SUM, ast.Sub: code.SUM, ast.Mult: code.PRODUCT, ast.Div: code.PRODUCT, ast.FloorDiv: code.PRODUCT,
    ast.Mod: code.PRODUCT, ast.BitAnd: code.AND, ast.BitOr: code.OR, ast.BitXor: code.XOR, ast.Pow: code.POWER,
}  # fmt: skip


def level_of(text: str) -> int:
    """Return the precedence of the outermost operator; see ``zoo.mindspore.code``."""
    tree = ast.parse(NUMBER.sub("1", TOKEN.sub("name", text)), mode="eval").body
    if isinstance(tree, ast.BinOp):
        return _OPERATORS[type(tree.op)]
    if isinstance(tree, ast.Compare):
        return code.COMPARE
    return code.UNARY if isinstance(tree, ast.UnaryOp) else code.ATOM
