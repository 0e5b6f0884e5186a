"""Reads a data description: where the data are, in which format, and what is done to them. See ``docs/data.md``."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from haqc.data.confine import confine
from haqc.data.fit import LAYOUT_AXES
from haqc.data.split import Transform
from haqc.data.splits import Range, Ranges
from haqc.errors import DataError, nearest
from haqc.metrics import METRICS

FORMATS = ("npz", "idx", "images", "function")
KEYS = ("path", "format", "layout", "scale", "mean", "std", "metric", "splits")
SPLITS = ("train", "search", "reported")
LARGEST_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Description:
    """Where data are, and how they are read.

    Attributes:
        location: a path, or ``package.module:function``.
        format: ``npz``, ``idx``, ``images`` or ``function``.
        transform: layout, scale, mean and std; not yet fitted to an input.
        ranges: the splits it states.
        metric: name of the built-in metric that suits the data, or ``None``.
        root: the folder that nothing may be read outside of, or ``None``.
    """

    location: str
    format: str
    transform: Transform = field(default_factory=Transform)
    ranges: Ranges = field(default_factory=Ranges)
    metric: str | None = None
    root: Path | None = None


def read_description(path: Path, *, found_beside_model: bool) -> Description:
    """Reads a description; its ``path`` is relative to its own folder.

    Args:
        path: the TOML file.
        found_beside_model: the user did not name it, so it may name no function and nothing outside its folder.

    Raises:
        DataError: the file or a value in it is wrong, or it names what it may not.
    """
    root = path.parent.resolve() if found_beside_model else None
    table = _table(confine(path, root))
    _check_keys(table, KEYS, str(path))
    location = _location(table, path, root)
    transform = Transform(
        layout=_word(table, "layout", tuple(LAYOUT_AXES), path) if "layout" in table else None,
        scale=_scale(table, path),
        mean=_numbers(table, "mean", 0.0, path),
        std=_numbers(table, "std", 1.0, path),
    )
    if any(value <= 0 for value in transform.std):
        raise DataError(f"{path}: 'std' must be above zero, not {table['std']}; give that of the scaled values")
    if len({len(transform.mean), len(transform.std)} - {1}) > 1:
        lengths = f"{len(transform.mean)} and {len(transform.std)}"
        raise DataError(f"{path}: 'mean' and 'std' have {lengths} entries; give one number or one per channel")
    metric = _word(table, "metric", tuple(METRICS), path) if "metric" in table else None
    return Description(location, _word(table, "format", FORMATS, path), transform, _ranges(table, path), metric, root)


def _table(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            text = file.read(LARGEST_BYTES + 1)
        if len(text) > LARGEST_BYTES:
            raise DataError(f"{path}: is larger than {LARGEST_BYTES} bytes; a data description holds a few lines")
        return tomllib.loads(text.decode())
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); give the path of a data description") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DataError(f"{path}: is no valid TOML ({error}); correct it") from error


def _check_keys(table: dict[str, Any], known: Iterable[str], where: str) -> None:
    known = tuple(known)
    for key in table:
        if key not in known:
            raise DataError(f"{where}: unknown key '{key}'{nearest(key, known)}; allowed are {', '.join(known)}")


def _location(table: dict[str, Any], path: Path, root: Path | None) -> str:
    location = table.get("path")
    if not isinstance(location, str) or not location or "\0" in location:
        raise DataError(f"{path}: the key 'path' must be there and hold text; say where the data are")
    if table.get("format") != "function":
        return str(confine(path.parent / location, root))
    if root is not None:
        raise DataError(
            f"{path}: a description found beside a model may not name a function ('{location}'); "
            "give the function or the description with --data"
        )
    return location


def _word(table: dict[str, Any], key: str, known: tuple[str, ...], path: Path) -> str:
    word = table.get(key)
    if not isinstance(word, str) or word not in known:
        hint = nearest(word, known) if isinstance(word, str) else ""
        found = "missing" if word is None else repr(word)
        raise DataError(f"{path}: '{key}' is {found}{hint}; allowed are {', '.join(known)}")
    return word


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < math.inf


def _scale(table: dict[str, Any], path: Path) -> float:
    scale = table.get("scale", 1.0)
    if not _is_number(scale) or scale == 0:
        raise DataError(
            f"{path}: 'scale' must be a number other than zero, not {scale!r}; "
            "to bring 0..255 to 0..1 give 0.00392156862745098"
        )
    return float(scale)


def _numbers(table: dict[str, Any], key: str, default: float, path: Path) -> tuple[float, ...]:
    value = table.get(key, default)
    numbers = value if isinstance(value, list) else [value]
    if not numbers or not all(_is_number(number) for number in numbers):
        raise DataError(f"{path}: '{key}' must be a number or a list of one per channel, not {value!r}; correct it")
    return tuple(float(number) for number in numbers)


def _ranges(table: dict[str, Any], path: Path) -> Ranges:
    splits = table.get("splits", {})
    if not isinstance(splits, dict):
        raise DataError(f"{path}: 'splits' must be a table with {', '.join(SPLITS)}, not {splits!r}; write [splits]")
    _check_keys(splits, SPLITS, f"{path} [splits]")
    return Ranges(**{name: _range(name, limits, path) for name, limits in splits.items()})


def _range(name: str, limits: object, path: Path) -> Range:
    if isinstance(limits, list) and len(limits) == 2:
        start, stop = limits
        if type(start) is int and type(stop) is int and 0 <= start < stop:
            return start, stop
    raise DataError(f"{path}: split '{name}' must be [start, stop] with 0 <= start < stop, not {limits!r}; correct it")
