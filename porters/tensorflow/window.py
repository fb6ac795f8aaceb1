"""The geometry of sliding windows: TensorFlow's strides, dilations and padding as ONNX attributes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from porters.tensorflow.dims import Dim, Shape, ceil_div
from porters.tensorflow.node import Node
from porters.tensorflow.tensor import Order, channels_first, logical


@dataclass(frozen=True)
class Window:
    """How a kernel moves over the spatial axes.

    Attributes:
        channels_last: Whether the channels are the last axis.
        strides: For each spatial axis.
        dilations: For each spatial axis.
        padding: ``SAME``, ``VALID`` or ``EXPLICIT``.
        explicit: Begin and end for each spatial axis where the padding is explicit.
    """

    channels_last: bool
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    padding: str
    explicit: tuple[tuple[int, int], ...] = ()

    @staticmethod
    def of(node: Node) -> Window:
        """Read the attributes of a convolution or pooling."""
        channels_last = Window.is_channels_last(node)
        strides = [int(item) for item in node.attr("strides")]
        dilations = [int(item) for item in _attr(node, "dilations", [])] or [1] * len(strides)
        flat = [int(item) for item in _attr(node, "explicit_paddings", [])]
        pairs = list(zip(flat[0::2], flat[1::2], strict=True))
        cut = slice(1, -1) if channels_last else slice(2, None)
        return Window(
            channels_last,
            tuple(strides[cut]),
            tuple(dilations[cut]),
            _text(node.attr("padding")),
            tuple(pairs[cut]),
        )

    @staticmethod
    def of_parts(node: Node, dilations: Sequence[int], strides: Sequence[int] | None = None) -> Window:
        """Read the attributes of a window whose dilations, and perhaps strides, are not where a convolution's are."""
        channels_last = Window.is_channels_last(node)
        steps = [int(item) for item in (strides if strides is not None else node.attr("strides"))]
        inner = steps[1:-1] if channels_last else steps[2:]
        return Window(channels_last, tuple(inner), tuple(dilations), _text(node.attr("padding")))

    @staticmethod
    def is_channels_last(node: Node) -> bool:
        """Say whether the node's channels are the last axis, which is TensorFlow's default."""
        return _text(_attr(node, "data_format", "NHWC")).endswith(("C", "LAST"))

    def order(self, rank: int) -> Order:
        """Return the order in which ONNX wants the value."""
        return channels_first(rank) if self.channels_last else logical(rank)

    def spatial(self, shape: Shape) -> Shape:
        """Return the spatial sizes of ``shape``."""
        return shape[1:-1] if self.channels_last else shape[2:]

    def channels(self, shape: Shape) -> Dim:
        """Return the number of channels of ``shape``."""
        return shape[-1] if self.channels_last else shape[1]

    def shape(self, batch: Dim, channels: Dim, spatial: Sequence[Dim]) -> Shape:
        """Return a logical shape."""
        return (batch, *spatial, channels) if self.channels_last else (batch, channels, *spatial)

    def tail(self) -> Window:
        """Return the window without its first spatial axis."""
        return replace(self, strides=self.strides[1:], dilations=self.dilations[1:], explicit=self.explicit[1:])

    def extents(self, kernel: Sequence[int]) -> list[int]:
        """Return how far the kernel reaches along each axis, holes counted."""
        return [(size - 1) * step + 1 for size, step in zip(kernel, self.dilations, strict=True)]

    def result(self, spatial: Sequence[Dim], kernel: Sequence[int]) -> list[Dim]:
        """Return the spatial sizes of the result."""
        extents = self.extents(kernel)
        if self.padding == "SAME":
            return [ceil_div(size, step) for size, step in zip(spatial, self.strides, strict=True)]
        pads = self.explicit or ((0, 0),) * len(extents)
        return [
            (size + (sum(pad) - extent)) // step + 1
            for size, pad, extent, step in zip(spatial, pads, extents, self.strides, strict=True)
        ]

    def attributes(self, spatial: Sequence[Dim], kernel: Sequence[int], dilated: bool = True) -> dict[str, Any]:
        """Return ONNX's attributes; padding is written out unless it depends on a size that is not known."""
        found: dict[str, Any] = {"kernel_shape": list(kernel), "strides": list(self.strides)}
        if dilated:
            found["dilations"] = list(self.dilations)
        if self.padding == "VALID":
            return found
        pairs = list(self.explicit) if self.padding == "EXPLICIT" else self._same(spatial, kernel)
        if pairs is None:
            return {**found, "auto_pad": "SAME_UPPER"}
        return {**found, "pads": [pair[0] for pair in pairs] + [pair[1] for pair in pairs]}

    def _same(self, spatial: Sequence[Dim], kernel: Sequence[int]) -> list[tuple[int, int]] | None:
        pairs = []
        for size, extent, step in zip(spatial, self.extents(kernel), self.strides, strict=True):
            needed = (ceil_div(size, step) - 1) * step + extent - size
            if not isinstance(needed, int):
                return None
            total = max(needed, 0)
            pairs.append((total // 2, total - total // 2))
        return pairs


def static_sizes(sizes: Sequence[Dim]) -> list[int] | None:
    """Return the sizes as integers, ``None`` if one is symbolic."""
    return [cast("int", size) for size in sizes] if all(isinstance(size, int) for size in sizes) else None


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _attr(node: Node, name: str, default: Any) -> Any:
    try:
        return node.attr(name)
    except ValueError:
        return default
