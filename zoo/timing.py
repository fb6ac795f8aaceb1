"""Latencies: percentiles with their count, and what machine they were measured on."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np


def percentiles(seconds: Sequence[float]) -> tuple[float, float, float]:
    """Return p50, p90 and p99 in milliseconds."""
    p50, p90, p99 = np.percentile(np.asarray(seconds) * 1000.0, [50, 90, 99])
    return float(p50), float(p90), float(p99)


def machine() -> dict[str, Any]:
    """Return what is worth knowing of this machine beside a measurement; no host name."""
    import psutil

    return {
        "cpu": _cpu_name(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_bytes": psutil.virtual_memory().total,
        "os": f"{platform.system()} {platform.release().partition('-')[0]}",
        "python": platform.python_version(),
    }


def _cpu_name() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
