"""The pages of the TensorFlow coverage runs: every raw op, every layer, and what became of it."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Mapping

from porters.tensorflow import registry
from tests.coverage.tf_judge import Row
from tests.coverage.tf_meaning import RANDOM, why_none, why_not

COMMAND = "python -m tests.coverage.tf_raw_ops -o ops.jsonl"
LAYERS_COMMAND = "python -m tests.coverage.keras_layers -o layers.jsonl"


def raw_ops() -> list[str]:
    """Return the name of every op of ``tf.raw_ops``."""
    import tensorflow as tf

    return sorted(name for name in dir(tf.raw_ops) if name[0].isupper())


def page(rows: Mapping[str, Row]) -> str:
    """Return the page of a run over the raw ops."""
    import tensorflow as tf

    names = raw_ops()
    right = {name: row for name, row in rows.items() if row.status == "right"}
    failed = {name: row for name, row in rows.items() if row.status != "right"}
    left = [name for name in names if name not in rows]
    nothing = {name: reason for name in left if (reason := why_none(name))}
    cannot = {name: reason for name in left if name not in nothing and (reason := why_not(name))}
    registry.load()
    random = [name for name in cannot if RANDOM.search(name) and name in registry.TRANSLATORS]
    for name in random:
        del cannot[name]
    pending = [name for name in left if name not in nothing and name not in cannot and name not in random]
    total = len(names) - len(nothing) - len(cannot) - len(random)
    translated = [name for name, row in right.items() if row.nodes <= 1]
    lines = [
        "# TensorFlow's operations",
        "",
        f"`tf.raw_ops` of TensorFlow {tf.__version__} has {len(names)} ops; {len(names) - len(nothing)} have "
        f"a meaning in a static numeric graph. Of these {len(cannot)} cannot be translated (below, with reasons) and "
        f"{len(random)} draw random numbers, which another generator does in the port. Of the other {total}, "
        f"{len(right)} are right ({len(right) / max(total, 1):.0%}): {len(translated)} translated (one ONNX operator), "
        f"{len(right) - len(translated)} composed of several; {len(failed)} fail, {len(pending)} are not yet there.",
        "",
        "An op is right if every sample of it is: ported with an open batch, run on ONNX Runtime (optimised and not) "
        "with batches of 1, 2 and 3, and compared with TensorFlow. Integers are equal; floats keep to the noise budget "
        "against float64 where TensorFlow computes the op in float64, else against its own float32 within 3 units in "
        "the last place on the norm.",
        "",
        f"Made on {datetime.datetime.now(datetime.UTC).date()} by",
        "",
        f"    {COMMAND}\n    {COMMAND} --table > docs/tensorflow-ops.md",
        "",
        "## Right",
        "",
        "| op | how | samples | judged against float64 | computing nodes, at most |",
        "|---|---|---|---|---|",
        *(
            f"| {name} | {'translated' if row.nodes <= 1 else 'composed'} | {row.samples} | {row.truth} | {row.nodes} |"
            for name, row in sorted(right.items())
        ),
        "",
    ]
    lines += [
        "## Random, by another generator",
        "",
        "The seed is frozen and the card declares the difference; what is tested is the shape, the type and the "
        "distribution. Of constant seeds and sizes the stateless ones are computed while translating, exactly.",
        "",
        ", ".join(random),
        "",
    ]
    lines += _table("Failing", {name: f"{row.status}: {row.reason}" for name, row in failed.items()})
    lines += _table("Impossible", cannot)
    lines += ["## Not yet", "", ", ".join(pending) or "None.", "", "## No meaning in a static numeric graph", ""]
    counts = Counter(nothing.values())
    for reason, count in counts.most_common():
        members = ", ".join(name for name in sorted(nothing) if nothing[name] == reason)
        lines += [f"**{reason}** ({count}): {members}", ""]
    return "\n".join(lines)


def layers_page(rows: Mapping[str, Row]) -> str:
    """Return the page of a run over the layers of Keras."""
    import keras

    counts = Counter(row.status for row in rows.values())
    samples = Counter[str]()
    for row in rows.values():
        samples.update(row.counts)
    lines = [
        "# Keras' layers",
        "",
        f"{len(rows)} layer classes of Keras {keras.__version__} with {sum(samples.values())} cases of their options: "
        f"{counts['right']} classes and {samples['right']} cases are right, {samples['no kernel']} cases are such that "
        "Keras or TensorFlow does not run them on a CPU. Recurrent layers are tested by themselves.",
        "",
        f"Made on {datetime.datetime.now(datetime.UTC).date()} by",
        "",
        f"    {LAYERS_COMMAND}\n    {LAYERS_COMMAND} --table > docs/keras-layers.md",
        "",
        "| layer | status | cases | what is not right |",
        "|---|---|---|---|",
    ]
    for name, row in sorted(rows.items()):
        told = ", ".join(f"{count} {status}" for status, count in row.counts.items())
        lines.append(f"| {name} | {row.status} | {told} | {_short(row.reason)} |")
    return "\n".join(lines) + "\n"


def _table(title: str, reasons: Mapping[str, str]) -> list[str]:
    if not reasons:
        return []
    rows = [f"| {name} | {_short(reasons[name])} |" for name in sorted(reasons)]
    return [f"## {title}", "", "| op | why |", "|---|---|", *rows, ""]


def _short(text: str) -> str:
    return text[:200].replace("|", "/").replace("\n", " ")
