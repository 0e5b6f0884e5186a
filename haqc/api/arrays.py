"""Arrays in place of a file of data."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np


@contextmanager
def as_source(data: str | Path | Mapping[str, np.ndarray] | None) -> Iterator[str | None]:
    """Gives what ``--data`` would name; arrays lie in a temporary ``.npz`` meanwhile."""
    if data is None or isinstance(data, str | Path):
        yield None if data is None else str(data)
        return
    with tempfile.TemporaryDirectory(prefix="haqc-") as folder:
        path = Path(folder) / "arrays.npz"
        np.savez(path, **{name: np.asarray(array) for name, array in data.items()})  # type: ignore[arg-type]
        yield str(path)
