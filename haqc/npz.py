"""Reads ``.npz`` archives without trusting them: no pickles, and no array larger than memory."""

from __future__ import annotations

import math
import struct
import zipfile
import zlib
from pathlib import Path
from tokenize import TokenError
from typing import IO

import numpy as np

from haqc.errors import DataError
from haqc.memory import check_size

_BROKEN = (
    *(OSError, EOFError, ValueError, RuntimeError, SyntaxError, TokenError),
    *(zipfile.BadZipFile, zlib.error, struct.error),
)
"""What a damaged, encrypted or foreign archive makes zipfile and numpy raise."""

_BEGINNINGS = (b"PK\x03\x04", b"PK\x05\x06")
"""How an archive begins, the second where it is empty; zipfile would read one behind anything."""


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """Gives the arrays of an archive by name.

    The sizes that the arrays' headers state are added up and checked before the first array is loaded.

    Raises:
        DataError: the file is missing or no archive, a member is damaged, holds anything but numbers, or the arrays
            are larger than 32 GiB or the available memory.
    """
    if not path.is_file():
        raise DataError(f"{path}: there is no such file; give the path of an .npz file")
    try:
        with path.open("rb") as stream:
            if stream.read(4) not in _BEGINNINGS:
                raise zipfile.BadZipFile("it does not begin as one")
        archive = zipfile.ZipFile(path)
    except _BROKEN as error:
        raise DataError(f"{path}: cannot be read as .npz ({error}); write it again with numpy.savez") from error
    with archive:
        members = _names(archive, path)
        check_size(sum(_stated_bytes(archive, info, path) for info in members.values()), str(path))
        return {name: _read(archive, info, path) for name, info in members.items()}


def _names(archive: zipfile.ZipFile, path: Path) -> dict[str, zipfile.ZipInfo]:
    members: dict[str, zipfile.ZipInfo] = {}
    for info in archive.infolist():
        name = info.filename.removesuffix(".npy")
        problem = ""
        if name == info.filename or info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
            problem = "is no .npy array as numpy writes it"
        elif name in members:
            problem = "stands there twice"
        if problem:
            raise DataError(f"{path}: member '{info.filename}' {problem}; write the file again with numpy.savez")
        members[name] = info
    if not members:
        raise DataError(f"{path}: holds no arrays; store x_train, y_train, x_test, y_test, or x, y")
    return members


def _stated_bytes(archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path) -> int:
    """Gives the bytes that one array's header states, having compared them with the archive's own figure."""
    try:
        with archive.open(info) as member:
            shape, dtype = _header(member)
            header_bytes = member.tell()
    except _BROKEN as error:
        raise _unreadable(info, path, error) from error
    if dtype.kind not in "biuf":
        raise DataError(f"{path}: member '{info.filename}' holds {dtype}; store real numbers, no objects and no text")
    size_bytes = math.prod(shape) * dtype.itemsize
    if min(shape, default=0) < 0 or header_bytes + size_bytes != info.file_size:
        raise DataError(
            f"{path}: member '{info.filename}' states shape {list(shape)} of {dtype}, which is not the "
            f"{info.file_size} bytes it has; write the file again with numpy.savez"
        )
    return size_bytes


def _header(member: IO[bytes]) -> tuple[tuple[int, ...], np.dtype]:
    version = np.lib.format.read_magic(member)
    if version != (1, 0):  # later versions are for records, and their headers may be gigabytes long
        raise ValueError(f"array format {version} is not the one for plain numbers")
    shape, _, dtype = np.lib.format.read_array_header_1_0(member)
    return shape, dtype


def _read(archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path) -> np.ndarray:
    try:
        with archive.open(info) as member:
            array: np.ndarray = np.lib.format.read_array(member, allow_pickle=False)
            member.read(1)  # reaching the end makes zipfile compare the checksum
    except _BROKEN as error:
        raise _unreadable(info, path, error) from error
    return array


def _unreadable(info: zipfile.ZipInfo, path: Path, error: Exception) -> DataError:
    words = str(error).splitlines()[0] if str(error) else type(error).__name__
    return DataError(f"{path}: member '{info.filename}' cannot be read ({words}); write it again with numpy.savez")
