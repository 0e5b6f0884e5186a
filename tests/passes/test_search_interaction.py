"""A problem that no sum of single effects can see, whatever their weights: two neighbours must not both be narrow."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import cached_property

import pytest

from haqc.budget import Budget, Cost, Limit
from haqc.passes.search import SearchOptions, search
from haqc.passes.search.problem import Problem
from haqc.passes.search.program import Program
from haqc.passes.search.weighing import WEIGHINGS
from haqc.policy import Policy, Space
from haqc.precision import Precision
from haqc.request import AllocatorName
from haqc.result import SearchResult
from haqc.score import Score
from tests.passes.search_toy import FLOAT_ACCURACY, chain, same, terms

PAIRS = 4
TOGETHER = 5.0
"""Points that two neighbours lose together, beside what each loses alone."""


class Neighbours:
    """Pairs of layers whose weights have 2 or 8 bits; half of them must be narrow, and all cost the same.

    Alone, the layers of the first pair lose least and those of the last most, so every rising function of single
    effects, added up, has its least value where the first half of the pairs is narrow, which is the worst that can
    be done: what is best has one narrow layer in every pair.
    """

    def __init__(self) -> None:
        self.space = Space.of(chain(2 * PAIRS + 2), Precision((2, 8), (8,)))
        self.tensors = [choice.operand.tensor for choice in self.space.free]
        self.alone = {tensor: 0.02 * (1 + index // 2) for index, tensor in enumerate(self.tensors)}

    @cached_property
    def sensitivity(self) -> dict[tuple[str, int], float]:
        """Exactly what each layer loses alone."""
        return {(tensor, bits): self.alone[tensor] * (bits == 2) for tensor in self.tensors for bits in (2, 8)}

    @staticmethod
    def price(policy: Policy) -> Cost:
        """The sum of the widths of all weights."""
        return Cost(float(sum(bits.weight for bits in policy.layer_bits)))

    @cached_property
    def budget(self) -> Budget:
        """What half of the layers at 2 bits cost."""
        most = self.price(self.space.widest).energy_j
        return Budget((Limit("energy", most - 6 * PAIRS, "half of them narrow"),))

    def accuracy(self, policy: Policy) -> float:
        narrow = [policy.widths[tensor] == 2 for tensor in self.tensors]
        both = sum(a and b for a, b in zip(narrow[::2], narrow[1::2], strict=True))
        return (
            FLOAT_ACCURACY
            - sum(self.alone[t] for t, n in zip(self.tensors, narrow, strict=True) if n)
            - TOGETHER * both
        )

    @property
    def best(self) -> float:
        """One narrow layer in every pair."""
        return FLOAT_ACCURACY - sum(self.alone.values()) / 2

    def run(self, allocators: tuple[AllocatorName, ...], seed: int) -> SearchResult:
        def evaluate(policies: Sequence[Policy]) -> list[Score]:
            return [same(self.accuracy(policy)) for policy in policies]

        return search(
            self.space,
            self.budget,
            self.price,
            terms(self.space, self.price),
            evaluate,
            baseline=self.price(self.space.widest),
            float_accuracy=FLOAT_ACCURACY,
            sensitivity=self.sensitivity,
            options=SearchOptions(evaluations=48, seed=seed, allocators=allocators),
            record=lambda trial: None,
            progress=lambda *_: None,
        )


def test_every_sum_of_single_effects_has_its_least_value_where_the_loss_is_greatest() -> None:
    game = Neighbours()
    problem = Problem(game.space, game.budget, game.price, game.sensitivity)
    halves = itertools.combinations(game.tensors, PAIRS)
    policies = [game.space.policy({t: 2 if t in narrow else 8 for t in game.tensors}) for narrow in halves]
    assert all(problem.budget.allows(game.price(policy)) for policy in policies)
    assert max(map(game.accuracy, policies)) == pytest.approx(game.best, abs=0.2)
    program = Program(problem, terms(game.space, game.price))
    for weighing in WEIGHINGS:
        widths = program.solve(weighing.of(problem), (), 0)
        assert widths is not None
        narrow = [tensor for tensor in game.tensors if widths[tensor] == 2]
        assert sum(game.alone[t] for t in narrow) == pytest.approx(sum(sorted(game.alone.values())[:PAIRS]), abs=1e-12)
        assert game.accuracy(game.space.policy(widths)) == pytest.approx(min(map(game.accuracy, policies)), abs=0.2)


@pytest.mark.slow
def test_the_agent_finds_what_no_sum_can_see() -> None:
    game = Neighbours()
    for seed in range(3):
        found = game.run(("uniform", "greedy", "integer", "ddpg"), seed)
        best = {row.name: row.best.accuracy for row in found.allocators if row.best is not None}
        assert found.best.allocator == "ddpg"
        assert best["ddpg"] == pytest.approx(game.best, abs=0.2)
        assert best["integer"] < game.best - 4.5
        assert best["greedy"] < game.best - 4.5
