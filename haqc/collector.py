"""Python's collector of reference cycles."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def paused() -> Iterator[None]:
    """Keeps the collector from running; also a decorator.

    A graph is made of small objects that stay. Going through all of them again and again takes a third of the time of
    a large model, and more than its share the larger it is.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
