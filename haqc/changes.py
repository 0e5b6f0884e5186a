"""What differs between two fingerprints, so that a message can name it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Gives what each entry was and is, where that differs; entries of entries by both names, as ``options.mode``.

    >>> changes({"seed": 0, "options": {"mode": "a"}}, {"seed": 0, "options": {"mode": "b"}})
    {'options.mode': ('a', 'b')}
    """
    was, is_now = _flat(before), _flat(json.loads(json.dumps(now)))
    return {key: (was.get(key), is_now.get(key)) for key in {**was, **is_now} if was.get(key) != is_now.get(key)}


def told(changed: Mapping[str, tuple[Any, Any]]) -> str:
    """Gives the words for changes: the names of all, and the values of the first.

    >>> told({"seed": (0, 1), "budget": (["energy=0.5"], ["energy=0.6"])})
    'seed, budget changed (seed was 0, is 1)'
    """
    first, (was, is_now) = next(iter(changed.items()))
    return f"{', '.join(changed)} changed ({first} was {was!r}, is {is_now!r})"


def _flat(content: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in content.items():
        flat |= {f"{key}.{name}": inner for name, inner in value.items()} if isinstance(value, dict) else {key: value}
    return flat
