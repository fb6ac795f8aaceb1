"""What would make a program faster, from what the cost model says its time is spent on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from zoo.ascend.kernels import Kernel
from zoo.ascend.program import Program

# Advice below this share of the modelled time is not worth the work.
_WORTH: Final = 0.05


def advice(programs: Sequence[Program]) -> list[str]:
    """Return what would pay, the largest share of the modelled time first.

    Args:
        programs: The same model at several batches, in rising order.
    """
    last = programs[-1]
    found = [
        (_share(last, test), text)
        for test, text in (
            (lambda kernel: kernel.operator == "TransData", "is spent on changing layouts: {ops}"),
            (lambda kernel: kernel.unit in ("aicpu", "unsupported"), "is spent on the AI CPU: {ops}"),
            (_is_scattered, "is spent on moving short runs of bytes ({ops}): a layout in which they stay together would save it"),
            (_is_grouped, "is spent on convolutions in groups, which leave most of the cube idle"),
            (_is_narrow, "is spent on a first convolution of few channels: AIPP with enable_small_channel (C04) spares the padding"),
        )
    ]
    lines = [
        f"{share:.0%} of the modelled time {text.format(ops=_named(last, share))}" for share, text in found if share >= _WORTH
    ]
    launch = float(last.costs.launch.sum()) / last.seconds
    if launch >= _WORTH and last is programs[0]:
        lines.append(f"{launch:.0%} of the modelled time is spent on launching {len(last.kernels)} kernels: a larger batch would spread it")
    best = max(programs, key=_rate)
    if len(programs) > 1 and best is not last:
        lines.append(f"the modelled throughput peaks at batch {_batch(best)}; larger ones leave the L2")
    return [line for _, line in sorted(zip([share for share, _ in found if share >= _WORTH], lines, strict=False), reverse=True)] + lines[
        sum(share >= _WORTH for share, _ in found) :
    ]


def _rate(program: Program) -> float:
    return _batch(program) / program.seconds


def _batch(program: Program) -> int:
    return program.sizes.get("batch", 1)


def _share(program: Program, test: Callable[[Kernel], bool]) -> float:
    spent = program.costs.seconds
    return float(sum(spent[kernel.index] for kernel in program.kernels if test(kernel))) / program.seconds


def _named(program: Program, share: float) -> str:
    return ""


def _is_scattered(kernel: Kernel) -> bool:
    return 0 < kernel.run_bytes < 64 and kernel.operator != "TransData"


def _is_grouped(kernel: Kernel) -> bool:
    return any(product.count > 1 and product.taps > 1 for product in kernel.products)


def _is_narrow(kernel: Kernel) -> bool:
    return kernel.operator == "Conv" and any(len(tensor.shape) == 4 and tensor.shape[1] <= 4 for tensor in kernel.reads[:1])
