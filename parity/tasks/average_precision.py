"""Mean average precision over any draw of images, from what pycocotools found of each image once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

# One image's part in one category as pycocotools' ``evaluateImg`` returns it; ``None`` where there is nothing.
Found = Mapping[str, Any] | None


class Accumulator:
    """Accumulates as pycocotools' ``COCOeval.accumulate`` does, but for many draws: only weights change between them.

    An image that is drawn twice counts twice. Detections of one category are sorted by score once. Precision is looked
    up at true positives only: there recall rises, and between two of them precision falls, so that the envelope of
    precision over recall (the largest at this recall or a higher one) has its corners there. Detections of different
    images with one score may stand in another order than in a draw of pycocotools.

    Args:
        found: For each category the images in order, with one area range.
        thresholds: How many thresholds of overlap there are.
        recalls: The recalls at which precision is read, ascending.
        most: Detections of an image that count.
    """

    def __init__(self, found: Sequence[Sequence[Found]], thresholds: int, recalls: np.ndarray, most: int) -> None:
        self._thresholds, self._recalls, self._kinds = thresholds, np.asarray(recalls, np.float64), len(found)
        self._images = len(found[0]) if found else 0
        parts = [_Category(images, thresholds, most) for images in found]
        begins = np.concatenate([[0], np.cumsum([len(part.images) for part in parts])]).astype(np.int64)
        # The image of every detection, the categories one after the other.
        self._detected = np.concatenate([np.zeros(0, np.int64), *(part.images for part in parts)])
        self._begins = begins[:-1]
        # Of every (category, threshold): its true positives and its ignored detections, by their place among all.
        hits = [begins[k] + part.hits[t] for k, part in enumerate(parts) for t in range(thresholds)]
        ignored = [begins[k] + part.ignored[t] for k, part in enumerate(parts) for t in range(thresholds)]
        self._hits, self._hit_begins = _joined(hits)
        self._ignored, self._ignored_begins = _joined(ignored)
        self._hit_groups = np.repeat(np.arange(len(hits)), [len(item) for item in hits])
        # How many ignored detections of its group stand before each true positive.
        self._ignored_before = np.concatenate(
            [np.zeros(0, np.int64), *(np.searchsorted(i, h) for i, h in zip(ignored, hits, strict=True))]
        )
        # Annotations that count, [categories, images].
        self._true = np.asarray([part.true for part in parts], np.float64).reshape(len(parts), self._images)

    def precision(self, pick: np.ndarray) -> np.ndarray:
        """Return precision at each recall, [thresholds, recalls, categories]; -1 where no annotation was drawn."""
        if not self._kinds:
            return np.zeros((self._thresholds, len(self._recalls), 0))
        weights = np.bincount(pick, minlength=self._images)
        true = self._true @ weights
        seen = np.concatenate([[0], np.cumsum(weights[self._detected])])
        hits = np.concatenate([[0], np.cumsum(weights[self._detected[self._hits]])])
        ignored = np.concatenate([[0], np.cumsum(weights[self._detected[self._ignored]])])
        groups = self._hit_groups
        right = hits[1:] - hits[self._hit_begins[groups]]
        begun = self._ignored_begins[groups]
        counted = seen[self._hits + 1] - seen[self._begins[groups // self._thresholds]]
        counted -= ignored[begun + self._ignored_before] - ignored[begun]
        envelope = self._envelope(right / (counted + np.spacing(1)))
        return self._read(right, envelope, true)

    def _envelope(self, precision: np.ndarray) -> np.ndarray:
        """Return the largest precision at a true positive or at one after it in its group."""
        # Precision is 1 at most: 2 more for every group before the last keeps groups apart in one running maximum.
        apart = 2.0 * (len(self._hit_begins) - self._hit_groups)
        result: np.ndarray = np.maximum.accumulate((precision + apart)[::-1])[::-1] - apart
        return result

    def _read(self, right: np.ndarray, envelope: np.ndarray, true: np.ndarray) -> np.ndarray:
        count = self._kinds * self._thresholds
        needed = np.repeat(_least(self._recalls, true), self._thresholds, axis=0)  # [groups, recalls]
        step = int(max(true.max(initial=0.0), right.max(initial=0))) + 2
        keys = self._hit_groups * step + right
        places = np.searchsorted(keys, (np.arange(count)[:, None] * step + needed).ravel()).reshape(count, -1)
        ends = np.searchsorted(self._hit_groups, np.arange(count), side="right")[:, None]
        padded = np.concatenate([envelope, [0.0]])
        read = np.where(places < ends, padded[np.minimum(places, len(envelope))], 0.0)
        read[np.repeat(true == 0, self._thresholds)] = -1.0
        shaped: np.ndarray = read.reshape(self._kinds, self._thresholds, -1).transpose(1, 2, 0)
        return shaped


class _Category:
    """One category's detections over all images, the surest first.

    Attributes:
        images: The image of each.
        hits: By threshold, the places of those that match an annotation that counts.
        ignored: By threshold, the places of those that count neither way.
        true: How many annotations count, by image.
    """

    def __init__(self, found: Sequence[Found], thresholds: int, most: int) -> None:
        kept = [(image, part) for image, part in enumerate(found) if part is not None]
        scores = np.concatenate([np.zeros(0), *(np.asarray(part["dtScores"][:most], float) for _, part in kept)])
        order = np.argsort(-scores, kind="mergesort")
        counts = [len(part["dtScores"][:most]) for _, part in kept]
        self.images = np.repeat(np.asarray([image for image, _ in kept], np.int64), counts)[order]
        none = np.zeros((thresholds, 0))
        matched = np.concatenate([none, *(part["dtMatches"][:, :most] for _, part in kept)], axis=1)[:, order] != 0
        ignored = np.concatenate([none, *(part["dtIgnore"][:, :most] for _, part in kept)], axis=1)[:, order] != 0
        self.hits = [np.flatnonzero(row) for row in matched & ~ignored]
        self.ignored = [np.flatnonzero(row) for row in ignored]
        self.true = np.zeros(len(found))
        for image, part in kept:
            self.true[image] = int((np.asarray(part["gtIgnore"]) == 0).sum())


def _joined(groups: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return the groups one after the other, and where each begins."""
    begins = np.concatenate([[0], np.cumsum([len(item) for item in groups])]).astype(np.int64)[:-1]
    return np.concatenate([np.zeros(0, np.int64), *groups]), begins


def _least(recalls: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Return the least number of true positives that has each recall of ``true`` annotations, [categories, recalls]."""
    total = np.maximum(true, 1.0)[:, None]
    least = np.ceil(recalls * total)
    # As the quotient compares in float64, whatever the product was rounded to.
    least = np.where((least - 1) / total >= recalls, least - 1, least)
    result: np.ndarray = np.where(least / total < recalls, least + 1, least).astype(np.int64)
    return result
