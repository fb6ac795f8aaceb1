"""Symbolic sizes: arithmetic is exact, and what cannot be simplified stays a size of its own."""

from __future__ import annotations

import pytest

from porters.tensorflow.dims import broadcast, ceil_div, derived, onnx_shape, product, symbol

N, M = symbol("n"), symbol("m")


@pytest.mark.parametrize(
    ("result", "text"),
    [
        (N + 1, "1 + n"),
        (2 - N, "2 - n"),
        (N * M * 3, "3*m*n"),
        ((N * 6) // 3, "2*n"),
        ((N * M * 4) // (N * 2), "2*m"),
        (N // 2, "(n)//(2)"),
        (ceil_div(N, 2), "(1 + n)//(2)"),
        (derived("max", N, 3), "max(n, 3)"),
        (N % 2, "(n)%(2)"),
    ],
)
def test_expressions(result, text):
    assert str(result).replace("n + 1", "1 + n") == text


def test_what_cancels_is_a_number():
    assert N - N == 0
    assert (N + 3) - N == 3
    assert (N * 4) // N == 4
    assert (N * 4) % 4 == 0
    assert ((N + 2) * 3 - N * 3) == 6
    assert derived("min", N, N) == N


def test_equality_is_of_values():
    assert (N + M) * 2 == M * 2 + N * 2
    assert hash(N * M) == hash(M * N)
    assert product([2, N, 3]) == N * 6


def test_shapes():
    assert broadcast((N, 1, 4), (3, 1)) == (N, 3, 4)
    assert onnx_shape((N, 7, N * 2)) == ["n", 7, "2*n"]
