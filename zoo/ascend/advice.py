"""What would make a program faster, from what the cost model says its time is spent on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from zoo.ascend.kernels import Kernel
from zoo.ascend.operators import ONE_BY_ONE
from zoo.ascend.program import Program

# Advice below this share of the modelled time is not worth the work.
_WORTH: Final = 0.05
# Runs of bytes shorter than a cache line are moved at a fraction of the bandwidth.
_SHORT_RUN: Final = 64

_ADVICE: Final[tuple[tuple[Callable[[Kernel], bool], str], ...]] = (
    (
        lambda kernel: kernel.operator == "TransData",
        "changes layouts between kernels that want different ones; channels in multiples of 16, and reshapes kept away "
        "from convolutions, spare it",
    ),
    (
        lambda kernel: kernel.unit in ("aicpu", "unsupported"),
        "runs on the AI CPU; the compatibility table says what to replace",
    ),
    (
        lambda kernel: kernel.operator in ONE_BY_ONE,
        "fetches or places elements one by one; Slice, Gather along one axis or a product would do it in rows",
    ),
    (
        lambda kernel: (
            0 < kernel.run_bytes < _SHORT_RUN
            and kernel.unit == "vector"
            and kernel.operator not in ("TransData", *ONE_BY_ONE)
        ),
        "moves runs of a few bytes; an order of axes in which they stay together spares it",
    ),
    (
        lambda kernel: kernel.grouped,
        "is convolutions in groups, which leave most of the cube idle; wider groups would cost nothing more",
    ),
    (
        lambda kernel: kernel.operator == "Conv" and _channels(kernel) <= 4,
        "is a convolution of few channels padded to 16; AIPP with enable_small_channel (C04) spares the padding",
    ),
)


def advice(programs: Sequence[Program]) -> list[str]:
    """Return what would pay, the largest share of the modelled time first.

    Args:
        programs: The same model at several sizes, in rising order; kernels are judged in the last.
    """
    last = programs[-1]
    found = [(_share(last, test), text) for test, text in _ADVICE]
    on_core = [kernel.index for kernel in last.kernels if kernel.unit in ("cube", "vector")]
    launch = float(last.costs.launch[on_core].sum()) / last.seconds
    found.append((launch, f"launches {len(on_core)} kernels; fewer, larger ones or a larger batch spread it"))
    worth = sorted((item for item in found if item[0] >= _WORTH), reverse=True)
    lines = [f"{share:.0%} of the modelled time {text}" for share, text in worth]
    best = max(programs, key=lambda program: program.samples / program.seconds)
    if best is not last:
        lines.append(f"the modelled throughput peaks at batch {best.samples}: beyond it activations leave the L2")
    return lines


def _share(program: Program, test: Callable[[Kernel], bool]) -> float:
    spent = program.costs.seconds
    return float(sum(spent[kernel.index] for kernel in program.kernels if test(kernel))) / program.seconds


def _channels(kernel: Kernel) -> int:
    return next((tensor.shape[1] for tensor in kernel.reads if len(tensor.shape) >= 4 and not tensor.constant), 16)
