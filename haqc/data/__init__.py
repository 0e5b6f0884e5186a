"""Data sources and their splits: ``load`` decides what a source is, reads it and divides it. See ``docs/data.md``."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from haqc.data.confine import confine
from haqc.data.description import Description, read_description
from haqc.data.fit import LAYOUT_AXES, fit
from haqc.data.function import call_function
from haqc.data.idx import has_idx_files, read_idx
from haqc.data.images import read_images
from haqc.data.members import Part, arrange
from haqc.data.split import Dataset, InputSpec, Split, Transform, shape_text
from haqc.data.splits import Ranges, divide
from haqc.data.synthetic import Counts, Role, make_inputs, words_for
from haqc.errors import DataError
from haqc.npz import read_npz
from haqc.userfunction import is_function

__all__ = [
    "Counts", "Dataset", "Description", "InputSpec", "Role", "Split", "Transform", "describe", "load", "synthetic"
]  # fmt: skip


def describe(source: str | None, model_path: Path) -> Description | None:
    """Decides what the data are and how they are read; reads none of them.

    Args:
        source: what ``--data`` names: an ``.npz`` file, a folder of IDX files or of class folders, a data description
            (``.toml``) or ``package.module:function``. ``None`` reads the description beside the model
            (``STEM.data.toml``).
        model_path: the model's file.

    Returns:
        The description, or ``None`` when no source is named and none stands beside the model.

    Raises:
        DataError: the source is of no kind that is known, or the description is wrong.
    """
    if source is not None:
        return _describe(source)
    beside = model_path.parent / f"{model_path.stem}.data.toml"
    return read_description(beside, found_beside_model=True) if beside.is_file() else None


def load(
    source: str | None,
    inputs: tuple[InputSpec, ...],
    model_path: Path,
    *,
    seed: int = 0,
    roles: Mapping[str, Role] | None = None,
    counts: Counts | None = None,
    group: int = 1,
) -> Dataset:
    """Loads the data for a model and divides them into train, search and reported splits.

    Args:
        source: what ``--data`` names, see :func:`describe`. Where that is nothing, inputs are made up.
        inputs: the model's inputs, in its order.
        model_path: the model's file.
        seed: only for made-up inputs; how data are divided does not depend on it.
        roles: what the model does with its inputs, for made-up ones; data where nothing is said.
        counts: samples that are made up for each split; 1,024, 256 and 512 when ``None``.
        group: how many consecutive samples stay together when data are divided.

    Raises:
        DataError: the source cannot be read, is empty, or does not fit the inputs; or an input of open length, or of a
            type that is no number, would have to be made up.
    """
    if not inputs or not all(spec.shape for spec in inputs):
        raise DataError(f"{model_path}: there is no input, or one without a batch axis; give inputs [batch, ...]")
    description = describe(source, model_path)
    if description is not None:
        return _read(description, inputs, group)
    chosen = counts or Counts()
    words = {spec.name: words_for(spec, (roles or {}).get(spec.name, Role())) for spec in inputs}
    return synthetic(make_inputs(inputs, seed, roles, chosen), inputs, chosen, words)


def synthetic(
    arrays: Mapping[str, np.ndarray],
    inputs: tuple[InputSpec, ...],
    counts: Counts,
    words: Mapping[str, str],
    trust: str = "",
) -> Dataset:
    """Divides inputs that were made up.

    Args:
        arrays: samples by input, those to train first, then to search, then to report on.
        inputs: the model's inputs.
        counts: samples of each split.
        words: what was made up for each input.
        trust: how far agreement on them can be trusted.
    """
    first, second = counts.train, counts.train + counts.search
    ranges = Ranges(train=(0, first), search=(first, second), reported=(second, second + counts.reported))
    dataset = _assemble(arrays, inputs, Description("synthetic", "synthetic", ranges=ranges), "synthetic")
    return replace(dataset, made_up=words, trust=trust)


def _describe(source: str) -> Description:
    """Decides by what the source is how it is read."""
    path = Path(source)
    if path.suffix == ".toml":
        return read_description(path, found_beside_model=False)
    if path.suffix == ".npz":
        return Description(source, "npz")
    if path.is_dir():
        return Description(source, "idx" if has_idx_files(path) else "images")
    if is_function(source):
        return Description(source, "function")
    problem = "is no kind of data haqc reads" if path.exists() else "there is no such file or folder"
    raise DataError(
        f"{source}: {problem}; give an .npz file, a folder of IDX files or of class folders, a description (.toml), "
        "or package.module:function"
    )


def _read(description: Description, inputs: tuple[InputSpec, ...], group: int) -> Dataset:
    if description.format == "function":
        return _assemble(call_function(description.location), inputs, description, description.location, group)
    path = Path(description.location)
    if description.format == "npz":
        members = read_npz(confine(path, description.root))
    elif description.format == "idx":
        members = read_idx(path, description.root)
    else:
        description = _as_stored_images(description, inputs)
        members = read_images(path, inputs[0], description.root)
    return _assemble(members, inputs, description, path.absolute().name, group)


def _as_stored_images(description: Description, inputs: tuple[InputSpec, ...]) -> Description:
    if len(inputs) != 1:
        raise DataError(
            f"{description.location}: a folder of images feeds one input, but the model has {len(inputs)}; "
            "give an .npz with one array per input under the input's name"
        )
    if description.transform.layout not in (None, "NHWC"):
        raise DataError(f"{description.location}: 'layout' says nothing about image files; remove the key")
    return replace(description, transform=replace(description.transform, layout="NHWC"))


def _assemble(
    members: Mapping[str, np.ndarray],
    inputs: tuple[InputSpec, ...],
    description: Description,
    name: str,
    group: int = 1,
) -> Dataset:
    where = description.location
    stored, test = arrange(members, inputs, where)
    if test is not None and stored.arrays[0].shape[1:] != test.arrays[0].shape[1:]:
        shapes = " and ".join(shape_text(part.arrays[0].shape) for part in (stored, test))
        raise DataError(f"{where}: x_train and x_test have shapes {shapes}; store samples of one shape")
    if description.transform.changes_values and not any(spec.dtype.kind == "f" for spec in inputs):
        raise DataError(f"{where}: scale, mean and std are for inputs of floats, and the model has none; remove them")
    transforms = _fit(stored, inputs, description.transform, where)
    if test is not None:
        _fit(test, inputs, description.transform, where)
    splits = divide(
        Split(stored.arrays, stored.labels, transforms, inputs[0].shape[0]),
        None if test is None else Split(test.arrays, test.labels, transforms, inputs[0].shape[0]),
        description.ranges,
        where,
        group,
    )
    digest = _digest(members, transforms, description.ranges)
    return Dataset(*splits, name=name, digest=digest, synthetic=description.format == "synthetic")


def _fit(part: Part, inputs: tuple[InputSpec, ...], transform: Transform, where: str) -> tuple[Transform, ...]:
    fitted = []
    for array, name, spec in zip(part.arrays, part.names, inputs, strict=True):
        concerned = transform
        if len(inputs) > 1 and transform.layout is not None and array.ndim != LAYOUT_AXES[transform.layout]:
            concerned = replace(transform, layout=None)  # beside an image, other inputs have no layout
        fitted.append(fit(array, name, spec, concerned, where))
    return tuple(fitted)


def _digest(members: Mapping[str, np.ndarray], transforms: tuple[Transform, ...], ranges: Ranges) -> str:
    """Hashes arrays by name with their types, shapes and bytes, and then what is done to them."""
    digest = hashlib.sha256()
    for name, array in sorted(members.items()):
        digest.update(json.dumps([name, array.dtype.str, array.shape]).encode())
        digest.update(np.ascontiguousarray(array).data)
    done = [asdict(transform) | {"dtype": transform.dtype.str} for transform in transforms]
    digest.update(json.dumps([done, asdict(ranges)], sort_keys=True).encode())
    return digest.hexdigest()
