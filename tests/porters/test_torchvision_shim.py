"""The shim: torchvision imports beside a CPU-only torch, and an imported torchvision is left alone."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import pytest

pytest.importorskip("torch", reason="the extra 'torch' is not installed")
if find_spec("torchvision") is None:
    pytest.skip("the extra 'vision' is not installed", allow_module_level=True)

TWICE = """
from porters.pytorch.torchvision_shim import prepare
first = prepare()
import torchvision
assert prepare() is first
from torchvision.models import resnet18
import torch
assert resnet18(weights=None).eval()(torch.zeros(1, 3, 32, 32)).shape == (1, 1000)
prepare.cache_clear()
assert prepare() is False, "torchvision is imported: nothing may be declared twice"
print("fine")
"""


def test_torchvision_imports_after_it_and_a_second_call_is_harmless(spawn: Callable[..., Any]) -> None:
    answer = spawn("-c", TWICE)
    assert (answer.stdout, answer.returncode) == ("fine\n", 0), answer.stderr


def test_nothing_is_declared_where_torchvision_is_imported_already(spawn: Callable[..., Any]) -> None:
    script = (
        "import sys, types; sys.modules['torchvision'] = types.ModuleType('torchvision')\n"
        "from porters.pytorch.torchvision_shim import prepare; assert prepare() is False\n"
        "assert 'torch' not in sys.modules"
    )
    answer = spawn("-c", script)
    assert answer.returncode == 0, answer.stderr
