"""What a command says while it works, on standard error."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from haqc.steps import Steps


class Terminal:
    """Says lines and shows bars on standard error, unless it is quiet."""

    def __init__(self, steps: Steps, quiet: bool) -> None:
        self._steps, self._quiet = steps, quiet

    def say(self, text: str) -> None:
        """Says a line."""
        if not self._quiet:
            self._steps.say(text)

    def task(self, name: str, total: int) -> Any:
        """Begins a bar."""
        return self._steps.step(name, total)


@contextmanager
def terminal(quiet: bool) -> Iterator[Terminal]:
    """Opens the terminal for the time that a command works."""
    from haqc.steps import progress  # noqa: PLC0415

    with progress(quiet) as steps:
        yield Terminal(steps, quiet)
