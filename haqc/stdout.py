"""Keeps standard output for results: what native libraries print there of their own accord goes to standard error."""

from __future__ import annotations

import io
import os
import sys


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
