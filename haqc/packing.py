"""Indices of a few bits as bytes: bit planes, one behind the other, so that any width takes its bits and no more.

The first plane holds the lowest bit of every index, the next the second lowest. Within a byte the first bit is the
highest. ``n`` indices of ``b`` bits take ``ceil(n * b / 8)`` bytes.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

MAX_BITS = 8
"""Widest index."""


def pack(indices: npt.NDArray[np.integer], bits: int) -> npt.NDArray[np.uint8]:
    """Packs indices below ``2^bits``; they are taken in C order.

    >>> pack(np.array([1, 2, 3]), 2).tolist()
    [172]
    """
    planes = (indices.reshape(-1).astype(np.uint8)[None] >> np.arange(bits, dtype=np.uint8)[:, None]) & 1
    packed: npt.NDArray[np.uint8] = np.packbits(planes)
    return packed


def packed_bytes(count: int, bits: int) -> int:
    """Gives the bytes that :func:`pack` makes of so many indices.

    >>> packed_bytes(3, 2)
    1
    """
    return -(-count * bits // 8)


def entries(count: int, bits: int) -> int:
    """Gives the length of the codebook of a tensor: all that its indices reach, and no more than it has numbers.

    >>> entries(1000, 4), entries(100, 8)
    (16, 100)
    """
    return min(1 << bits, count)


SHARED_BYTES = MAX_BITS + 1 + 8 + 8
"""Constants that a file needs once to unpack: the places of a byte, the last of them, and two bounds."""


def stored_bytes(count: int, rank: int, bits: int) -> int:
    """Gives the bytes that a tensor takes as indices and a codebook, with the constants that unpack it.

    Those are the number of its bits, the shape of its planes and its own, 8 bytes each, and ``bits`` powers of two.

    >>> stored_bytes(1000, 4, 2)
    324
    """
    return packed_bytes(count, bits) + 4 * entries(count, bits) + 8 + 16 + 8 * rank + bits
