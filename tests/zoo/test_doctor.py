"""The doctor knows every extra that the package declares, and says what each lacks."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

import pytest

from zoo import doctor

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
# Extras that gather others and tools for work on zooport itself.
GATHERED = {"all", "dev"}


def distributions(requirements: list[str]) -> set[str]:
    names = {re.split(r"[\[<>=!~ ;]", text)[0].lower() for text in requirements}
    return names - {"zooport"}


def test_the_doctor_knows_every_extra() -> None:
    assert set(doctor.EXTRAS) | GATHERED == set(PROJECT["optional-dependencies"])


@pytest.mark.parametrize("extra", doctor.EXTRAS)
def test_the_doctor_looks_for_every_package_of_an_extra(extra: str) -> None:
    declared = distributions(PROJECT["optional-dependencies"][extra])
    assert set(doctor.EXTRAS[extra][0]) == declared - distributions(PROJECT["dependencies"])


def test_a_missing_package_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    report = doctor.examine()
    missing = {extra["name"]: extra["missing"] for extra in report["extras"]}
    assert missing["openvino"] == ["openvino"]
    assert {"name": "openvino", "ready": False} in report["executors"]
    assert "lacks openvino: pip install 'zooport[openvino]'" in doctor.render(report)
