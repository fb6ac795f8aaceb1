"""The noise budget of every precision, measured: sound ports of the selftest's subjects, and faults in them.

``python -m tests.coverage.precisions [--faults] [GLOB...]`` prints one line for each port and precision, and at the end
the largest ratios of each precision (sound) or what share of the faults was caught.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import zlib
from collections import defaultdict
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np

from parity.harness import check
from parity.selftest.faults.fault import all_faults
from parity.selftest.selftest import _ported
from parity.selftest.subjects import SUBJECTS
from parity.selftest.trial import Bench, _answers, _effect, _written
from parity.surgery import NotHereError
from zoo.errors import UserError

# Chip, mode.
ROUTES = (
    ("ascend310p3", "cube_fp16"), ("ascend310p3", "force_fp16"), ("ascend910b3", "force_fp16"),
    ("ascend310p3", "force_fp32"), ("ascend910b3", "must_keep_origin_dtype"), ("ascend910b3", "allow_fp32_to_bf16"),
    ("ascend310p3", "allow_mix_precision"), ("ascend910b3", "allow_mix_precision_bf16"),
)  # fmt: skip


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def sound(subject, folder: Path, worst: dict) -> None:
    artifact, original = _ported(subject, 0, folder / "sound", fold=True)
    for chip, mode in ROUTES:
        try:
            result = check(artifact, on=chip, mode=mode, original=original, save=False)
        except UserError as error:
            say(f"{subject.source} {chip} {mode}: {error.got or error.fact}")
            continue
        budgets = [output.budget for output in result.outputs if output.budget]
        ratios = [
            max((found.ratio for found in budgets), default=0),
            max((found.max_abs_ratio for found in budgets), default=0),
            max((output.probe_ratio for output in result.outputs if not np.isnan(output.probe_ratio)), default=0),
        ]
        powers = [o.power for o in result.outputs if o.power]
        signal = min((p.signal_over_noise for p in powers), default=float("nan"))
        width = max((p.budget_width for p in powers), default=float("nan"))
        say(
            f"{subject.source} {chip} {mode}: {result.verdict} ratio {ratios[0]:.2f} largest {ratios[1]:.2f} probes "
            f"{ratios[2]:.2f} signal {signal:.3g} width {width:.2g} {result.diagnosis[:150]}",
        )
        worst[result.precision].append((*ratios, result.holds))


def faulty(subject, folder: Path, seen: dict) -> None:
    artifact, original = _ported(subject, 0, folder / "sound", fold=False)
    bench = Bench(subject.source, artifact, original, folder / "faulty")
    for fault in all_faults().values():
        random = np.random.default_rng([0, 0, zlib.crc32(fault.name.encode())])
        model = artifact.model()
        nodes = [node for node in model.graph if not fault.ops or node.op_type in fault.ops]
        made = None
        for place in random.permutation(len(nodes)):
            try:
                made = fault.inject(model.graph, nodes[place]) or [nodes[place]]
                break
            except NotHereError:
                continue
        if made is None:
            continue
        try:
            wrong = _written(bench, model)
            effect = _effect(bench, _answers(wrong, bench.feeds()))
            for chip, mode in ROUTES[:2]:
                result = check(wrong, on=chip, mode=mode, original=original, save=False)
                seen[result.precision].append((effect, result.holds))
                say(f"{subject.source} {fault.name} {mode}: effect {effect:.3g} {result.verdict}")
        except UserError as error:
            say(f"{subject.source} {fault.name}: {error.got or error.fact}"[:200])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("globs", nargs="*", default=["*"])
    parser.add_argument("--faults", action="store_true")
    args = parser.parse_args()
    results: dict = defaultdict(list)
    for subject in SUBJECTS:
        if any(fnmatchcase(subject.source, glob) for glob in args.globs or ["*"]):
            with tempfile.TemporaryDirectory() as name:
                (faulty if args.faults else sound)(subject, Path(name), results)
    for precision, rows in results.items():
        if args.faults:
            real = [(effect, held) for effect, held in rows if effect > 3]
            caught = sum(not held for _, held in real)
            say(f"{precision}: {caught} of {len(real)} faults caught")
        else:
            columns = np.array([row[:3] for row in rows])
            held = sum(row[3] for row in rows)
            say(f"{precision}: {held} of {len(rows)} hold; largest ratio, difference, probes {columns.max(axis=0)}")


if __name__ == "__main__":
    main()
