"""Progress on standard error: bars on a terminal, and now and then a plain line where there is none."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from haqc.duration import duration
from haqc.plaintext import visible

PLAIN_S = 30.0
"""Seconds from one plain line to the next: a log of hours stays short, and a quick command says nothing."""

FIRST_S = 2.0
"""Seconds of a step's work before its pace says how long the rest takes."""


@dataclass
class Step:
    """Something that takes a while and is counted.

    Attributes:
        steps: shows it.
        name: what is being done.
        total: how many there are to do; ``None`` when that is not known.
        bar: its line on a terminal.
    """

    steps: Steps
    name: str
    total: int | None
    bar: TaskID
    _done: int = 0
    _note: str = ""
    _begun: tuple[int, float] | None = None

    def advance(self, count: int = 1, note: str = "") -> None:
        """Moves on by ``count``; a note replaces the one before it, and the time left where none was given."""
        self._done += count
        if self._begun is None and count:
            self._begun = self._done, self.steps.now_s()  # what came before was for the most part preparation
        self._note = visible(note) or self._note
        words = self._note or self._left()
        self.steps.bars.update(self.bar, advance=count, note=words)
        whole = "" if self.total is None else f"/{self.total}"
        self.steps.log(f"{self.name} {self._done}{whole} {words}".rstrip())

    def _left(self) -> str:
        if self.total is None or self._begun is None or self._done >= self.total:
            return ""
        before, start_s = self._begun
        spent_s = self.steps.now_s() - start_s
        if self._done == before or spent_s < FIRST_S:
            return ""
        return f"{duration(spent_s / (self._done - before) * (self.total - self._done))} left"


@dataclass
class Steps:
    """The progress of one command.

    Attributes:
        bars: what a terminal shows.
        is_plain: whether plain lines stand in for it.
        now_s: a clock that never goes back.
    """

    bars: Progress
    is_plain: bool = False
    now_s: Callable[[], float] = time.monotonic
    _said_s: float = field(init=False)

    def __post_init__(self) -> None:
        self._said_s = self.now_s()

    def step(self, name: str, total: int | None = None) -> Step:
        """Starts a step.

        Args:
            name: what is being done.
            total: how many there are to do; ``None`` when that is not known.
        """
        shown = visible(name)
        return Step(self, shown, total, self.bars.add_task(shown, total=total, note=""))

    def say(self, text: str) -> None:
        """Says a line on standard error, above the bars."""
        self.bars.console.print(visible(text), soft_wrap=True)

    def log(self, line: str) -> None:
        """Says how far things are in a plain line, if plain lines are wanted and none was said for a while."""
        if self.is_plain and self.now_s() - self._said_s >= PLAIN_S:
            self._said_s = self.now_s()
            self.bars.console.print(line, soft_wrap=True)


@contextmanager
def progress(quiet: bool) -> Iterator[Steps]:
    """Shows progress on standard error while the block runs, unless ``quiet`` is true.

    The steps can be used the same way when nothing is shown.
    """
    is_terminal = sys.stderr.isatty()
    is_shown = is_terminal and not quiet
    bars = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=10),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}", markup=False),
        console=Console(stderr=True, force_terminal=is_shown, markup=False, highlight=False, emoji=False),
        redirect_stdout=False,
        redirect_stderr=is_shown,
        disable=not is_shown,
    )
    with bars:
        yield Steps(bars, is_plain=not is_terminal and not quiet)
