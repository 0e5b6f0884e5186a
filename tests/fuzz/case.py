"""One case: files in a folder, and a command line that reads them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

SECRET = "secret.bin"
"""A file above the folder of a case, which nothing may open."""

CANARY = "canary"
"""A module in the folder of a case, which nothing may import."""


@dataclass(frozen=True, slots=True)
class Case:
    """One case; the same seed and index always make the same.

    Attributes:
        kind: what was mutated.
        words: the arguments of ``haqc``.
        files: content by name; a number stands for a file of as many zeros, which takes no space.
        mutations: what was done to the files, for the report.
    """

    kind: str
    words: tuple[str, ...]
    files: Mapping[str, bytes | int]
    mutations: tuple[str, ...]

    def write(self, folder: Path) -> None:
        """Writes the files."""
        for name, content in self.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, int):
                with path.open("wb") as stream:
                    stream.truncate(content)
            else:
                path.write_bytes(content)
