"""The mistakes haqc reports: each says what, where, what was allowed, and what to do next.

Every kind carries the exit code of the command-line contract, so that the command line needs no table of its own.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import ClassVar


class HaqcError(Exception):
    """A mistake the user can mend; the message is one plain sentence with the next step."""

    exit_code: ClassVar[int] = 2


class ModelError(HaqcError):
    """The model cannot be read, or holds something haqc cannot treat."""


class TargetError(HaqcError):
    """The target is unknown, or its description is wrong."""


class BudgetError(HaqcError):
    """The budget is malformed."""


class PolicyError(HaqcError):
    """A policy names a layer the model lacks or a width the target lacks."""


class DataError(HaqcError):
    """The data cannot be read, is empty, or does not fit the model."""


class DeviceError(HaqcError):
    """The device that is asked for is not there."""


class OutputError(HaqcError):
    """The output folder cannot be used."""


class ResumeError(HaqcError):
    """A folder cannot be resumed because what it was made from has changed."""


class InfeasibleBudget(HaqcError):
    """No policy the target allows meets the budget; the message names the smallest reachable value."""

    exit_code: ClassVar[int] = 3


class VerificationError(HaqcError):
    """The emitted file does not compute what the mirror computes; the message names the first layer."""

    exit_code: ClassVar[int] = 4


class Interrupted(HaqcError):
    """The run was interrupted before there was any policy to emit."""

    exit_code: ClassVar[int] = 130


def nearest(name: str, known: Iterable[str]) -> str:
    """Gives `` (did you mean 'x'?)`` for the known name closest to ``name``, or an empty string.

    >>> nearest("egde", ["edge", "cloud"])
    " (did you mean 'edge'?)"
    """
    match = closest(name, known)
    return "" if match is None else f" (did you mean '{match}'?)"


def closest(name: str, known: Iterable[str]) -> str | None:
    """Gives the known name that is closest to ``name``; ``None`` where none is close.

    >>> closest("egde", ["edge", "cloud"])
    'edge'
    """
    return next(iter(difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)), None)
