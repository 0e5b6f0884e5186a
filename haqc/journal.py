"""A file of JSON objects, one a line, that only grows, and is whole again after a kill."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from haqc.errors import OutputError, ResumeError


class Journal:
    """An append-only file. Lines are flushed to the disk one by one, so a killed run loses at most a half-written one.

    Attributes:
        path: the file.
        entries: what its whole lines held when it was opened; a line that holds something else is an empty entry.
    """

    def __init__(self, path: Path) -> None:
        """Reads a file, if it is there, and changes nothing.

        Raises:
            ResumeError: a whole line is not JSON.
            OutputError: the file cannot be read.
        """
        self.path = path
        try:
            content = path.read_bytes() if path.exists() else b""
        except OSError as error:
            raise self._unusable(error) from error
        *lines, half_written = content.split(b"\n")
        self.entries = [self._parsed(line) for line in lines]
        self._whole_bytes = len(content) - len(half_written)
        self._stream: IO[bytes] | None = None

    def append(self, entry: Mapping[str, Any]) -> None:
        """Writes a line; the first one takes the place of a line that is half written.

        Raises:
            OutputError: the file cannot be written.
        """
        try:
            stream, line = self._opened(), json.dumps(entry).encode() + b"\n"
            stream.write(line)
            stream.flush()
            os.fsync(stream.fileno())
            self._whole_bytes += len(line)
        except OSError as error:
            raise self._unusable(error) from error

    def clear(self) -> None:
        """Removes the file; what is appended next begins a new one.

        Raises:
            OutputError: it cannot be removed.
        """
        self.close()
        self._whole_bytes = 0
        try:
            self.path.unlink(missing_ok=True)
        except OSError as error:
            raise self._unusable(error) from error

    def close(self) -> None:
        """Closes the file."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def _opened(self) -> IO[bytes]:
        if self._stream is None:
            self._stream = self.path.open("ab")
            self._stream.truncate(self._whole_bytes)
        return self._stream

    def _parsed(self, line: bytes) -> dict[str, Any]:
        try:
            content = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ResumeError(f"'{self.path}' holds a line that is not JSON; start again with --force") from error
        return content if isinstance(content, dict) else {}

    def _unusable(self, error: OSError) -> OutputError:
        return OutputError(f"'{self.path}' cannot be written ({error.strerror}); name another folder with --out")
