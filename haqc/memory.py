"""How much data may be loaded: no more than fits into memory, however much a header promises."""

from __future__ import annotations

import os
from pathlib import Path

from haqc.errors import DataError

LIMIT_BYTES = 32 * 2**30
_GIB = 2**30


def available_bytes(meminfo: Path = Path("/proc/meminfo")) -> int:
    """Gives the memory that can still be used, in bytes; :data:`LIMIT_BYTES` where the system does not tell."""
    try:
        for line in meminfo.read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024  # the file counts in KiB
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError, AttributeError):
        return LIMIT_BYTES


def check_size(size_bytes: int, where: str) -> None:
    """Refuses data that would not fit, before anything of it is loaded.

    Args:
        size_bytes: size after decompression, as the headers state it.
        where: the data's path, for messages.

    Raises:
        DataError: the size is over 32 GiB or over the available memory.
    """
    limit_bytes = min(LIMIT_BYTES, available_bytes())
    if size_bytes > limit_bytes:
        raise DataError(
            f"{where}: the arrays would take {size_bytes / _GIB:.1f} GiB of the {limit_bytes / _GIB:.1f} GiB that may "
            "be used; give fewer samples, or store them in a smaller type such as uint8"
        )
