"""What a sweep leaves in its folder besides what a compile does: the front, and a folder for each point."""

from __future__ import annotations

import json
import re
from pathlib import Path

from haqc.budget import METRICS

FRONT_FILES = ("front.json", "front.csv", "front.svg", "search.jsonl")
"""The files that a sweep leaves beside the folders of its points."""

POINTS = "points.json"
"""Where a sweep keeps the names of its points, in the folder of what resuming needs."""

_POINT = re.compile(rf"(?:{'|'.join(METRICS)})-[0-9][0-9.e-]{{0,20}}")


def front_left(state: Path) -> tuple[str, ...]:
    """Gives the files of a front that belong to a sweep of before; none where ``state`` is not that of a sweep."""
    return FRONT_FILES if (state / POINTS).is_file() else ()


def points_left(folder: Path, state: Path) -> tuple[str, ...]:
    """Gives the folders of the points of a sweep of before; names that a sweep gives none, and links, are left out."""
    try:
        names = json.loads((state / POINTS).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return ()
    if not isinstance(names, list):
        return ()
    points = [name for name in names if isinstance(name, str) and _POINT.fullmatch(name)]
    return tuple(name for name in points if not (folder / name).is_symlink())
