"""What is known of a tensor without its elements, and the fingerprint of its elements."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

# Names of dtypes that NumPy has from ml_dtypes.
EXTENDED = ("bfloat16", "float8_e4m3fn", "float8_e5m2")


@dataclass(frozen=True)
class Spec:
    """Shape and dtype of a tensor.

    Attributes:
        shape: Sizes of its axes.
        dtype: NumPy's name of the dtype, or one of :data:`EXTENDED`.
    """

    shape: tuple[int, ...]
    dtype: str

    @property
    def elements(self) -> int:
        """How many elements it has."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """How many bytes its elements take."""
        return self.elements * int(numpy_dtype(self.dtype).itemsize)

    def __str__(self) -> str:
        """Return it as people write it: ``float32[2, 3]``."""
        return f"{self.dtype}{list(self.shape)}"


def numpy_dtype(name: str) -> np.dtype[Any]:
    """Return the NumPy dtype of a name, those of ml_dtypes too.

    Raises:
        TypeError: If there is no dtype of that name.
    """
    import numpy as np

    if name in EXTENDED:
        import ml_dtypes

        extended: np.dtype[Any] = np.dtype(getattr(ml_dtypes, name))
        return extended
    return np.dtype(name)


def spec_of(array: np.ndarray) -> Spec:
    """Return shape and dtype of an array."""
    return Spec(tuple(int(size) for size in array.shape), str(array.dtype))


def sha256_of(array: np.ndarray) -> str:
    """Return the sha256 of an array's elements in row-major order (their bytes alone, without shape or dtype)."""
    import numpy as np

    flat = np.ascontiguousarray(array).reshape(-1)
    return hashlib.sha256(flat.view(np.uint8).data).hexdigest()


def same_bits(one: np.ndarray, other: np.ndarray) -> bool:
    """Return whether two arrays have the same shape, dtype and bytes; NaN payloads and signs of zero count."""
    return spec_of(one) == spec_of(other) and sha256_of(one) == sha256_of(other)
