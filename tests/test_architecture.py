"""The outside of the house: what imports what, what is public, and how fast the command line answers."""

from __future__ import annotations

import importlib
import resource
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("zoo", "weight_maps", "porters", "parity", "reports")
CLI_MODULES = tuple(
    f"{package}.{file.stem}" for package in PACKAGES for file in (ROOT / package).glob("*.py") if file.stem == "cli"
)
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
VERBS: dict[str, str] = PROJECT["entry-points"]["zooport.verbs"]
HEAVY = ("torch", "tensorflow", "keras", "mindspore", "openvino", "onnx", "onnx_ir", "onnxruntime", "numpy", "scipy")
PUBLIC = {
    "zoo": ["Artifact", "open_artifact", "verify_artifact"],
    "weight_maps": ["apply_map", "find_map", "open_checkpoint"],
    "porters": ["open_source", "port"],
    "parity": ["ParityResult", "check"],
    "reports": ["Report", "Source", "collect", "render", "render_report"],
}


def loaded_by(spawn: Callable[..., Any], script: str) -> set[str]:
    """Return which heavy packages a script has loaded."""
    answer = spawn("-c", f"{script}\nimport sys; print(*[name for name in {HEAVY!r} if name in sys.modules])")
    assert answer.returncode == 0, answer.stderr
    return set(answer.stdout.splitlines()[-1].split())


@pytest.mark.parametrize("module", [*PACKAGES, *CLI_MODULES, "zoo.main", "porters.cards", "zoo.errors"])
def test_a_package_and_its_command_line_load_no_framework(spawn: Callable[..., Any], module: str) -> None:
    light = module != "porters.cards"  # it reads signatures, and those need NumPy
    assert loaded_by(spawn, f"import {module}") <= (set() if light else {"numpy"})


def test_help_loads_no_framework(spawn: Callable[..., Any]) -> None:
    script = "from zoo.main import main\ntry: main(['--help'])\nexcept SystemExit: pass"
    assert loaded_by(spawn, script) == set()


def test_help_answers_in_under_300_milliseconds_of_processor_time() -> None:
    """Processor time, the best of five: on a shared machine the clock on the wall times the neighbours too."""

    def once() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-m", "zoo.main", "--help"], check=True, capture_output=True, cwd=ROOT)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert min(once() for _ in range(5)) < 0.3


@pytest.mark.parametrize("name", VERBS)
def test_an_entry_point_offers_the_verb_of_its_name(name: str) -> None:
    from zoo.verb import Verb

    module, _, attribute = VERBS[name].partition(":")
    verb = getattr(importlib.import_module(module), attribute)
    assert isinstance(verb, Verb)
    assert verb.name == name
    assert verb.summary
    assert not verb.summary.endswith(".")


def test_help_shows_every_verb_and_the_exit_codes(zooport: Callable[..., Any]) -> None:
    said = zooport("--help").out
    assert all(f"\n    {name} " in said for name in VERBS)
    assert "Exit codes: 0 holds, 1 a verdict failed, 2 the input is at fault, 3 zooport is." in " ".join(said.split())


@pytest.mark.parametrize("package", PUBLIC)
def test_the_public_names_are_these_and_can_be_had(package: str) -> None:
    module = importlib.import_module(package)
    assert sorted(module.__all__) == sorted(PUBLIC[package])
    for name in module.__all__:
        assert getattr(module, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        module.nothing  # noqa: B018


def test_every_package_is_marked_as_typed() -> None:
    assert [package for package in PACKAGES if not (ROOT / package / "py.typed").exists()] == []
