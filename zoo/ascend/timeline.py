"""The modelled course of an execution as a trace that Perfetto and chrome://tracing open."""

from __future__ import annotations

from typing import Any, Final

from zoo.ascend.program import Program

_TRACKS: Final = {"cube": 1, "vector": 2, "dram": 3, "l2": 4, "launch": 5}


def trace(program: Program) -> dict[str, Any]:
    """Return the trace: one track for kernels, one for each resource, times in microseconds.

    Every event says that it is modelled. Source of the form: Trace Event Format, complete events (``"ph": "X"``).
    """
    events: list[dict[str, Any]] = [
        _name("process_name", 1, 0, f"{program.chip.name} (modelled)"),
        _name("thread_name", 1, 0, "kernels"),
        *(_name("thread_name", 1, track, name) for name, track in _TRACKS.items()),
    ]
    spent = program.costs
    now = program.calibration.constants.execution_s
    for kernel in program.kernels:
        index = kernel.index
        details = {
            "modelled": True,
            "operators": " + ".join(kernel.operators),
            "unit": kernel.unit,
            "bound": spent.bound(index),
            "source": kernel.source,
            "bytes": sum(tensor.bytes for tensor in (*kernel.reads, *kernel.writes)),
            "multiply_adds": kernel.macs,
        }
        events.append(_event(kernel.name, 0, now, spent.seconds[index], details))
        begin = now + spent.launch[index]
        events.append(_event(kernel.name, _TRACKS["launch"], now, spent.launch[index], {"modelled": True}))
        for name in ("cube", "vector", "dram", "l2"):
            seconds = getattr(spent, name)[index]
            if seconds > 0:
                events.append(_event(kernel.name, _TRACKS[name], begin, seconds, {"modelled": True}))
        now += spent.seconds[index]
    return {
        "traceEvents": events,
        "displayTimeUnit": "ns",
        "otherData": {"target": program.chip.name, "modelled": True},
    }


def _name(kind: str, process: int, track: int, name: str) -> dict[str, Any]:
    return {"name": kind, "ph": "M", "pid": process, "tid": track, "args": {"name": name}}


def _event(name: str, track: int, begin: float, seconds: float, details: dict[str, Any]) -> dict[str, Any]:
    microseconds = 1e6
    return {
        "name": name,
        "ph": "X",
        "pid": 1,
        "tid": track,
        "ts": round(begin * microseconds, 4),
        "dur": round(float(seconds) * microseconds, 4),
        "args": details,
    }
