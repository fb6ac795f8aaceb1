"""Folds calls of the modules of one list, each on the result of the one before, into a loop."""

from __future__ import annotations

from collections.abc import Sequence

from zoo.mindspore.body import TOKEN, Body, Statement

# What stands for the module in the text of a loop.
LAYER = "layer"


def fold_loops(body: Body) -> None:
    """Fold the loops of a body, and drop statements whose results nobody uses, in place."""
    statements: list[Statement] = []
    place = 0
    while place < len(body.statements):
        end = _end(body, body.statements, place)
        if end - place > 1:
            statements += _loop(body, body.statements[place:end])
        else:
            statements.append(body.statements[place])
        place = end
    body.statements = statements
    _drop_unused(body)


def _end(body: Body, statements: Sequence[Statement], place: int) -> int:
    """Return how far calls go that can be one loop with the statement at ``place``."""
    first, end = statements[place], place + 1
    if not first.container or len(first.targets) != 1:
        return end
    while end < len(statements):
        before, this = statements[end - 1], statements[end]
        chained = (
            this.container == first.container
            and len(this.targets) == 1
            and this.begin == before.begin + 1
            and this.arguments[:1] == before.targets
            and this.arguments[1:] == first.arguments[1:]
            and before.targets[0] not in this.arguments[1:]
        )
        if not chained or _uses(body, before.targets[0], statements) != 1:
            return end
        end += 1
    return end


def _uses(body: Body, token: str, statements: Sequence[Statement]) -> int:
    texts = [*(statement.text for statement in statements), *body.results]
    return sum(TOKEN.findall(text).count(token) for text in texts)


def _loop(body: Body, calls: Sequence[Statement]) -> list[Statement]:
    """Return the loop, behind a copy of what it starts from; naming makes the copy vanish where it can."""
    token = calls[-1].targets[0]
    start = calls[0].arguments[0]
    rest = calls[0].arguments[1:]
    if TOKEN.fullmatch(start):
        body.variables[token].hints = [start, *body.variables[start].hints, *body.variables[token].hints]
    text = f"{LAYER}({', '.join([token, *rest])})"
    loop = Statement([token], text, calls[0].container, [token, *rest], len(calls), calls[0].begin)
    return [Statement([token], start), loop]


def _drop_unused(body: Body) -> None:
    while True:
        used = {token for statement in body.statements for token in TOKEN.findall(statement.text)}
        used |= {token for result in body.results for token in TOKEN.findall(result)}
        kept = [statement for statement in body.statements if used & set(statement.targets)]
        if len(kept) == len(body.statements):
            return
        body.statements = kept
