"""Holds the TensorFlow porter against samples of every op of ``tf.raw_ops`` that has a meaning in inference.

    python -m tests.coverage.tf_raw_ops -o OUT.jsonl [--only PATTERN] [--again] [--minutes M]
    python -m tests.coverage.tf_raw_ops -o OUT.jsonl --table > docs/tensorflow-ops.md

An op is right only if every sample of it is. A run that is stopped goes on where it was.
"""

from __future__ import annotations

import sys

from tests.coverage.tf_command import run
from tests.coverage.tf_judge import judge_op
from tests.coverage.tf_samples.sample import load
from tests.coverage.tf_table import page


def main() -> int:
    """Go over the ops."""
    return run(__doc__, load, judge_op, page)


if __name__ == "__main__":
    sys.exit(main())
