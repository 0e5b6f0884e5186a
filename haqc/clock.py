"""Wall-clock seconds, by part."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Clock:
    """Wall-clock seconds by part of the compile."""

    def __init__(self) -> None:
        self._start = time.perf_counter()
        self._parts: dict[str, float] = {}

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Adds the time of a block to a part."""
        start = time.perf_counter()
        yield
        self._parts[name] = self._parts.get(name, 0.0) + time.perf_counter() - start

    @property
    def seconds(self) -> dict[str, float]:
        """Seconds by part, and in all."""
        return {**self._parts, "total": time.perf_counter() - self._start}
