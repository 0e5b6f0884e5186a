"""Trials of another compile of the same network: what a policy scores depends on no target and on no budget."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from haqc.changes import changes, told
from haqc.errors import DataError, HaqcError, PolicyError
from haqc.journal import Journal
from haqc.policy import Policy, Space
from haqc.problem import Problem
from haqc.result import Trial
from haqc.score import Score

LOG = "search.jsonl"

LARGEST_BYTES = 1 << 27
"""A log that is larger is none of ours, and is not opened."""

NAME = "earlier"
"""Who proposed them, as the new compile tells it."""

WITHOUT_BEARING: Mapping[str, frozenset[str]] = {
    "digests": frozenset({"target", "agent", "earlier"}),
    "options": frozenset({"mode", "evaluations", "allocators", "reconstruct"})
    | {"min_bits", "pins", "default_pins", "at_least", "same_bits"},
    "effort": frozenset({"sensitivity", "reconstruct"}),
}
"""What of a fingerprint decides which policies are proposed, or what becomes of the winner, but no score."""

_BUDGETS = frozenset({"budget", "sweep", "minimise"})

_ADVICE = "name the folder of a compile of the same model with the same data, or leave --trials-from out"


@dataclass(frozen=True, slots=True)
class Line:
    """A trial as it stands in a log: the widths of all tensors in the graph's order, its policy's key, its score."""

    widths: tuple[int, ...]
    key: str
    score: Score


@dataclass(frozen=True, eq=False)
class EarlierTrials:
    """What a log says.

    Attributes:
        path: the log.
        fingerprint: what its trials depend on.
        lines: its trials; of which model is not known yet.
        digest: of what was read.
    """

    path: Path
    fingerprint: Mapping[str, Any]
    lines: Sequence[Line]
    digest: str

    @classmethod
    def read(cls, folder: Path) -> EarlierTrials:
        """Reads the log that a compile or a sweep left in its folder; a half-written last line is left out.

        Raises:
            DataError: there is none, it is no log, or a line of it is no trial.
        """
        path = folder / LOG
        if not path.is_file():
            raise DataError(f"'{folder}' holds no trials ({LOG} is missing); {_ADVICE}")
        if path.stat().st_size > LARGEST_BYTES:
            raise DataError(f"'{path}' is larger than {LARGEST_BYTES >> 20} MiB, so it is no log; {_ADVICE}")
        try:
            head, *entries = Journal(path).entries or [{}]
        except (HaqcError, OSError) as error:
            raise DataError(f"'{path}' cannot be read as a log of trials; {_ADVICE}") from error
        fingerprint = head.get("fingerprint")
        if not isinstance(fingerprint, dict):
            raise DataError(f"'{path}' does not begin with a fingerprint; {_ADVICE}")
        digest = hashlib.sha256(json.dumps([head, *entries]).encode()).hexdigest()
        return cls(path, fingerprint, [_line(path, at, entry) for at, entry in enumerate(entries, 2)], digest)

    def require_same(self, fingerprint: Mapping[str, Any]) -> None:
        """Makes sure that the policies would score the same now.

        Raises:
            DataError: something has changed that scores depend on; the message names it.
        """
        changed = changes(_bearing(self.fingerprint), _bearing(fingerprint))
        if changed:
            raise DataError(
                f"the trials of '{self.path.parent}' say nothing about this compile, because {told(changed)}; only the "
                "target, its mode, the budget, the allocators and the widths that are allowed may differ; go back to "
                "it, or leave --trials-from out"
            )

    def trials(self, problem: Problem, float_quality: float, seed: int) -> tuple[Trial, ...]:
        """Gives those that are policies of a problem, each priced for its target.

        Args:
            problem: the problem, whatever its budget.
            float_quality: what rewards are measured from.
            seed: the seed of their evaluation.

        Raises:
            DataError: a line is no trial of this model.
        """
        price = problem.table.price
        return tuple(
            Trial.of(policy, price(policy), score, float_quality, NAME, seed)
            for policy, score in self._scored(problem.space)
            if _is_legal(problem.space, policy)
        )

    def _scored(self, space: Space) -> Iterator[tuple[Policy, Score]]:
        tensors = [operand.tensor for operand in space.graph.operands]
        for at, line in enumerate(self.lines, 2):
            if len(line.widths) != len(tensors):
                raise _no_trial(self.path, at)
            policy = Policy(space.graph, dict(zip(tensors, line.widths, strict=True)))
            if policy.key != line.key:
                raise _no_trial(self.path, at)
            yield policy, line.score


def _line(path: Path, at: int, entry: Mapping[str, Any]) -> Line:
    """Reads what can be read without the graph, before anything is computed."""
    try:
        widths = tuple(entry["widths"])
        if not all(type(bits) is int for bits in widths):
            raise TypeError
        return Line(widths, str(entry["key"]), Score.of_json(entry))
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise _no_trial(path, at) from error


def _no_trial(path: Path, at: int) -> DataError:
    return DataError(f"line {at} of '{path}' is no trial of this model by this version; {_ADVICE}")


def _bearing(fingerprint: Mapping[str, Any]) -> dict[str, Any]:
    """Gives what scores depend on; where a winner is reconstructed, what follows that trains nothing before it."""
    bearing = {name: value for name, value in fingerprint.items() if name not in _BUDGETS}
    options = bearing.get("options")
    if isinstance(options, dict) and options.get("reconstruct"):
        bearing["options"] = options | {"final_finetune": 0}
    for part, names in WITHOUT_BEARING.items():
        if isinstance(bearing.get(part), dict):
            bearing[part] = {name: value for name, value in bearing[part].items() if name not in names}
    return bearing


def _is_legal(space: Space, policy: Policy) -> bool:
    """Whether the widths make a policy of the space as they stand."""
    try:
        return space.policy(policy.widths).key == policy.key
    except PolicyError:
        return False
