"""Reads images in class folders, converted to the size and the channels that the model's input asks for.

Of an image that has another aspect ratio, the largest centred rectangle of the model's is used; it is scaled with
Pillow's antialiased bilinear filter. An image of the right size keeps its pixels. Rotation notes (EXIF) are not obeyed.
"""

from __future__ import annotations

import importlib
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from haqc.data.confine import confine
from haqc.data.split import InputSpec
from haqc.errors import DataError
from haqc.memory import check_size

SUFFIXES = (".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
FORMATS = ("BMP", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
LARGEST_PIXELS = 64 * 2**20
_COLOURS = {1: "L", 3: "RGB", 4: "RGBA"}
_EIGHT_BIT_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr")


def read_images(folder: Path, spec: InputSpec, root: Path | None = None) -> dict[str, np.ndarray]:
    """Gives images ``[N, H, W, C]`` and labels: ``x_train`` ... of folders train/ and test/, else ``x`` and ``y``.

    Classes are numbered in the order of their folders' names, and files of a class come in the order of theirs.

    Args:
        folder: the folder of class folders, or of train/ and test/ which hold them.
        spec: the model's input.
        root: the folder that no file may lie outside of, or ``None``.

    Raises:
        DataError: the folder is not of this form, the input is none for images, or an image is unreadable or too large.
    """
    channels, size = _wanted(spec, str(folder))
    parts = _parts(folder)
    classes = {name: label for label, name in enumerate(_folders(parts.get("train", folder)))}
    members = {}
    for part, place in parts.items():
        files = _files(place, classes, root)
        size = size or _size(files[0][0])
        check_size(len(files) * size[0] * size[1] * channels, str(place))
        images = np.empty((len(files), size[1], size[0], channels), np.uint8)
        for image, (path, _) in zip(images, files, strict=True):
            image[...] = _pixels(path, channels, size, fixed=None not in _image_axes(spec))
        ending = f"_{part}" if part else ""
        members["x" + ending] = images
        members["y" + ending] = np.array([label for _, label in files], np.int64)
    return members


def _image_axes(spec: InputSpec) -> tuple[int | None, int | None]:
    """Gives the height and the width that the input states."""
    if len(spec.shape) == 3:
        return spec.shape[1], spec.shape[2]
    return (spec.shape[2], spec.shape[3]) if spec.image_channel_axis == 1 else (spec.shape[1], spec.shape[2])


def _wanted(spec: InputSpec, where: str) -> tuple[int, tuple[int, int] | None]:
    """Gives channels, and (width, height) unless the input leaves them open."""
    channels = 1 if len(spec.shape) == 3 else spec.shape[spec.image_channel_axis] if spec.image_channel_axis else None
    if channels is None:
        raise DataError(
            f"{where}: {spec} does not say which axis holds 1, 3 or 4 channels, so images cannot be converted for it; "
            "give the data as an .npz in the input's shape"
        )
    height, width = _image_axes(spec)
    return channels, None if height is None or width is None else (width, height)


def _parts(folder: Path) -> dict[str, Path]:
    """Gives train/ and test/, or the folder itself under the empty name."""
    names = _folders(folder)
    halves = [name for name in ("train", "test") if name in names and _folders(folder / name)]
    if not halves:
        return {"": folder}
    if names != ["test", "train"] or len(halves) != 2:
        raise DataError(
            f"{folder}: holds the folders {', '.join(names)}; give class folders only, or train/ and test/ only, "
            "each with class folders (the search split is taken from train/)"
        )
    return {"train": folder / "train", "test": folder / "test"}


def _folders(folder: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    except OSError as error:
        raise DataError(f"{folder}: cannot be read ({error.strerror}); give a folder of class folders") from error


def _files(folder: Path, classes: dict[str, int], root: Path | None) -> list[tuple[Path, int]]:
    files = []
    for name in _folders(folder):
        if name not in classes:
            raise DataError(f"{folder}: class '{name}' is not among the classes of train/; give both the same classes")
        entries = sorted(entry for entry in (folder / name).iterdir() if not entry.name.startswith("."))
        for entry in entries:
            if not entry.is_file() or entry.suffix.lower() not in SUFFIXES:
                raise DataError(f"{entry}: is no image; keep only {', '.join(SUFFIXES)} files in class folders")
            files.append((confine(entry, root), classes[name]))
    if not files:
        raise DataError(f"{folder}: holds no images; give one folder per class with images in it")
    return files


def _pillow() -> Any:
    try:
        return importlib.import_module("PIL.Image")
    except ImportError as error:
        raise DataError("reading images needs Pillow, which is not installed; run 'pip install pillow'") from error


def _open(path: Path) -> Any:
    """Opens an image without decoding it, having checked its stated size."""
    pillow = _pillow()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", pillow.DecompressionBombWarning)  # our own limit is the lower one
            image = pillow.open(path, formats=FORMATS)
    except (OSError, ValueError, SyntaxError, pillow.DecompressionBombError) as error:
        raise _unreadable(path, error) from error
    if image.width * image.height > LARGEST_PIXELS:
        image.close()
        raise DataError(
            f"{path}: has {image.width} x {image.height} pixels, over the {LARGEST_PIXELS} allowed; make it smaller"
        )
    return image


def _size(path: Path) -> tuple[int, int]:
    with _open(path) as image:
        return int(image.width), int(image.height)


def _pixels(path: Path, channels: int, size: tuple[int, int], *, fixed: bool) -> np.ndarray:
    """Gives one image as ``[H, W, C]``; an input of open size (not ``fixed``) takes only images that have ``size``."""
    with _open(path) as image:
        if not fixed and image.size != size:
            raise DataError(
                f"{path}: has {image.width} x {image.height} pixels and the first image {size[0]} x {size[1]}; "
                "the model leaves its size open, so give images of one size"
            )
        if image.mode not in _EIGHT_BIT_MODES:
            raise DataError(f"{path}: has pixels of kind '{image.mode}'; store images with 8 bits per channel")
        try:
            opaque = image.convert("RGBA") if image.mode in {"P", "PA"} else image  # a palette may hold transparency
            coloured = opaque.convert(_COLOURS[channels])
            if coloured.size != size:
                coloured = coloured.resize(size, _pillow().Resampling.BILINEAR, box=_centre(coloured.size, size))
        except (OSError, ValueError, SyntaxError, EOFError) as error:
            raise _unreadable(path, error) from error
    return np.asarray(coloured, np.uint8).reshape(size[1], size[0], channels)


def _centre(size: tuple[int, int], wanted: tuple[int, int]) -> tuple[float, float, float, float]:
    """Gives left, top, right and bottom of the largest centred rectangle with the wanted aspect ratio."""
    scale = min(size[0] / wanted[0], size[1] / wanted[1])
    width, height = wanted[0] * scale, wanted[1] * scale
    left, top = (size[0] - width) / 2, (size[1] - height) / 2
    return left, top, min(left + width, size[0]), min(top + height, size[1])


def _unreadable(path: Path, error: Exception) -> DataError:
    return DataError(f"{path}: cannot be read as an image ({error}); replace or remove it")
