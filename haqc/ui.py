"""Where a compile says what it does: the command line shows it, a script may stay silent."""

from __future__ import annotations

from typing import Protocol


class Task(Protocol):
    """A bar of progress."""

    def advance(self, count: int = 1, note: str = "") -> None:
        """Moves the bar."""


class Ui(Protocol):
    """Where a compile says what it does."""

    def say(self, text: str) -> None:
        """Says a line."""

    def task(self, name: str, total: int) -> Task:
        """Begins a bar."""
