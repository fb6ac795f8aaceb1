"""What every job of a PyTorch sweep imports, once, in the process that jobs are forked from."""

from __future__ import annotations

import contextlib
import importlib

# In this order: the shim must come before torchvision. A package that is absent is absent for the jobs as well.
_MODULES = ("onnxruntime", "torch", "torch.export", "torch._dynamo", "torch._export", "sympy", "porters.from_pytorch")

for _name in _MODULES:
    with contextlib.suppress(ImportError):
        importlib.import_module(_name)
with contextlib.suppress(ImportError):
    from porters.pytorch import torchvision_shim

    torchvision_shim.prepare()
    for _name in ("torchvision", "timm"):
        with contextlib.suppress(ImportError):
            importlib.import_module(_name)
