"""Measures what `zooport map derive` proposes against the maps that ship and are proven.

python -m tests.coverage.derived_maps [--only PATTERN]
"""

from __future__ import annotations

import argparse
import fnmatch
import os
import sys

from parity.weight_sides import open_side
from weight_maps.derive import derive
from weight_maps.plan import plan
from weight_maps.weight_map import describe, find_map, shipped

# From this confidence on a pair counts as one that the proposal is sure of.
SURE = 0.5


def measure(name: str, source: str, target: str) -> str:
    """Return a row: of the pairs of one tensor with one, how many are proposed rightly, and of the sure ones."""
    ours, theirs = open_side(source).checkpoint().specs(), open_side(target).checkpoint().specs()
    work = plan(find_map(name), ours, theirs)
    right = {e.sources[0]: e.targets[0] for e in work.entries if len(e.sources) == len(e.targets) == 1}
    alone = {item.name for item in (*work.dropped, *work.initialised)}
    found = derive(*({n: s for n, s in specs.items() if n not in alone} for specs in (ours, theirs)))
    edges = [edge for edge in found.edges if edge.source in right]
    hits = sum(right[edge.source] == edge.target for edge in edges)
    sure = [edge for edge in edges if edge.confidence >= SURE]
    sure_hits = sum(right[edge.source] == edge.target for edge in sure)
    return f"| `{source}` -> `{target}` | {hits} of {len(right)} | {sure_hits} of {len(sure)} |"


def main() -> None:
    """Measure the first pair of each map that needs no parameters."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="*-to-mindcv")
    args = parser.parse_args()
    print("| pair | right | of the sure ones |\n|---|---|---|")  # noqa: T201
    for name, file in shipped().items():
        told = describe(file)
        if fnmatch.fnmatch(name, args.only) and told["proof"] and not told["parameters"]:
            proof = told["proof"][0]
            print(measure(name, proof["source"], proof["target"]), flush=True)  # noqa: T201
    sys.stdout.flush()
    os._exit(0)  # MindSpore's cells complain where Python itself is already gone


if __name__ == "__main__":
    main()
