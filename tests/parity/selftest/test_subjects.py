"""The selftest's subjects of TensorFlow: they open with the inputs they give, and faults in them are located."""

import pytest

from parity.selftest.selftest import SelftestOptions, selftest
from parity.selftest.subjects import SUBJECTS
from porters.source import SourceOptions, open_source
from zoo.inputs import parse_input

pytest.importorskip("tensorflow")
TAGGER = "python:parity.selftest.subjects:keras_tagger"
KERAS = [subject for subject in SUBJECTS if "keras" in subject.source]


@pytest.mark.parametrize("subject", KERAS, ids=lambda subject: subject.source)
def test_a_subject_opens_with_its_inputs(subject):
    given = [parse_input(text) for text in subject.inputs]
    original = open_source(subject.source, SourceOptions(given))
    assert original.framework == "tensorflow"
    assert [spec.shape for spec in original.inputs] == [spec.shape for spec in given or original.inputs]


def test_both_kinds_of_keras_model_are_there():
    assert {subject.kind for subject in KERAS} == {"convolution", "transformer"}


@pytest.mark.thorough
def test_faults_in_a_keras_model_are_caught_and_located():
    result = selftest(SelftestOptions((TAGGER,), ("gelu-formula", "keys-for-values"), sound=1))
    assert result.faults == result.caught == result.located == 2
    assert (result.sound_ports, result.false_alarms) == (1, 0)
