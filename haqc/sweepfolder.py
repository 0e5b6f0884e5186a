"""The output folder of a sweep: one folder as a compile leaves it for each point, and the front beside them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from haqc.errors import OutputError
from haqc.folder import RESULTS, OutputFolder
from haqc.sweptfiles import FRONT_FILES, POINTS


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

    def take_points(self, names: Sequence[str], *, resume: bool) -> None:
        """Makes the folders of the points ready, after the whole.

        Raises:
            OutputError: one cannot be written.
        """
        self.whole.keep(POINTS, json.dumps(list(names)).encode())  # before the folders, so that none is ever orphaned
        for name in names:
            self.point(name).take(resume=resume)
