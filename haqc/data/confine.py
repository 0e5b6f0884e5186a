"""Keeps what a description found beside a model may open within its folder."""

from __future__ import annotations

from pathlib import Path

from haqc.errors import DataError


def confine(path: Path, root: Path | None) -> Path:
    """Gives ``path`` back when it lies within ``root`` once links are followed; always when ``root`` is ``None``.

    Raises:
        DataError: it leads outside, or its links go in circles.
    """
    if root is None:
        return path
    try:
        inside = path.resolve().is_relative_to(root.resolve())
    except (OSError, RuntimeError) as error:  # a circle of links
        raise DataError(f"{path}: cannot be followed ({error}); replace the link by the file") from error
    if not inside:
        raise DataError(
            f"{path}: leads out of the folder of the description found beside the model; "
            "move the data there, or give the description with --data"
        )
    return path
