"""How long something takes, in words."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """Gives seconds, minutes or hours, as few as say it.

    >>> [duration(s) for s in (0.4, 59, 61, 179, 3599, 3700, 90_000)]
    ['0 s', '59 s', '1 min', '3 min', '1 h', '1 h 2 min', '25 h']
    """
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    if not hours:
        return f"{minutes} min"
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"
