"""Reads what stands behind options: widths, pins, shapes, allocators, small files."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import typer

from haqc.errors import PolicyError
from haqc.formats import CHOICES, FormatName
from haqc.policy import Bits

if TYPE_CHECKING:
    from haqc.request import AllocatorName


def read_widths(texts: list[str] | None, what: str) -> dict[str, Bits]:
    """Reads ``NAME=W/A``, one for each name or pattern.

    Args:
        texts: what is read.
        what: the option, for messages.

    Raises:
        PolicyError: one is malformed.
    """
    return dict(_read_widths(text, what) for text in texts or [])


def _read_widths(text: str, what: str) -> tuple[str, Bits]:
    name, _, widths = text.rpartition("=")  # the name is empty without an equals sign, too
    if name:
        with suppress(PolicyError):
            return name, Bits.parse(widths)
    raise PolicyError(f"{what} '{text}' is malformed; write NAME=W/A, for example 'block1.*=8/8'")


def read_allocators(names: list[str] | None, agent: AllocatorName) -> tuple[AllocatorName, ...]:
    """Reads the allocators' names; the agent stands in for ``ddpg``."""
    from haqc.request import ALLOCATORS, USUAL  # noqa: PLC0415 (--help loads no heavy library)

    unknown = [name for name in names or () if name not in ALLOCATORS]
    if unknown:
        raise typer.BadParameter(f"'{unknown[0]}' is no allocator; there are {', '.join(ALLOCATORS)}")
    chosen = USUAL if names is None else [name for given in names for name in ALLOCATORS if name == given]
    return tuple(dict.fromkeys(agent if name == "ddpg" else name for name in chosen))


def read_formats(names: list[str] | None) -> tuple[FormatName, ...]:
    """Reads the names of formats."""
    unknown = next((name for name in names or () if name not in CHOICES), None)
    if unknown is not None:
        raise typer.BadParameter(f"'{unknown}' is no format; there are {', '.join(CHOICES)}")
    return tuple(dict.fromkeys(name for given in names or () for name in CHOICES if name == given))


def read_shapes(texts: list[str] | None) -> dict[str, tuple[int, ...]]:
    """Reads ``NAME=1,3,224,224``, one for each input."""
    from haqc.dimensions import read_shape  # noqa: PLC0415 (--help loads no heavy library)

    return dict(read_shape(text) for text in texts or [])
