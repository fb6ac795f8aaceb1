"""How long a convolution, its gradients and a product of matrices take MindSpore on one thread of this CPU.

python -m tests.coverage.mindspore_convolution; the environment's ONEDNN_MAX_CPU_ISA is kept where it is set.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from zoo.mindspore.serve import settle_convolutions

ROUNDS = 5


def milliseconds(run: Callable[[], Any]) -> float:
    """Return the median of a few runs behind a first one."""
    took = []
    for _ in range(ROUNDS + 1):
        started = time.perf_counter()
        run().asnumpy()
        took.append(time.perf_counter() - started)
    return 1e3 * statistics.median(took[1:])


def main() -> None:
    """Print a line for each."""
    settle_convolutions()
    import mindspore as ms
    from mindspore import ops

    ms.set_device("CPU")
    ms.runtime.set_cpu_affinity(False)
    ms.set_context(mode=ms.PYNATIVE_MODE, runtime_num_threads=1)

    def convolve(x: Any, weight: Any) -> Any:
        return ops.conv2d(x, weight, pad_mode="pad", padding=1)

    random = np.random.default_rng(0)
    x, weight, left, right = (
        ms.Tensor(random.random(shape, np.float32))
        for shape in ((1, 64, 56, 56), (64, 64, 3, 3), (197, 768), (768, 3072))
    )
    gradients = ms.grad(lambda *both: convolve(*both).sum(), (0, 1))
    runs: dict[str, Callable[[], Any]] = {
        "convolution, 3 x 3": lambda: convolve(x, weight),
        "its gradients": lambda: gradients(x, weight)[1],
        "product of [197, 768] and [768, 3072]": lambda: ops.matmul(left, right),
    }
    for name, run in runs.items():
        print(f"{name}: {milliseconds(run):.1f} ms")  # noqa: T201


if __name__ == "__main__":
    main()
