"""The output folder of a sweep: one folder as a compile leaves it for each point, and the front beside them."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from haqc.budget import METRICS
from haqc.errors import OutputError
from haqc.folder import RESULTS, OutputFolder

FRONT_FILES = ("front.json", "front.csv", "front.svg", "search.jsonl")
"""The files that a sweep leaves beside the folders of its points."""

_POINT = re.compile(rf"(?:{'|'.join(METRICS)})-[0-9][0-9.e-]{{0,20}}")
_POINTS = "points.json"


@dataclass(frozen=True, slots=True)
class SweepFolder:
    """A folder that belongs to one sweep."""

    path: Path

    @property
    def whole(self) -> OutputFolder:
        """The folder itself: what all points share. A compile's results in it count as those of before."""
        return OutputFolder(self.path, tuple(dict.fromkeys((*FRONT_FILES, *RESULTS))))

    def point(self, name: str) -> OutputFolder:
        """Gives the folder of a point."""
        return OutputFolder(self.path / name)

    def check(self, model: Path, names: Sequence[str], *, resume: bool, force: bool) -> None:
        """Checks, and changes nothing, that a sweep of ``model`` may use the folder, and its points theirs.

        Raises:
            OutputError: like :meth:`haqc.folder.OutputFolder.check`; or a point's folder is a link.
        """
        self.whole.check(model, resume=resume, force=force)
        for name in names:
            if (self.path / name).is_symlink():
                raise OutputError(
                    f"'{self.path / name}' is a link, and haqc writes nothing outside its folder; remove the link"
                )
            self.point(name).check(model, resume=resume, force=force)

    def take(self, names: Sequence[str], *, resume: bool) -> None:
        """Makes the folder ready; the points of an earlier sweep go, unless there is something to resume.

        Raises:
            OutputError: it cannot be written.
        """
        before = self._points_before()
        self.whole.take(resume=resume)
        if not (self.whole.state / _POINTS).is_file():  # an earlier sweep was emptied
            for name in before:
                self.point(name).discard()
        for name in names:
            self.point(name).take(resume=resume)
        self.whole.keep(_POINTS, json.dumps(list(names)).encode())

    def _points_before(self) -> list[str]:
        """Gives the points of an earlier sweep; names that a sweep gives none are left alone."""
        try:
            names = json.loads((self.whole.state / _POINTS).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return []
        if not isinstance(names, list):
            return []
        points = [name for name in names if isinstance(name, str) and _POINT.fullmatch(name)]
        return [name for name in points if not (self.path / name).is_symlink()]
