"""A user's own operator: one function, found through an import, a python source or an entry point (CONTRIBUTING.md)."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import textwrap
from importlib.metadata import EntryPoint
from pathlib import Path

import onnx
import pytest

from porters.pytorch import registry
from zoo.errors import UserError

ROOT = Path(__file__).parents[3]
MODELS = """
    import torch
    from mylib.ops import swish2

    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(4, 3)

        def forward(self, x):
            return swish2(self.layer(x), 1.5)

    def factory():
        return Model()
"""


def documented() -> str:
    """Return the example of CONTRIBUTING.md."""
    found = re.search(r"```python\n# mylib/ops.py\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(), re.DOTALL)
    assert found is not None
    return found[1]


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """Write the documented package, with a model that uses its operator."""
    package = tmp_path / "site" / "mylib"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "ops.py").write_text(documented())
    (package / "models.py").write_text(textwrap.dedent(MODELS))
    return package.parent


def run(library: Path, *argv: str) -> str:
    """Run Python where it finds the library, and return what it says."""
    env = {**os.environ, "PYTHONPATH": f"{library}{os.pathsep}{ROOT}"}
    answer = subprocess.run([sys.executable, *argv], env=env, capture_output=True, text=True, timeout=300, check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return answer.stdout


def test_a_python_source_brings_its_translators(library: Path, tmp_path: Path) -> None:
    out = str(tmp_path / "artifact")
    source = ("python:mylib.models:factory", "--input", "x=batch,4:float32")
    assert json.loads(run(library, "-m", "zoo.main", "port", *source, "-o", out, "--json"))["fallback"] is False
    assert json.loads(run(library, "-m", "zoo.main", "check", out, "--json"))["verdict"] == "pass"
    graph = onnx.load(f"{out}/model.onnx", load_external_data=False).graph
    assert [node.op_type for node in graph.node] == ["Gemm", "Mul", "Sigmoid", "Mul"]


def test_an_installed_package_brings_its_translators(library: Path) -> None:
    info = library / "mylib-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mylib\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[zooport.translators]\nmylib = mylib.ops\n")
    script = "from porters.pytorch import registry; print(registry.find('mylib.swish2.default').__name__)"
    assert run(library, "-c", script).strip() == "swish2_in_onnx"


def test_a_broken_package_is_named() -> None:
    point = EntryPoint("broken", "no.such.module", registry.PLUGINS)
    with pytest.raises(UserError, match=r"broken") as caught:
        registry._load_plugin(point)
    assert "no.such.module" in str(caught.value)
