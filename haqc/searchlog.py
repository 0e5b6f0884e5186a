"""``search.jsonl``: the trials of a search, append-only, headed by the fingerprint of what they depend on."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from haqc.errors import OutputError, ResumeError
from haqc.result import Trial


class SearchLog:
    """An open log. Lines are flushed to the disk one by one, so a killed run loses at most a half-written line."""

    def __init__(self, path: Path, fingerprint: Mapping[str, Any]) -> None:
        """Opens a log, or makes it; a half-written last line is cut off.

        Raises:
            ResumeError: the log was made from something else, or is damaged; the message names what changed.
            OutputError: the file cannot be read or written.
        """
        self.path = path
        self.accuracy: dict[str, float] = {}
        try:
            content = path.read_bytes() if path.exists() else b""
            *lines, half_written = content.split(b"\n")
            if lines:
                self._check(lines[0], fingerprint)
                for line in lines[1:]:
                    self._remember(line)
            self._stream = path.open("ab")
            self._stream.truncate(len(content) - len(half_written))
        except OSError as error:
            raise self._unusable(error) from error
        self._recorded = set(self.accuracy)
        if not lines:
            self._write({"fingerprint": fingerprint})

    def record(self, trial: Trial) -> None:
        """Appends a trial, unless it was read from the log."""
        if trial.policy.key not in self._recorded:
            self._recorded.add(trial.policy.key)
            self._write(trial.to_json())

    def close(self) -> None:
        """Closes the file."""
        self._stream.close()

    def _write(self, content: Mapping[str, Any]) -> None:
        try:
            self._stream.write(json.dumps(content).encode() + b"\n")
            self._stream.flush()
            os.fsync(self._stream.fileno())
        except OSError as error:
            raise self._unusable(error) from error

    def _check(self, line: bytes, fingerprint: Mapping[str, Any]) -> None:
        before = _parsed(line, self.path).get("fingerprint")
        now = json.loads(json.dumps(fingerprint))
        if not isinstance(before, dict):
            raise ResumeError(f"'{self.path}' does not begin with a fingerprint; start again with --force")
        flat_before, flat_now = _flat(before), _flat(now)
        changed = [key for key in {**flat_before, **flat_now} if flat_before.get(key) != flat_now.get(key)]
        if changed:
            was, is_now = flat_before.get(changed[0]), flat_now.get(changed[0])
            raise ResumeError(
                f"'{self.path.parent}' cannot be resumed, because {', '.join(changed)} changed "
                f"({changed[0]} was {was!r}, is {is_now!r}); go back to it, or start again with --force"
            )

    def _remember(self, line: bytes) -> None:
        content = _parsed(line, self.path)
        try:
            accuracy = float(content["accuracy"])
            if not math.isfinite(accuracy):
                raise ValueError(f"an accuracy of {accuracy}")
            self.accuracy[str(content["key"])] = accuracy
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise ResumeError(f"'{self.path}' holds a line that is no trial; start again with --force") from error

    def _unusable(self, error: OSError) -> OutputError:
        return OutputError(f"'{self.path}' cannot be written ({error.strerror}); name another folder with --out")


def _flat(content: Mapping[str, Any]) -> dict[str, Any]:
    """Spreads nested options out, so that a message can name the one that changed."""
    flat: dict[str, Any] = {}
    for key, value in content.items():
        flat |= {f"{key}.{name}": inner for name, inner in value.items()} if isinstance(value, dict) else {key: value}
    return flat


def _parsed(line: bytes, path: Path) -> dict[str, Any]:
    try:
        content = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ResumeError(f"'{path}' holds a line that is not JSON; start again with --force") from error
    return content if isinstance(content, dict) else {}
