"""Text classification: labelled texts, or pairs of texts, in a TSV or CSV or in class folders; accuracy, macro F1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from parity.preprocessing import texts
from parity.scores import Scores, mean_of
from parity.task import Sample
from parity.tasks.lines import rows
from parity.tasks.outputs import index_of, labels_of, output
from zoo.errors import UserError
from zoo.inputs import Feed


class TextClassification:
    """See ``parity.task.Task``; an answer is the class with the largest score."""

    metric = "accuracy"

    def samples(self, data: str, card: Mapping[str, Any]) -> Sequence[Sample]:
        """Read texts: lines of text, label or text, text, label; or a folder of .txt files for each class."""
        return labelled_texts(data, card, pairs=True)

    def feeds(self, sample: Sample, card: Mapping[str, Any]) -> list[Feed]:
        """Tokenise the text, or both texts together, as the card's ``preprocessing.tokenizer`` says."""
        return [texts.encode(card, *sample.raw)]

    def answer(
        self,
        sample: Sample,
        outputs: Sequence[Mapping[str, np.ndarray]],
        feeds: Sequence[Feed],
        card: Mapping[str, Any],
    ) -> int:
        """The class with the largest score."""
        return int(np.argmax(output(outputs[0], card, "logits", 0).ravel()))

    def scores(self, samples: Sequence[Sample], answers: Sequence[Any]) -> Scores:
        """Share of right answers, and the mean over the classes of their F1."""
        labels, classes = np.asarray([sample.label for sample in samples]), np.asarray(answers)
        right = labels == classes
        metrics = {
            "accuracy": mean_of(right),
            "macro_f1": lambda picks: macro_f1(classes[picks], labels[picks]),
        }
        return Scores(metrics, [int(answer) for answer in answers], {"accuracy": right})

    def changed(self, original: Any, port: Any) -> bool:
        """Whether the class changed."""
        return bool(original != port)


TASK = TextClassification()


def labelled_texts(data: str, card: Mapping[str, Any], *, pairs: bool) -> list[Sample]:
    """Read labelled texts: one a line, tab- or comma-separated with the label last; or class folders of .txt files.

    Raises:
        UserError: If there are none, or a label is no class of the card's ``postprocessing.labels``.
    """
    path, names = Path(data), labels_of(card)
    if path.is_dir():
        folders = sorted(child for child in path.iterdir() if child.is_dir())
        known = names or [folder.name for folder in folders]
        found = [
            Sample(f"{folder.name}/{file.name}", (file.read_text(encoding="utf-8"),), _class(folder, known))
            for folder in folders
            for file in sorted(folder.glob("*.txt"))
        ]
    else:
        expected = "text TAB label" + (", or text TAB text TAB label" if pairs else "")
        found = []
        for number, columns, label in rows(path, lambda c: _label(c, names), expected):
            found.append(
                Sample(f"{number}: {columns[0][:60]}", tuple(columns[: 2 if pairs else 1][: len(columns) - 1]), label)
            )
    if not found:
        raise UserError("there are no labelled texts", place=data, expected="lines of text TAB label, or class folders")
    return found


def _class(folder: Path, known: Sequence[str]) -> int:
    return index_of(folder.name, known, str(folder))


def _label(columns: list[str], names: Sequence[str]) -> int:
    if len(columns) < 2:
        raise ValueError("no label")
    word = columns[-1].strip()
    return list(names).index(word) if word in names else int(word)


def macro_f1(answers: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the mean F1 of the classes that occur, for each row, [rows, n] each."""
    totals, occurring = np.zeros(len(answers)), np.zeros(len(answers))
    for index in np.union1d(answers, labels):
        found, true = answers == index, labels == index
        either = found.sum(axis=1) + true.sum(axis=1)
        totals += 2 * (found & true).sum(axis=1) / np.maximum(either, 1)
        occurring += either > 0
    result: np.ndarray = totals / occurring
    return result
