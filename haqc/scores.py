"""Scores that have come in and stand nowhere else yet: what a killed run need not evaluate again."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from types import TracebackType

from haqc.errors import ResumeError
from haqc.journal import Journal
from haqc.score import Score


class Scores:
    """Scores by the keys of policies, on the disk as soon as each is known. A context manager, which closes the file.

    Jobs end in any order and the log of a search has the order of proposal, so what ends early waits here.

    Attributes:
        known: score by key.
    """

    def __init__(self, path: Path) -> None:
        """Reads what is there.

        Raises:
            ResumeError: the file is damaged, or an older version wrote it.
            OutputError: it cannot be read.
        """
        self._journal = Journal(path)
        self.known: dict[str, Score] = {}
        try:
            for entry in self._journal.entries:
                self.known[str(entry["key"])] = Score.of_json(entry)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise ResumeError(
                f"'{path}' holds a line that is no score of this version; start again with --force"
            ) from error

    def __enter__(self) -> Scores:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._journal.close()

    def keep(self, key: str, score: Score) -> None:
        """Keeps a score.

        Raises:
            OutputError: the file cannot be written.
        """
        self.known[key] = score
        self._journal.append({"key": key, **score.to_json()})

    def forget(self, elsewhere: Collection[str]) -> None:
        """Forgets all scores where every one stands elsewhere by now."""
        if self.known and all(key in elsewhere for key in self.known):
            self.known.clear()
            self._journal.clear()
