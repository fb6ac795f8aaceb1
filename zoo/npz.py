"""Arrays by name from and to ``.npz`` files, without pickles."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.errors import UserError
from zoo.record import write_atomically

if TYPE_CHECKING:
    import numpy as np


def read_npz(file: Path) -> dict[str, np.ndarray]:
    """Read arrays by name.

    Raises:
        UserError: If the file is missing, no ``.npz``, or holds Python objects.
    """
    import numpy as np

    try:
        with np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except Exception as error:  # zipfile, zlib and NumPy raise a dozen kinds on files that are damaged or hostile
        raise UserError(
            "the inputs cannot be read",
            place=str(file),
            expected="an .npz file of plain arrays",
            got=str(error) or type(error).__name__,
        ) from error
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray):
            raise UserError(
                "the inputs cannot be read", place=f"{file}: {name}", expected="an array", got=type(array).__name__
            )
    return arrays


def write_npz(file: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays by name; the file is there whole or not at all."""
    import numpy as np

    buffer = io.BytesIO()
    np.savez(buffer, **{name: np.asarray(array) for name, array in arrays.items()})  # type: ignore[arg-type]
    if not file.parent.is_dir():
        raise UserError("the output's folder does not exist", place=str(file), hint=f"mkdir -p {file.parent}")
    try:
        write_atomically(file, buffer.getvalue())
    except OSError as error:
        raise UserError("the outputs cannot be written", place=str(file), got=str(error)) from error
