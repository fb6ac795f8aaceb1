"""Arrays by name from and to ``.npz`` files, without pickles."""

from __future__ import annotations

import io
import zipfile
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
            return {name: archive[name] for name in archive.files}
    except (OSError, ValueError, zipfile.BadZipFile, AttributeError, TypeError) as error:
        raise UserError(
            "the inputs cannot be read", place=str(file), expected="an .npz file of plain arrays", got=str(error)
        ) from error


def write_npz(file: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays by name; the file is there whole or not at all."""
    import numpy as np

    buffer = io.BytesIO()
    np.savez(buffer, **{name: np.asarray(array) for name, array in arrays.items()})  # type: ignore[arg-type]
    if not file.parent.is_dir():
        raise UserError("the output's folder does not exist", place=str(file), hint=f"mkdir -p {file.parent}")
    write_atomically(file, buffer.getvalue())
