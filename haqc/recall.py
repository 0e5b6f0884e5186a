"""A memory of bounded size for tensors that may be needed again: what was not used for longest goes first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable

from torch import Tensor


class Recall:
    """Keeps tensors by key, up to a number of bytes in all."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._kept: OrderedDict[Hashable, Tensor] = OrderedDict()
        self._bytes = 0

    @property
    def size_bytes(self) -> int:
        """What is kept now."""
        return self._bytes

    def get(self, key: Hashable) -> Tensor | None:
        """Gives a tensor, ``None`` where it is not kept (any more)."""
        if key in self._kept:
            self._kept.move_to_end(key)
        return self._kept.get(key)

    def put(self, key: Hashable, tensor: Tensor) -> None:
        """Keeps a tensor, unless it alone is too large."""
        if key in self._kept or tensor.nbytes > self._limit_bytes:
            return
        self._kept[key] = tensor
        self._bytes += tensor.nbytes
        while self._bytes > self._limit_bytes:
            self._bytes -= self._kept.popitem(last=False)[1].nbytes
