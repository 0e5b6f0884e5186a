"""Named arrays, whatever file they came from, as samples and labels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from haqc.data.split import InputSpec, shape_text
from haqc.errors import DataError, nearest

PAIRED = ("x_train", "y_train", "x_test", "y_test")
SINGLE = ("x", "y")
LARGEST_LABEL = 2**63 - 1


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Samples that were stored together.

    Attributes:
        names: what the arrays are called, for messages.
        arrays: one per model input.
        labels: what is said of each sample, or ``None``; one whole number each is int64, all else as it was stored.
    """

    names: tuple[str, ...]
    arrays: tuple[np.ndarray, ...]
    labels: np.ndarray | None


def arrange(members: Mapping[str, np.ndarray], inputs: tuple[InputSpec, ...], where: str) -> tuple[Part, Part | None]:
    """Gives the train and the test part, or the one part and ``None`` when the data are not divided.

    Args:
        members: arrays by name.
        inputs: the model's inputs.
        where: the data's path, for messages.

    Raises:
        DataError: a name is unknown or missing, lengths differ, something is empty, or values or labels are unusable.
    """
    input_names = tuple(spec.name for spec in inputs)
    check_names(members, input_names, where)
    if any(name in members for name in ("x_train", "x_test")):
        _check_complete(members, required=("x_train", "x_test"), allowed=PAIRED, where=where)
        if ("y_train" in members) != ("y_test" in members):
            raise DataError(f"{where}: only one of y_train and y_test is there; give both, or neither")
        train = _part(members, ("x_train",), "y_train", where)
        return _one_input(train, inputs, where), _part(members, ("x_test",), "y_test", where)
    if "x" in members and not set(input_names) <= set(members):
        _check_complete(members, required=("x",), allowed=SINGLE, where=where)
        return _one_input(_part(members, ("x",), "y", where), inputs, where), None
    _check_complete(members, required=input_names, allowed=(*input_names, "y"), where=where)
    return _part(members, input_names, None if "y" in input_names else "y", where), None


def check_names(names: Iterable[str], input_names: tuple[str, ...], where: str) -> None:
    """Refuses a name that is none of the known ones.

    Raises:
        DataError: naming the nearest known name.
    """
    known = (*PAIRED, *SINGLE, *(name for name in input_names if name not in SINGLE))
    unknown = [name for name in names if name not in known]
    if unknown:
        raise DataError(
            f"{where}: unknown array '{unknown[0]}'{nearest(unknown[0], known)}; allowed are {', '.join(PAIRED)}, "
            f"or x, y, or one array per model input ({', '.join(input_names)}) and y"
        )


def _check_complete(
    members: Mapping[str, np.ndarray], required: tuple[str, ...], allowed: tuple[str, ...], where: str
) -> None:
    missing = [name for name in required if name not in members]
    if missing:
        raise DataError(
            f"{where}: array '{missing[0]}' is missing beside {', '.join(sorted(members)) or 'nothing'}; give x_train "
            "and x_test, or x, or one array per model input"
        )
    stray = [name for name in members if name not in allowed]
    if stray:
        raise DataError(f"{where}: array '{stray[0]}' does not go with {', '.join(required)}; keep one form")


def _one_input(part: Part, inputs: tuple[InputSpec, ...], where: str) -> Part:
    if len(inputs) != 1:
        names = ", ".join(spec.name for spec in inputs)
        raise DataError(
            f"{where}: '{part.names[0]}' is one array, but the model has {len(inputs)} inputs ({names}); "
            "give one array per input under the input's name"
        )
    return part


def _part(members: Mapping[str, np.ndarray], names: tuple[str, ...], label_name: str | None, where: str) -> Part:
    arrays = tuple(_samples(members[name], name, where) for name in names)
    count = len(arrays[0])
    for name, array in zip(names, arrays, strict=True):
        if len(array) != count:
            raise DataError(
                f"{where}: '{names[0]}' has {count} samples and '{name}' has {len(array)}; give as many of each"
            )
    labels = members.get(label_name) if label_name else None
    return Part(names, arrays, None if labels is None else _labels(labels, str(label_name), names[0], count, where))


def _samples(array: np.ndarray, name: str, where: str) -> np.ndarray:
    if array.dtype.kind not in "biuf":
        raise DataError(f"{where}: array '{name}' holds {array.dtype}; store real numbers")
    if array.ndim == 0 or array.size == 0:
        raise DataError(f"{where}: array '{name}' of shape {shape_text(array.shape)} is empty; store samples")
    if array.dtype.kind == "f":
        with np.errstate(invalid="ignore"):  # minimum and maximum carry a NaN on without a copy of the array
            finite = np.isfinite(array.min()) and np.isfinite(array.max())
        if not finite:
            raise DataError(f"{where}: array '{name}' holds NaN or infinity; remove these samples")
    return array


def _labels(labels: np.ndarray, name: str, samples_name: str, count: int, where: str) -> np.ndarray:
    if labels.dtype.kind not in "biuf":
        raise DataError(f"{where}: labels '{name}' hold {labels.dtype}; store class numbers or other real numbers")
    if labels.ndim == 0 or labels.size == 0:
        raise DataError(f"{where}: labels '{name}' of shape {shape_text(labels.shape)} are empty; store one per sample")
    if len(labels) != count:
        raise DataError(f"{where}: '{samples_name}' has {count} samples and '{name}' has {len(labels)}; give one each")
    if labels.dtype.kind == "f" and not np.isfinite(labels).all():
        raise DataError(f"{where}: labels '{name}' hold NaN or infinity; correct them, or remove these samples")
    are_classes = labels.dtype.kind in "iu" and labels.ndim == 1 and int(labels.max()) <= LARGEST_LABEL
    return labels.astype(np.int64) if are_classes else labels
