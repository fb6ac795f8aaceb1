"""Reads ``report.json`` back into its records, so that a report of yesterday can be compared with today's artifacts."""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from functools import cache
from pathlib import Path
from typing import Any

from reports import read
from reports.facts import SCHEMA, Report
from zoo.errors import UserError


def read_report(file: Path) -> Report:
    """Return the report in ``file``; fields that this version does not know are left out.

    Raises:
        UserError: If it is no report, or one of another schema.
    """
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError("the report cannot be read", place=str(file), got=str(error)) from error
    schema = read.text(read.mapping(data).get("schema"))
    if schema != SCHEMA:
        raise UserError("this is no report of zooport", place=str(file), expected=f"schema {SCHEMA}", got=schema)
    try:
        found: Report = _record(Report, data)
    except (TypeError, ValueError) as error:
        raise UserError("the report is damaged", place=str(file), got=str(error)) from error
    return found


@cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _record(kind: type, data: Any) -> Any:
    if not isinstance(data, dict):
        raise TypeError(f"{kind.__name__} is no object: {data!r:.80}")
    hints = _hints(kind)
    return kind(**{name: _value(hints[name], data[name]) for name in hints if name in data})


def _value(kind: Any, data: Any) -> Any:
    """Return ``data`` as a value of the annotation ``kind``; the annotations of ``reports.facts`` are all there is."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        if data is None:
            return None
        return _value(next(one for one in inner if one is not type(None)), data)
    if origin is tuple:
        if not isinstance(data, list):
            raise TypeError(f"no list: {data!r:.80}")
        kinds = [inner[0]] * len(data) if inner[-1] is Ellipsis else list(inner)
        return tuple(_value(one, item) for one, item in zip(kinds, data, strict=True))
    if origin is dict:
        return {str(key): _value(inner[1], item) for key, item in data.items()}
    if dataclasses.is_dataclass(kind):
        return _record(typing.cast(type, kind), data)
    if kind is float:
        found = read.number(data)
        if found is None:
            raise TypeError(f"no number: {data!r:.80}")
        return found
    if origin is typing.Literal:
        kind = str
    if not isinstance(data, kind):
        raise TypeError(f"no {kind.__name__}: {data!r:.80}")
    return data
