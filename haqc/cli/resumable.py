"""The time that a command works which ``--resume`` goes on with."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from haqc.errors import Interrupted
from haqc.terminal import terminal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from haqc.terminal import Terminal


@contextmanager
def resumable(quiet: bool) -> Iterator[Terminal]:
    """Opens the terminal for the time that a command works.

    Raises:
        Interrupted: Ctrl-C came before the command had anything to emit.
    """
    try:
        with terminal(quiet) as ui:
            yield ui
    except KeyboardInterrupt as error:
        raise Interrupted("interrupted before anything was emitted; add --resume to go on where it was") from error
