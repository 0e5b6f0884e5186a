"""Kinds of hardware, one module each: a frozen dataclass in SI units that checks itself.

The formulas that price a kind stand in :mod:`haqc.costmodel`, what its target files may say in :mod:`haqc.targets`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection
from typing import Any, ClassVar, Protocol

from haqc.errors import TargetError
from haqc.hardware.streaming import Streaming

__all__ = ["Hardware", "Streaming", "require_positive"]


class Hardware(Protocol):
    """What every kind of hardware says of itself, apart from its own parameters.

    Attributes:
        kind: the kind, as written in target files.
    """

    kind: ClassVar[str]

    @property
    def clock_hz(self) -> float:
        """Cycles per second: prices in cycles become seconds with it."""

    @property
    def modes(self) -> tuple[str, ...]:
        """Modes of the cost model that ``--mode`` may pick; the first is the default."""

    def streaming(self, mode: str) -> Streaming | None:
        """Gives how operators that are no layers are priced in a mode, or ``None`` where they are only listed."""


class Parameters(Protocol):
    """Any dataclass."""

    __dataclass_fields__: ClassVar[dict[str, dataclasses.Field[Any]]]


def require_positive(parameters: Parameters, *, or_zero: Collection[str] = ()) -> None:
    """Checks that every number among the fields of a dataclass is finite and above zero.

    Args:
        parameters: the dataclass; fields that are no numbers are left to it.
        or_zero: names of the fields that may be zero as well.

    Raises:
        TargetError: one is not; the message names it.
    """
    for field in dataclasses.fields(parameters):
        value = getattr(parameters, field.name)
        if not isinstance(value, int | float):
            continue
        if not (0 < value < math.inf or (value == 0 and field.name in or_zero)):
            bound = "zero or more" if field.name in or_zero else "above zero"
            raise TargetError(f"{field.name} must be {bound} and finite, not {value}; correct it in the target file")
