"""Which TensorFlow models there are by name: what a sweep's pattern is matched against."""

from __future__ import annotations

import functools
from typing import Any

from porters.source import Reference
from porters.tensorflow import runtime


def references(scheme: str, rest: str) -> list[Reference]:
    """Return the models of keras.applications, see ``porters.source.references``."""
    applications = runtime.keras().applications
    return [
        Reference(
            f"{scheme}:{name}",
            getattr(applications, name).__module__.rpartition(".")[2],
            functools.partial(_size, applications, name),
        )
        for name in dir(applications)
        if name[0].isupper()
    ]


def _size(applications: Any, name: str) -> int:
    return int(getattr(applications, name)(weights=None).count_params())
