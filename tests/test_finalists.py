"""Which trials are looked at again after a longer fine-tune."""

from __future__ import annotations

from haqc.policy import Policy
from haqc.result import AllocatorResult, SearchResult, Trial
from tests.passes.search_toy import chain, price

GRAPH = chain(2)


def trial(accuracy: float, allocator: str, bits: int) -> Trial:
    policy = Policy(GRAPH, {operand.tensor: bits for operand in GRAPH.operands})
    return Trial(policy, price(policy), accuracy, accuracy, 0.0, allocator, 0)


def test_the_winner_comes_first_then_each_allocators_best_then_the_best_others() -> None:
    uniform, agents = trial(70.0, "uniform", 3), [trial(80.0 - bits, "ddpg", bits) for bits in (8, 7, 6, 5, 4)]
    best = agents[-1]
    rows = (AllocatorResult("uniform", uniform, 1, 0.0), AllocatorResult("ddpg", best, 5, 0.0))
    found = SearchResult((uniform, *agents), (*rows, AllocatorResult("greedy", None, 0, 0.0)), best)
    assert [each.accuracy for each in found.promising(4)] == [76.0, 70.0, 75.0, 74.0]
    assert found.promising(1) == [best]
    assert len(found.promising(99)) == 6
