"""One case of each layer class of Keras; ``python -m tests.coverage.keras_layers`` runs the whole grids."""

from __future__ import annotations

import pytest

pytest.importorskip("keras")

from tests.coverage.keras_layers import judge, judge_layer
from tests.coverage.keras_samples import Case, case, cases

# Keras 3.15 cannot put this layer into a functional model.
UNBUILDABLE = {"Equalization"}
LAST = {item.layer: item for item in cases() if "channels_first" not in item.label}
LAST["Resizing"] = case("Resizing", (9, 10, 4), height=5, width=7, interpolation="bicubic", crop_to_aspect_ratio=True)


# One layer in twelve; every one in `make thorough`, every case by command.
SHARE = 12


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.thorough] if place % SHARE else [])
        for place, name in enumerate(sorted(LAST))
    ],
)
def test_layer(name: str) -> None:
    verdict = judge(LAST[name])
    assert verdict.status == ("no kernel" if name in UNBUILDABLE else "right"), verdict.reason


def test_a_layer_with_a_case_that_fails_is_not_right() -> None:
    import keras

    def unsupported() -> object:
        import tensorflow as tf

        return keras.layers.Lambda(lambda x: tf.raw_ops.RandomGamma(shape=[3], alpha=x))

    row = judge_layer("Lambda", [case("Identity", (5,)), Case("Lambda", "no translation", unsupported, ((5,),))])
    assert row.status == "unsupported"
    assert "RandomGamma" in row.reason
