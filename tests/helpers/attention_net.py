"""A small attention network in NumPy, as a side of the audit: square matrices, sisters of one shape, a flatten."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from weight_maps.checkpoint import Checkpoint, Tensors

WIDTH, HEIGHT, ROWS = 6, 4, 2


class AttentionNet:
    """Two blocks of attention behind a norm, then a dense layer on the flattened map.

    ``transposed`` says whether matrices are (in, out) as Keras keeps them, ``last`` whether it flattens channels last.
    """

    def __init__(self, seed: int, names: Mapping[str, str], *, transposed: bool, last: bool) -> None:
        random = np.random.default_rng(seed)
        own = {f"{block}.{part}": (WIDTH, WIDTH) for block in ("one", "two") for part in "qkvo"}
        own |= {f"{block}.{part}": (WIDTH,) for block in ("one", "two") for part in ("scale", "shift", "mean", "var")}
        own |= {"head": (5, WIDTH * HEIGHT * ROWS)}
        self._names, self._transposed, self._last = names, transposed, last
        self._own = {name: random.uniform(0.5, 1.5, shape) * _sign(name, random, shape) for name, shape in own.items()}
        if transposed:
            self._own = {name: array.T.copy() for name, array in self._own.items()}

    def checkpoint(self) -> Checkpoint:
        """Return the tensors under this side's names."""
        return Tensors({self._names[name]: array.astype(np.float32) for name, array in self._own.items()})

    def load(self, tensors: Mapping[str, np.ndarray]) -> None:
        """Replace tensors."""
        back = {given: name for name, given in self._names.items()}
        self._own |= {back[name]: np.asarray(array, np.float64) for name, array in tensors.items()}

    def run(self, feeds: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Run on (samples, rows, height, width)."""
        x = np.asarray(feeds[0], np.float64)
        for block in ("one", "two"):
            scale, shift, mean, var = (self._own[f"{block}.{part}"] for part in ("scale", "shift", "mean", "var"))
            h = (x - mean) / np.sqrt(np.abs(var) + 1e-5) * scale + shift
            q, k, v = (h @ self._matrix(f"{block}.{part}") for part in "qkv")
            scores = np.exp(0.001 * (q @ k.swapaxes(-1, -2)))
            x = x + (scores / scores.sum(-1, keepdims=True)) @ v @ self._matrix(f"{block}.o")
        flat = x if self._last else x.transpose(0, 3, 1, 2)
        return [(flat.reshape(len(x), -1) @ self._matrix("head")).astype(np.float32)]

    def _matrix(self, name: str) -> np.ndarray:
        return self._own[name] if self._transposed else self._own[name].T


def _sign(name: str, random: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return np.ones(shape) if name.endswith(("scale", "var")) else random.choice([-1.0, 1.0], shape)


def sides(seed: int = 0) -> tuple[AttentionNet, AttentionNet]:
    """Return a source with Keras' conventions and a target with PyTorch's."""
    parts = [f"{block}.{part}" for block in ("one", "two") for part in (*"qkvo", "scale", "shift", "mean", "var")]
    ours = {name: f"net/{name.replace('.', '/')}" for name in [*parts, "head"]}
    theirs = {name: f"blocks.{name}.w" if name != "head" else "head.weight" for name in [*parts, "head"]}
    source = AttentionNet(seed, ours, transposed=True, last=True)
    return source, AttentionNet(seed + 1, theirs, transposed=False, last=False)


def keras_net() -> AttentionNet:
    """Return the source, for the command line."""
    return sides()[0]


def pytorch_net() -> AttentionNet:
    """Return the target, for the command line."""
    return sides()[1]


MAP = {
    "map": 1,
    "rules": [
        {"from": "net/{b:one|two}/{p:q|k|v|o}", "to": "blocks.{b}.{p}.w", "do": ["transpose"]},
        {"from": "net/{b:one|two}/{p:scale|shift|mean|var}", "to": "blocks.{b}.{p}.w"},
        {
            "from": "net/head",
            "to": "head.weight",
            "do": [
                "transpose",
                {"flatten": {"from": "rhw", "to": "wrh", "sizes": {"r": ROWS, "h": HEIGHT, "w": WIDTH}}},
            ],
        },
    ],
}
