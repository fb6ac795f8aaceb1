"""Runs an untouched PyTorch model with a chip's rounding of its operators, by intercepting them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from porters.porter import Precision, PrecisionUnavailableError
from porters.pytorch.nodes import map_parts
from porters.pytorch.precision import run_within

# Matrix products and convolutions: what an Ascend cube unit computes.
_CUBE = (
    "aten.convolution", "aten.mm", "aten.addmm", "aten.bmm", "aten.baddbmm", "aten._convolution", "aten.mkldnn",
    "aten.linear", "aten.matmul",
)  # fmt: skip
_CONVOLUTION = ("aten.convolution", "aten._convolution", "aten.mkldnn_convolution")
# The lists of zoo/ascend/precision.yaml, by the operators that they are in PyTorch.
_WHITE = ("aten.relu", "aten.prelu", "aten._prelu_kernel")
_BLACK = ("aten.native_batch_norm", "aten._native_batch_norm", "aten.batch_norm", "aten.native_layer_norm")
# Attribute of a tensor that an operator of a mixed precision mode has lowered.
_LOWERED = "_zooport_lowered"


@dataclass(frozen=True)
class Rule:
    """What is rounded in one precision.

    Attributes:
        operands: What a cube operator's operands are rounded to.
        results: What its result is rounded to, "" for not at all.
        vector: What operands and results of every other operator are rounded to, "" for not at all.
        listed: Whether the lists of mixed precision decide which of them.
        cube: The operators that are rounded as the cube does.
    """

    operands: str
    results: str = ""
    vector: str = ""
    listed: bool = False
    cube: tuple[str, ...] = _CUBE


_RULES: dict[str, Rule] = {
    "fp16_cube": Rule("fp16", "fp16"),
    "fp16_fp32_cube": Rule("fp16"),
    "bf16_cube": Rule("bf16", "bf16"),
    "hf32_cube": Rule("hf32", cube=_CONVOLUTION),
    "fp16": Rule("fp16", "fp16", "fp16"),
    "fp16_mixed": Rule("fp16", "fp16", "fp16", listed=True),
    "bf16_mixed": Rule("bf16", "bf16", "bf16", listed=True),
}


def rounding_mode(precision: Precision) -> Any:
    """Return a dispatch mode in which operators round float32 tensors as ``precision`` says.

    Matrix products accumulate in float32, and a bias joins the accumulator unrounded. Attention is left to torch's own
    composite, so that its two products, and in between its softmax, are rounded as operators of their own. Every other
    operator computes in float32 and rounds once; IEEE 754's overflow, whatever the chip's.

    Raises:
        PrecisionUnavailableError: If no rule says what that precision rounds.
    """
    from torch.utils._python_dispatch import TorchDispatchMode

    rule = _RULES.get(precision)
    if rule is None:
        raise PrecisionUnavailableError(f"nothing says how PyTorch's operators round in {precision}")

    class Rounding(TorchDispatchMode):  # type: ignore[misc]  # torch is untyped here
        supports_higher_order_operators = True

        def __init__(self, rule: Rule) -> None:
            super().__init__()
            self._rule = rule

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            kwargs = kwargs or {}
            if str(func).startswith(self._rule.cube):
                return _product(self._rule, func, args, kwargs)
            if not self._rule.vector or not hasattr(func, "_schema"):
                return run_within(self, func, args, kwargs)
            return _elementwise(self._rule, func, args, kwargs)

    return Rounding(rule)


def _product(rule: Rule, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Run a cube operator; its bias is the third operand (``addmm``: the first) and is not rounded."""
    bias = 0 if str(func).startswith(("aten.addmm", "aten.baddbmm")) else 2
    round_operand = _rounder(rule.operands)
    operands = tuple(item if place == bias else round_operand(item) for place, item in enumerate(args))
    result = func(*operands, **kwargs)
    return _mark(_rounder(rule.results)(result) if rule.results else result, rule.listed)


def _elementwise(rule: Rule, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Run any other operator; views are left alone, they would no longer be views."""
    lowered = not rule.listed or _is_lowered(func, args)
    returned = func._schema.returns
    if any(item.alias_info is not None and not item.alias_info.is_write for item in returned):
        return _mark(func(*args, **kwargs), rule.listed and lowered)
    round_result = _rounder(rule.vector)
    if not lowered:
        return func(*args, **kwargs)
    if func._schema.is_mutable:
        result = func(*args, **kwargs)
        map_parts(result, lambda item: item.copy_(round_result(item)) if _is_float32(item) else item)
        return _mark(result, rule.listed)
    args, kwargs = map_parts(args, round_result), map_parts(kwargs, round_result)
    return _mark(map_parts(func(*args, **kwargs), round_result), rule.listed)


def _is_lowered(func: Any, args: tuple[Any, ...]) -> bool:
    """Say whether the lists lower an operator: white, or grey behind one that is lowered."""
    name = str(func)
    if name.startswith(_WHITE):
        return True
    return not name.startswith(_BLACK) and bool(args) and bool(getattr(_first(args), _LOWERED, False))


def _first(args: tuple[Any, ...]) -> Any:
    item = args[0]
    return item[0] if isinstance(item, (list, tuple)) and item else item


def _mark(result: Any, wanted: bool) -> Any:
    def mark(item: Any) -> Any:
        if _is_float32(item):
            setattr(item, _LOWERED, True)
        return item

    return map_parts(result, mark) if wanted else result


def _is_float32(item: Any) -> bool:
    import torch

    return isinstance(item, torch.Tensor) and item.dtype == torch.float32


def _rounder(form: str) -> Callable[[Any], Any]:
    """Return what rounds a float32 tensor to a format and back; anything else is left as it is."""
    import torch

    def high(tensor: Any) -> Any:
        # Veltkamp's splitting: 12 significant bits, as zoo.ascend.rounding has it.
        product = tensor * 4097.0
        split = product - (product - tensor)
        return torch.where(tensor.abs() < 2.0**114, split, tensor)

    narrow = {"fp16": lambda item: item.half().float(), "bf16": lambda item: item.bfloat16().float(), "hf32": high}[
        form
    ]
    return lambda item: narrow(item) if _is_float32(item) else item
