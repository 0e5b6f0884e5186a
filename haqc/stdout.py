"""Keeps standard output for results: what native libraries print there of their own accord goes to standard error."""

from __future__ import annotations

import ctypes
import io
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager


def reserve() -> None:
    """Gives ``sys.stdout`` a descriptor of its own, and lets descriptor 1 lead to standard error from now on.

    Solvers and runtimes print remarks with C's ``printf``, which would stand amid the JSON that a script reads. Does
    nothing where ``sys.stdout`` is not the process's own, as under a test, or where there is none.
    """
    given = sys.__stdout__
    if given is None or sys.stdout is not given or sys.stderr is None:
        return
    given.flush()
    try:
        own = os.dup(1)
        os.dup2(2, 1)
    except OSError:  # one of them is closed
        return
    sys.stdout = io.TextIOWrapper(
        os.fdopen(own, "wb"), encoding=given.encoding, errors=given.errors, line_buffering=given.line_buffering
    )


@contextmanager
def muted() -> Iterator[None]:
    """Leads descriptor 1 nowhere for a while: a solver may print remarks that none of its options turns off.

    What others printed before still comes out, and what they print afterwards.
    """
    with ExitStack() as stack:
        try:
            _flush()
            own = os.dup(1)
            stack.callback(os.close, own)
            nowhere = os.open(os.devnull, os.O_WRONLY)
            stack.callback(os.close, nowhere)
        except OSError:  # there is no descriptor 1, so nothing is printed on it; or no other is to be had
            yield
            return
        os.dup2(nowhere, 1)
        try:
            yield
        finally:
            _flush()
            os.dup2(own, 1)


def _flush() -> None:
    """Empties Python's buffer, and that of C, which keeps what it prints until there is much of it."""
    if sys.stdout is not None:
        sys.stdout.flush()
    ctypes.CDLL(None).fflush(None)
