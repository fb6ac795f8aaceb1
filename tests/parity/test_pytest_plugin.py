"""The fixture ``parity`` in somebody else's test suite, and JUnit files, read as continuous integration reads them."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from parity import check
from parity.junit import write_junit
from tests.parity.test_harness import change_epsilon
from zoo.main import main

pytest_plugins = ["pytester"]

SUITE = """
import copy
import torch
from zoo.inputs import InputSpec

INPUTS = [InputSpec("x", "float32", ("batch", 8))]


def model():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.GELU(), torch.nn.Linear(8, 5))


def test_same(parity):
    parity(model(), copy.deepcopy(model()), inputs=[InputSpec("input", "float32", ("batch", 8))])


def test_other(parity):
    other = copy.deepcopy(model())
    other[1] = torch.nn.GELU(approximate="tanh")
    parity(model(), other, inputs=[InputSpec("input", "float32", ("batch", 8))])
"""


def test_the_fixture_passes_and_fails_tests(pytester):
    pytester.makepyfile(SUITE)
    result = pytester.runpytest_subprocess("--zooport", "--junitxml=out.xml")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*the port is not the same model: *times as far from the truth*"])
    result.stdout.fnmatch_lines(["*zooport*", "pass *test_same*", "*ratio*"])
    cases = {case.get("name"): case for case in ET.parse(pytester.path / "out.xml").iter("testcase")}
    found = {item.get("name"): item.get("value") for item in cases["test_other"].iter("property")}
    assert found["zooport.verdict"] == "fail"
    assert float(found["zooport.ratio"]) > 3
    assert cases["test_same"].find("failure") is None


def test_a_verdict_as_junit(conv, tmp_path):
    sound = check(conv.artifact, original=conv.original, layers=True, cases=1, save=False)
    faulty = check(conv.copy(tmp_path / "faulty", change_epsilon), original=conv.original, save=False)
    file = tmp_path / "out" / "parity.xml"
    write_junit({"sound": sound, "faulty": faulty}, file)
    suites = {suite.get("name"): suite for suite in ET.parse(file).iter("testsuite")}
    assert suites["sound"].get("failures") == "0"
    assert int(suites["sound"].get("tests")) == len(sound.outputs) + len(sound.layers)
    assert int(suites["faulty"].get("failures")) >= 1
    said = [failure.get("message") for failure in suites["faulty"].iter("failure")]
    assert any("ratio" in message and "limit 3" in message for message in said)


@pytest.mark.thorough
def test_the_command_line_writes_junit(tmp_path, capsys):
    artifact, file = tmp_path / "a", tmp_path / "parity.xml"
    assert main(["port", "timm:test_vit", "-o", str(artifact), "--json"]) == 0
    assert main(["check", str(artifact), "--junit", str(file), "--json"]) == 0
    capsys.readouterr()
    (suite,) = ET.parse(file).iter("testsuite")
    assert (suite.get("failures"), suite.get("name")) == ("0", "test_vit")
