"""Colours and contrast of images."""

from __future__ import annotations

from porters.tensorflow.context import Context
from porters.tensorflow.formula import Formula, formula
from porters.tensorflow.node import Node
from porters.tensorflow.registry import translates
from porters.tensorflow.tensor import Tensor


def _channels(image: Formula, axis: int) -> tuple[Formula, Formula, Formula]:
    red, green, blue = (image.slice(place, place + 1, axis) for place in range(3))
    return red, green, blue


def to_hsv(image: Formula, axis: int) -> tuple[Formula, Formula, Formula]:
    """Return hue, saturation and value, each with an axis of size one where the channels are."""
    red, green, blue = _channels(image, axis)
    value = red.maximum(green).maximum(blue)
    spread = value - red.minimum(green).minimum(blue)
    positive, flat = value > 0.0, spread <= 0.0
    saturation = positive.where(spread / positive.where(value, 1.0), 0.0)
    norm = 1.0 / (flat.where(1.0, spread) * 6.0)
    hue = red.equals(value).where(
        norm * (green - blue),
        green.equals(value).where(norm * (blue - red) + 2.0 / 6.0, norm * (red - green) + 4.0 / 6.0),
    )
    hue = flat.where(0.0, hue)
    return (hue < 0.0).where(hue + 1.0, hue), saturation, value


def to_rgb(hue: Formula, saturation: Formula, value: Formula, axis: int) -> Formula:
    """Return the image of hue, saturation and value."""
    angle = hue * 6.0
    red = ((angle - 3.0).fn("Abs") - 1.0).maximum(0.0).minimum(1.0)
    green = (2.0 - (angle - 2.0).fn("Abs")).maximum(0.0).minimum(1.0)
    blue = (2.0 - (angle - 4.0).fn("Abs")).maximum(0.0).minimum(1.0)
    mixed = red.of("Concat", green, blue, axis=axis)
    return (1.0 - saturation + saturation * mixed) * value


@translates("RGBToHSV")
def rgb_to_hsv(ctx: Context, node: Node, x: Tensor) -> Tensor:
    """Translate colours to hue, saturation and value."""
    axis = x.rank - 1
    hue, saturation, value = to_hsv(formula(ctx, x), axis)
    return hue.of("Concat", saturation, value, axis=axis).held(x.shape)


@translates("HSVToRGB")
def hsv_to_rgb(ctx: Context, node: Node, x: Tensor) -> Tensor:
    """Translate hue, saturation and value to colours."""
    axis = x.rank - 1
    return to_rgb(*_channels(formula(ctx, x), axis), axis).held(x.shape)


@translates("AdjustHue")
def adjust_hue(ctx: Context, node: Node, x: Tensor, delta: Tensor) -> Tensor:
    """Translate hues turned by part of the circle."""
    axis = x.rank - 1
    hue, saturation, value = to_hsv(formula(ctx, x), axis)
    turned = hue + formula(ctx, delta)
    return to_rgb(turned - turned.fn("Floor"), saturation, value, axis).held(x.shape)


@translates("AdjustSaturation")
def adjust_saturation(ctx: Context, node: Node, x: Tensor, scale: Tensor) -> Tensor:
    """Translate saturations multiplied, within their limits."""
    axis = x.rank - 1
    hue, saturation, value = to_hsv(formula(ctx, x), axis)
    scaled = (saturation * formula(ctx, scale)).maximum(0.0).minimum(1.0)
    return to_rgb(hue, scaled, value, axis).held(x.shape)


@translates("AdjustContrastv2")
def adjust_contrast(ctx: Context, node: Node, x: Tensor, factor: Tensor) -> Tensor:
    """Translate each channel's distance from its mean over the image, multiplied."""
    image = formula(ctx, x)
    mean = image.reduce("ReduceMean", [x.rank - 3, x.rank - 2], keep=True)
    return ((image - mean) * formula(ctx, factor).cast(x.dtype) + mean).held(x.shape)
