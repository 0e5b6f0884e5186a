"""``search.jsonl``: the trials of a search, append-only, headed by the fingerprint of what they depend on."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from haqc.changes import changes, told
from haqc.errors import ResumeError
from haqc.journal import Journal
from haqc.result import Trial
from haqc.score import Score


class SearchLog:
    """An open log. Lines are flushed to the disk one by one, so a killed run loses at most a half-written line.

    Attributes:
        path: the file.
        scores: what each trial in it scored, by the key of its policy.
    """

    def __init__(self, path: Path, fingerprint: Mapping[str, Any]) -> None:
        """Opens a log, or makes it; a half-written last line is cut off.

        Raises:
            ResumeError: the log was made from something else, or is damaged; the message names what changed.
            OutputError: the file cannot be read or written.
        """
        self.path = path
        self.scores: dict[str, Score] = {}
        self._journal = Journal(path)
        if self._journal.entries:
            self._check(self._journal.entries[0], fingerprint)
            for entry in self._journal.entries[1:]:
                self._remember(entry)
        if not self._journal.entries:
            self._journal.append({"fingerprint": fingerprint})

    def record(self, trial: Trial) -> None:
        """Appends a trial, unless the log has it."""
        if trial.policy.key not in self.scores:
            self.scores[trial.policy.key] = trial.score
            self._journal.append(trial.to_json())

    def close(self) -> None:
        """Closes the file."""
        self._journal.close()

    def _check(self, head: Mapping[str, Any], fingerprint: Mapping[str, Any]) -> None:
        before = head.get("fingerprint")
        if not isinstance(before, dict):
            raise ResumeError(f"'{self.path}' does not begin with a fingerprint; start again with --force")
        changed = changes(before, fingerprint)
        if changed:
            raise ResumeError(
                f"'{self.path.parent}' cannot be resumed, because {told(changed)}; go back to it, or start again with "
                "--force"
            )

    def _remember(self, entry: Mapping[str, Any]) -> None:
        try:
            self.scores[str(entry["key"])] = Score.of_json(entry)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise ResumeError(f"'{self.path}' holds a line that is no trial; start again with --force") from error


def as_log(fingerprint: Mapping[str, Any], trials: Iterable[Trial]) -> bytes:
    """Gives the content of a log that holds some trials."""
    lines = [{"fingerprint": fingerprint}, *(trial.to_json() for trial in trials)]
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)
