"""FlashAttention against a NumPy attention with the same roundings, in every form of call."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from zoo.ascend.compiler import compile_model
from zoo.ascend.functions import DOMAIN

SETTINGS = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
B, S, L, D, DV = 2, 3, 4, 8, 5


def attention(q, k, v, fp16, *, scale=None, softcap=0.0, causal=False, mask=None):
    """ONNX Attention on ``(B, H, S, D)`` with the cube's roundings; everything between the products in float32."""
    group = q.shape[1] // k.shape[1]
    k, v = np.repeat(k, group, axis=1), np.repeat(v, group, axis=1)
    scores = fp16(fp16(q) @ fp16(k).swapaxes(-1, -2)) * np.float32(scale or q.shape[-1] ** -0.5)
    if softcap:
        scores = np.tanh(scores / np.float32(softcap)) * np.float32(softcap)
    bias = np.zeros(scores.shape, np.float32)
    if causal:
        bias = bias + np.where(np.tri(*scores.shape[-2:]) > 0, 0, -np.inf)
    if mask is not None:
        bias = bias + (np.where(mask, 0, -np.inf) if mask.dtype == bool else mask)
    scores = scores + bias
    top = scores.max(axis=-1, keepdims=True)
    powers = np.exp(scores - np.where(np.isneginf(top), 0, top)).astype(np.float32)
    total = powers.sum(axis=-1, keepdims=True)
    return fp16(fp16(powers / np.where(total == 0, 1, total)) @ fp16(v))


def split(x, heads):
    return x.reshape(*x.shape[:2], heads, -1).swapaxes(1, 2)


def graph(q, k, v, mask, attributes):
    """The text of a graph with one Attention node."""
    kind = {"b": "bool", "f": "float"}.get(mask.dtype.kind) if mask is not None else None
    mask_input = f", {kind}{list(mask.shape)} m" if kind else ""
    out = ["A", "B", "C", "E"][: q.ndim]
    return (
        f"g (float{list(q.shape)} q, float{list(k.shape)} k, float{list(v.shape)} v{mask_input}) "
        f"=> (float[{', '.join(out)}] y) {{ y = Attention<{attributes}>(q, k, v{', m' if kind else ''}) }}"
    )


def feeds(q, k, v, mask):
    return {"q": q, "k": k, "v": v} | ({} if mask is None else {"m": mask})


@SETTINGS
@given(
    seed=st.integers(0, 2**32 - 1),
    rank=st.sampled_from([3, 4]),
    heads=st.sampled_from([(2, 2), (4, 2), (4, 1)]),
    scale=st.sampled_from([None, 0.5]),
    softcap=st.sampled_from([0.0, 2.0]),
    causal=st.booleans(),
    mask=st.sampled_from([None, "bool", "float", "heads", "infinite"]),
)
def test_every_form(chip, fp16, read, run, compiled_run, seed, rank, heads, scale, softcap, causal, mask):
    rng = np.random.default_rng(seed)
    shapes = (B, heads[0], S, D), (B, heads[1], L, D), (B, heads[1], L, DV)
    q, k, v = (rng.standard_normal(shape).astype(np.float32) for shape in shapes)
    masks = {
        "bool": rng.random((S, L)) > 0.4,
        "float": rng.standard_normal((B, 1, S, L)).astype(np.float32),
        "heads": rng.random((B, heads[0], S, L)) > 0.4,
        "infinite": np.where(rng.random((S, L)) > 0.4, 0, -np.inf).astype(np.float32),
    }
    m = masks.get(mask)
    wanted = attention(q, k, v, lambda x: fp16(x, chip), scale=scale, softcap=softcap, causal=causal, mask=m)
    attributes = [f"is_causal = {int(causal)}"]
    attributes += [f"scale = {scale}"] if scale else []
    attributes += [f"softcap = {softcap}"] if softcap else []
    if rank == 3:
        attributes += [f"q_num_heads = {heads[0]}", f"kv_num_heads = {heads[1]}"]
        q, k, v, wanted = (x.swapaxes(1, 2).reshape(B, x.shape[2], -1) for x in (q, k, v, wanted))
    model = read(graph(q, k, v, m, ", ".join(attributes)))
    (result,) = compiled_run(model, chip, feeds(q, k, v, m))
    # A score next to a tie may round the other way: one fp16 step of a weight, at most 2**-11 of the largest value.
    np.testing.assert_allclose(result, wanted, rtol=2e-3, atol=2e-3)
    assert np.mean(result == wanted) > 0.8
    # And the operator of the source model is the same but for fp16.
    np.testing.assert_allclose(result, run(model, feeds(q, k, v, m))[0], rtol=0.02, atol=0.02)


def test_bit_for_bit_where_the_softmax_is_exact(chip, fp16, read, compiled_run):
    # Equal scores over four keys: every weight is 1/4, so only the roundings of V and Y are left.
    q, k = np.zeros((1, 2, S, D), np.float32), np.zeros((1, 2, 4, D), np.float32)
    v = np.random.default_rng(0).integers(-4000, 4000, (1, 2, 4, DV)).astype(np.float32)
    (result,) = compiled_run(read(graph(q, k, v, None, "scale = 1.0")), chip, feeds(q, k, v, None))
    mean = fp16(fp16(v, chip).mean(axis=2, keepdims=True), chip)
    np.testing.assert_array_equal(result, np.broadcast_to(mean, result.shape))


@pytest.mark.parametrize("kind", [bool, np.float32])
def test_a_row_with_nothing_allowed_is_zero(chip, read, compiled_run, kind):
    rng = np.random.default_rng(0)
    q, k, v = (rng.standard_normal((1, 1, 3, 4)).astype(np.float32) for _ in range(3))
    allowed = np.array([[1, 1, 1], [0, 0, 0], [1, 0, 0]], bool)
    mask = allowed if kind is bool else np.where(allowed, 0, -np.inf).astype(np.float32)
    (result,) = compiled_run(read(graph(q, k, v, mask, "scale = 1.0")), chip, feeds(q, k, v, mask))
    assert not result[0, 0, 1].any()
    assert result[0, 0, [0, 2]].all()


def test_scores_overflow_as_the_cube_does(chip, read, compiled_run):
    # q k = 4 * 200 * 200 is beyond fp16 for the first key; the scale comes too late to help.
    q = np.full((1, 1, 1, 4), 200, np.float32)
    k = np.float32([[[[200] * 4, [0] * 4]]])
    v = np.float32([[[[1], [2]]]])
    (result,) = compiled_run(read(graph(q, k, v, None, "scale = 0.00001")), chip, feeds(q, k, v, None))
    if chip.saturates:
        weight = 1 / (1 + np.exp(-0.65504))
        assert result.item() == pytest.approx(2 - weight, rel=1e-3)
    else:
        assert np.isnan(result.item())


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        ("y = Attention<scale = 1.0>(q, q, q, , q, q)", "past"),
        ("y, k2, v2, s = Attention<scale = 1.0>(q, q, q)", "outputs"),
        ("y = Attention<scale = 1.0>(q, q, q, i)", "mask"),
    ],
)
def test_what_has_no_form_stays_and_is_reported(chip, read, call, reason):
    outputs = "float[A, B, C, D] y" + (", float[E, F, G, H] s" if "s =" in call else "")
    model = read(f"g (float[1, 2, 3, 4] q, int64[3, 3] i) => ({outputs}) {{ {call} }}")
    node = compile_model(model, chip).graph.node(0)
    assert (node.domain, node.op_type, node.metadata_props["unit"]) == ("", "Attention", "unsupported")
    assert reason in node.metadata_props["reason"]


def test_unused_outputs_are_no_obstacle(chip, read):
    model = read("g (float[1, 2, 3, 4] q) => (float[A, B, C, D] y) { y, k2, v2 = Attention<scale = 1.0>(q, q, q) }")
    assert compile_model(model, chip).graph.node(0).domain == DOMAIN
