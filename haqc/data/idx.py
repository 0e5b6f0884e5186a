"""Reads the four standard IDX files of MNIST and its relatives (LeCun et al., 1998), plain or gzipped."""

from __future__ import annotations

import gzip
import io
import math
import zlib
from pathlib import Path

import numpy as np

from haqc.data.confine import confine
from haqc.errors import DataError
from haqc.memory import check_size

FILES = {
    "x_train": "train-images-idx3-ubyte",
    "y_train": "train-labels-idx1-ubyte",
    "x_test": "t10k-images-idx3-ubyte",
    "y_test": "t10k-labels-idx1-ubyte",
}
_AXES = {"x_train": 3, "y_train": 1, "x_test": 3, "y_test": 1}
_MAGIC = {1: 2049, 3: 2051}  # unsigned bytes (0x08) with one and with three axes
_WORD_BYTES = 4
_CHUNK_BYTES = 2**20


def has_idx_files(folder: Path) -> bool:
    """Whether any of the four standard files is there."""
    return any((folder / (name + suffix)).exists() for name in FILES.values() for suffix in ("", ".gz"))


def read_idx(folder: Path, root: Path | None = None) -> dict[str, np.ndarray]:
    """Gives ``x_train``, ``y_train``, ``x_test`` and ``y_test``, all uint8; images are ``[N, H, W]``.

    Args:
        folder: where the four files are.
        root: the folder that no file may lie outside of, or ``None``.

    Raises:
        DataError: a file is missing, is no IDX file of its kind, or has more or less data than its header states.
    """
    paths = {member: confine(_find(folder, name), root) for member, name in FILES.items()}
    shapes = {member: _shape(path, _AXES[member]) for member, path in paths.items()}
    check_size(sum(math.prod(shape) for shape in shapes.values()), str(folder))
    return {member: _values(path, shapes[member]) for member, path in paths.items()}


def _find(folder: Path, name: str) -> Path:
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    raise DataError(f"{folder}: there is no {name} or {name}.gz; an IDX folder holds {', '.join(FILES.values())}")


def _open(path: Path) -> io.BufferedIOBase:
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")


def _shape(path: Path, axes: int) -> tuple[int, ...]:
    try:
        with _open(path) as file:
            header = file.read(_WORD_BYTES * (1 + axes))
    except (OSError, EOFError, zlib.error) as error:
        raise _unreadable(path, error) from error
    words = [int.from_bytes(header[i : i + _WORD_BYTES], "big") for i in range(0, len(header), _WORD_BYTES)]
    if len(header) != _WORD_BYTES * (1 + axes) or words[0] != _MAGIC[axes]:
        kind = "images" if axes == _AXES["x_train"] else "labels"
        raise DataError(f"{path}: is no IDX file of {kind} (it must begin with {_MAGIC[axes]}); fetch it again")
    return tuple(words[1:])


def _values(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    """Reads exactly as many bytes as the header states, and looks for one more."""
    values = bytearray(math.prod(shape))
    done = 0
    try:
        with _open(path) as file:
            file.read(_WORD_BYTES * (1 + len(shape)))
            while done < len(values) and (chunk := file.read(min(_CHUNK_BYTES, len(values) - done))):
                values[done : done + len(chunk)] = chunk
                done += len(chunk)
            has_more = bool(file.read(1))
    except (OSError, EOFError, zlib.error) as error:
        raise _unreadable(path, error) from error
    if done < len(values) or has_more:
        held = "more" if has_more else str(done)
        raise DataError(
            f"{path}: the header states {list(shape)}, {len(values)} bytes, but there are {held}; fetch it again"
        )
    return np.frombuffer(values, np.uint8).reshape(shape)


def _unreadable(path: Path, error: Exception) -> DataError:
    return DataError(f"{path}: cannot be read ({error}); fetch the file again, it may be cut off")
