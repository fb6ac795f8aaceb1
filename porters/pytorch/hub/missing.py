"""What a model reads of its configuration and the configuration's class lacks, though every published file has it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from porters.pytorch.hub.fields import rule_of
from porters.pytorch.hub.tiny import parts

# Fields that are given to one configuration before it counts as one that cannot be used.
MOST_FIELDS = 4

Built = TypeVar("Built")


def with_missing(config: Any, build: Callable[[], Built]) -> Built:
    """Return what ``build`` makes of a configuration, which gets the fields that it turns out to lack.

    A field's value is that of the same name elsewhere in the configuration (a decoder's number of key heads is its
    encoder's, a layer's rope base the model's), or what its name says it is.

    Raises:
        Exception: What ``build`` raises for another reason.
    """
    for _ in range(MOST_FIELDS):
        try:
            return build()
        except AttributeError as error:
            lacking = [part for part in parts(config) if type(part) is type(error.obj)]
            value = _value(config, error.name or "")
            if not lacking or value is None or hasattr(lacking[0], error.name or ""):
                raise
            for part in lacking:
                setattr(part, error.name or "", value)
    return build()


def _value(config: Any, name: str) -> Any:
    fields = [vars(part) for part in parts(config)]
    inside = [item for field in fields for item in field.values() if isinstance(item, dict)]
    known = [holder[name] for holder in (*fields, *inside) if holder.get(name) is not None]
    rule = rule_of(name)
    return known[0] if known else (rule.value or None if rule is not None else None)
