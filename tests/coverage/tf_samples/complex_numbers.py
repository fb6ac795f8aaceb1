"""Complex numbers and Fourier transforms; what is compared are real and imaginary parts."""

from __future__ import annotations

from typing import Any

from tests.coverage.tf_samples.sample import SAMPLES, B, Sample, f


def tf() -> Any:
    import tensorflow

    return tensorflow


class ComplexSample(Sample):
    """A sample whose arguments of the name ``complex_...`` are pairs of inputs joined into complex numbers."""

    def call(self, *tensors: Any) -> list[Any]:
        """Join the pairs, run the op, and take its complex results apart."""
        given = dict(zip(self.inputs, tensors, strict=True))
        arguments: dict[str, Any] = {}
        for name, value in self.arguments.items():
            if name.endswith("_imag"):
                continue
            if f"{name}_imag" in self.arguments:
                arguments[name] = tf().complex(given[name], given[f"{name}_imag"])
            else:
                arguments[name] = given.get(name, value)
        result = getattr(tf().raw_ops, self.op)(**arguments)
        return [part for item in tf().nest.flatten(result) for part in _parts(item)]


def _parts(item: Any) -> list[Any]:
    return [tf().math.real(item), tf().math.imag(item)] if item.dtype.is_complex else [item]


def op(name: str, **arguments: Any) -> None:
    """Add a sample; an argument with a partner of the name ``..._imag`` is complex."""
    SAMPLES.setdefault(name, []).append(ComplexSample(name, arguments))


def pair(name: str, *shape: Any) -> dict[str, Any]:
    """Return both parts of a complex argument."""
    return {name: f(*shape), f"{name}_imag": f(*shape)}


op("Complex", real=f(B, 5), imag=f(B, 5))
op("Complex", real=f(B, 5), imag=f(5))
for _name in ("Real", "Imag", "Conj", "Angle"):
    op(_name, **pair("input", B, 5))
op("ComplexAbs", **pair("x", B, 5))
for _name in ("Neg", "Square", "Reciprocal", "Exp"):
    op(_name, **pair("x", B, 5))
for _name in ("Add", "AddV2", "Sub", "Mul", "RealDiv"):
    op(_name, **pair("x", B, 5), **pair("y", B, 5))
    op(_name, **pair("x", B, 5), **pair("y", 5))
op("Cast", **pair("x", B, 5), DstT="float32")
op("Cast", x=f(B, 5), DstT="complex64")
op("MatMul", **pair("a", B, 5), **pair("b", 5, 3))
for _a in (False, True):
    for _b in (False, True):
        op("BatchMatMulV2", **pair("x", B, 4, 4), **pair("y", B, 4, 4), adj_x=_a, adj_y=_b)
op("ConjugateTranspose", **pair("x", B, 4, 5), perm=[0, 2, 1])
op("Transpose", **pair("x", B, 4, 5), perm=[0, 2, 1])
op("Reshape", **pair("tensor", B, 4, 6), shape=[-1, 12])
op("Sum", **pair("input", B, 4, 6), axis=[1])

for _prefix in ("", "I"):
    op(f"{_prefix}FFT", **pair("input", B, 8))
    op(f"{_prefix}FFT", **pair("input", B, 7))
    op(f"{_prefix}FFT2D", **pair("input", B, 6, 8))
    op(f"{_prefix}FFT3D", **pair("input", B, 3, 6, 4))
op("RFFT", input=f(B, 16), fft_length=[16])
op("RFFT", input=f(B, 16), fft_length=[9])
op("RFFT2D", input=f(B, 6, 8), fft_length=[6, 8])
op("RFFT3D", input=f(B, 3, 6, 8), fft_length=[3, 6, 8])
op("IRFFT", **pair("input", B, 9), fft_length=[16])
op("IRFFT", **pair("input", B, 9), fft_length=[15])
op("IRFFT2D", **pair("input", B, 6, 5), fft_length=[6, 8])
op("IRFFT3D", **pair("input", B, 3, 6, 5), fft_length=[3, 6, 8])
