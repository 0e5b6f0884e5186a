"""Prices that took long, kept in the user's cache folder under a digest of everything that they follow from.

An entry is found again only while the layers, the hardware, the text of the target file, the widths, the mode, the
batch, the version of haqc and the formulas themselves are what they were, so no edit of any of them gives an old price.
A kind of hardware whose tables have never been slow has no folder there, and is not looked up. Entries are NumPy
archives without pickles, written whole or not at all; a damaged one counts as none. The folder may be deleted at any
time.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import os
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs

from haqc import __version__
from haqc.costmodel.prices import Energy, Prices, Traffic

SLOW_S = 0.05
"""Prices that are computed in less time are not kept."""

Shape = tuple[int, int, int, int]

_CYCLES = ("cycles", "compute_cycles", "memory_cycles")
_ENERGY = tuple(f"energy_{field.name}" for field in dataclasses.fields(Energy))
_TRAFFIC = tuple(f"moved_{field.name}" for field in dataclasses.fields(Traffic))
_FREE = "results_are_free"
_MEMBERS = (*_CYCLES, *_ENERGY, *_TRAFFIC, _FREE)
_HEADER_BYTES = 4096


def cache_folder() -> Path:
    """Gives the folder that keeps prices, whether it is there or not."""
    return Path(platformdirs.user_cache_path("haqc", appauthor=False)) / "prices"


def cached_prices(kind: str, question: tuple[object, ...], shape: Shape, price: Callable[[], Prices]) -> Prices:
    """Gives the prices that were kept for a question, or computes them, and keeps them when that took long.

    Args:
        kind: the kind of hardware.
        question: everything that the prices follow from: dataclasses, containers, arrays, numbers and text.
        shape: [layer, weight, activation, output] of the prices.
        price: computes them.
    """
    folder = cache_folder() / kind
    path = folder / f"{_digest(question)}.npz" if folder.is_dir() else None
    kept = _load(path, shape) if path is not None and path.is_file() else None
    if kept is not None:
        return kept
    start = time.perf_counter()
    prices = price()
    if time.perf_counter() - start > SLOW_S:
        with contextlib.suppress(OSError):  # a cache that cannot be written is only slow
            _save(folder / f"{_digest(question)}.npz", prices)
    return prices


def _digest(question: tuple[object, ...]) -> str:
    sha = hashlib.sha256(f"{__version__} {_formulas()}".encode())
    for piece in _pieces(question):
        sha.update(piece)
    return sha.hexdigest()


@functools.cache
def _formulas() -> str:
    """Gives a digest of the sources of the cost models, for those who change them without a new version."""
    sha = hashlib.sha256()
    package = Path(__file__).parents[1]
    for path in sorted([*package.glob("costmodel/*.py"), *package.glob("hardware/*.py")]):
        sha.update(path.read_bytes())
    return sha.hexdigest()


def _pieces(value: object) -> Iterator[bytes]:
    """Yields bytes that differ exactly where values differ; the order of sets and mappings does not count."""
    if isinstance(value, np.ndarray):
        yield f"{value.dtype.str}{value.shape}".encode()
        yield value.tobytes()
    elif dataclasses.is_dataclass(value):
        yield f"{type(value).__name__}(".encode()
        for field in dataclasses.fields(value):
            yield from _pieces(getattr(value, field.name))
        yield b")"
    elif isinstance(value, Mapping):
        yield b"{"
        yield from sorted(b"".join(_pieces(item)) for item in value.items())
        yield b"}"
    elif isinstance(value, set | frozenset):
        yield b"<"
        yield from sorted(b"".join(_pieces(item)) for item in value)
        yield b">"
    elif isinstance(value, tuple | list):
        yield b"["
        for item in value:
            yield from _pieces(item)
        yield b"]"
    else:
        text = f"{type(value).__name__}:{value!r}".encode()
        yield f"{len(text)}:".encode() + text


def _load(path: Path, shape: Shape) -> Prices | None:
    """Reads an entry; gives ``None`` for one that is damaged or does not fit."""
    largest = 8 * int(np.prod(shape)) + _HEADER_BYTES
    try:
        with zipfile.ZipFile(path) as archive:
            sizes = {member.filename: member.file_size for member in archive.infolist()}
        if set(sizes) != {f"{name}.npy" for name in _MEMBERS} or max(sizes.values()) > largest:
            return None
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in _MEMBERS}
    except Exception:  # a damaged archive raises many kinds
        return None
    if not all(_fits(array, shape) for name, array in arrays.items() if name != _FREE):
        return None
    if arrays["cycles"].shape != shape or arrays[_FREE].shape != ():
        return None
    for array in arrays.values():
        array.flags.writeable = False
    return Prices(
        arrays["cycles"],
        Energy(*(arrays[name] for name in _ENERGY)),
        Traffic(*(arrays[name] for name in _TRAFFIC)),
        arrays["compute_cycles"],
        arrays["memory_cycles"],
        bool(arrays[_FREE]),
    )


def _fits(array: np.ndarray[Any, np.dtype[Any]], shape: Shape) -> bool:
    has_numbers = array.dtype in (np.dtype(np.int64), np.dtype(np.float64))
    return has_numbers and array.ndim == 4 and all(n in (1, whole) for n, whole in zip(array.shape, shape, strict=True))


def _save(path: Path, prices: Prices) -> None:
    """Writes an entry whole, or nothing.

    Raises:
        OSError: it cannot be written.
    """
    arrays = {name: getattr(prices, name) for name in _CYCLES}
    arrays |= dict(zip(_ENERGY, prices.energy.parts.values(), strict=True))
    arrays |= dict(zip(_TRAFFIC, prices.moved_bits.parts.values(), strict=True))
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    number, name = tempfile.mkstemp(prefix=".", suffix=".part", dir=path.parent)
    part = Path(name)
    try:
        with os.fdopen(number, "wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays, **{_FREE: np.array(prices.results_are_free)})
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
