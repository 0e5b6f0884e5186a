"""The search as a whole: budgets, pins, memory, repeats, interruption, and toys whose optimum is known."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from haqc.budget import Budget, Cost
from haqc.ddpg import AgentOptions
from haqc.errors import InfeasibleBudget, Interrupted
from haqc.passes.search import SearchOptions, search
from haqc.passes.search.evaluator import Account, Evaluate, Evaluator
from haqc.passes.search.problem import Problem
from haqc.passes.search.state import plan_steps, width_of
from haqc.passes.search.wall import confine
from haqc.policy import Bits, Policy, Space
from haqc.precision import Precision
from haqc.request import AllocatorName
from haqc.result import SearchResult, Trial
from haqc.score import Score
from tests.passes.search_toy import FLOAT_ACCURACY, Toy, chain, optimum, price, same, terms, toy, within

TINY = AgentOptions(hidden=(16, 16), actor_rate=1e-3, critic_rate=3e-3, updates_per_step=0.25)


@dataclass
class Run:
    """A search with everything that went in and out of it."""

    toy: Toy
    budget: Budget
    options: SearchOptions = field(default_factory=lambda: SearchOptions(evaluations=12, networks=TINY))
    evaluate: Evaluate | None = None
    recorded: list[Trial] = field(default_factory=list)
    asked: list[list[str]] = field(default_factory=list)
    shown: list[tuple[str, int, int, Trial]] = field(default_factory=list)

    def __call__(self) -> SearchResult:
        return search(
            self.toy.space,
            self.budget,
            price,
            terms(self.toy.space),
            self._evaluate,
            baseline=price(self.toy.space.widest),
            float_accuracy=FLOAT_ACCURACY,
            sensitivity=self.toy.sensitivity,
            options=self.options,
            record=self.recorded.append,
            progress=lambda *row: self.shown.append(row),
        )

    def _evaluate(self, policies: Sequence[Policy]) -> Sequence[Score]:
        self.asked.append([policy.key for policy in policies])
        return (self.evaluate or self.toy.evaluate)(policies)


def test_finds_the_optimum_of_a_small_additive_toy() -> None:
    small = toy(5, weights=(2, 4, 8), activations=(2, 4, 8))
    budget = within(small.space, energy=0.4)
    result = Run(small, budget, SearchOptions(evaluations=32, networks=TINY))()
    assert result.best.accuracy == pytest.approx(optimum(small, budget), abs=1e-9)


def test_comes_close_to_the_optimum_under_an_interaction_and_two_limits() -> None:
    small = toy(5, seed=2, weights=(2, 4, 8), activations=(2, 4, 8), interaction=0.5)
    budget = within(small.space, energy=0.5, latency=0.5)
    result = Run(small, budget, SearchOptions(evaluations=32, networks=TINY))()
    best, worst = optimum(small, budget), small.accuracy(small.space.narrowest)
    assert result.best.accuracy > best - 0.02 * (best - worst)


def best_of_random(problem: Toy, budget: Budget, evaluations: int, seed: int) -> float:
    """Uniformly random actions, under the same wall and for as many evaluations."""
    draw = np.random.default_rng(seed)
    rules = Problem(problem.space, budget, price, problem.sensitivity)
    order = [step.choice for step in plan_steps(problem.space)]
    found: dict[str, float] = {}
    while len(found) < evaluations:
        asked = {c.operand.tensor: width_of(draw.uniform(), c.widths) for c in order}
        policy = problem.space.policy(confine(rules, asked, order, spend_slack=True))
        found[policy.key] = problem.accuracy(policy)
    return max(found.values())


@pytest.mark.slow
def test_the_agent_beats_random_search_at_equal_evaluations() -> None:
    gains = []
    for seed in range(3):
        problem = toy(16, seed=30 + seed, interaction=0.3)
        budget = within(problem.space, energy=0.4)
        run = Run(problem, budget, SearchOptions(evaluations=64, seed=seed))
        ddpg = run().allocators[-1]
        assert ddpg.best is not None
        assert ddpg.evaluations == 64
        gains.append(ddpg.best.accuracy - best_of_random(problem, budget, 64, 1000 + seed))
    assert statistics.median(gains) > 0.5  # points; greedy is under two points above random search


TOYS = st.builds(
    toy,
    st.integers(2, 5),
    st.integers(0, 50),
    weights=st.sampled_from([(2, 3, 4, 5, 6, 7, 8), (2, 4, 8), (8,), (4, 8)]),
    activations=st.sampled_from([(2, 3, 4, 5, 6, 7, 8), (2, 4, 8), (8,)]),
    interaction=st.sampled_from([0.0, 1.0]),
)
FRACTION = st.one_of(st.floats(0.0, 1.0), st.floats(-0.2, 1.0))


@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(TOYS, st.dictionaries(st.sampled_from(["energy", "latency", "size", "memory"]), FRACTION, max_size=3))
def test_the_budget_and_the_pins_always_hold(problem: Toy, fractions: dict[str, float]) -> None:
    budget = within(problem.space, **fractions)
    run = Run(problem, budget, SearchOptions(evaluations=6, networks=TINY))
    if not budget.allows(price(problem.space.narrowest)):
        with pytest.raises(InfeasibleBudget, match="cannot be met"):
            run()
        return
    result = run()
    assert result.best in result.trials
    assert result.best.accuracy == max(trial.accuracy for trial in result.trials)
    for trial in result.trials:
        assert budget.allows(trial.cost)
        assert trial.cost == price(trial.policy)
        assert trial.policy.layer_bits[0] == trial.policy.layer_bits[-1] == Bits(8, 8)


@pytest.fixture(scope="module")
def done() -> tuple[Run, SearchResult]:
    """A search that nothing disturbed, and what came of it."""
    run = Run(toy(4), within(toy(4).space, energy=0.4))
    return run, run()


def test_nothing_to_decide_gives_the_one_policy() -> None:
    pinned = toy(2)
    result = Run(pinned, Budget(()))()
    assert [trial.policy.key for trial in result.trials] == [pinned.space.widest.key]
    assert [row.evaluations for row in result.allocators] == [1, 1, 1, 1, 1]


def test_each_policy_is_evaluated_and_recorded_once_in_order(done: tuple[Run, SearchResult]) -> None:
    run, result = done
    assert not result.interrupted
    asked = [key for batch in run.asked for key in batch]
    assert len(asked) == len(set(asked))
    assert [trial.policy.key for trial in run.recorded] == asked
    assert result.trials == tuple(run.recorded)
    assert max(len(batch) for batch in run.asked) <= 4


def test_a_policy_known_from_another_counts_but_is_not_evaluated_again() -> None:
    problem = toy(3, weights=(8,), activations=(2, 4, 8))  # three policies in all
    run = Run(problem, Budget(()), SearchOptions(evaluations=12, networks=TINY))
    result = run()
    assert sum(len(batch) for batch in run.asked) == len(result.trials) == 3
    counted = [(row.name, row.evaluations) for row in result.allocators]
    # Chance fills a budget that there is not, and the agent proposes only what is new.
    assert counted == [("uniform", 1), ("greedy", 1), ("integer", 3), ("random", 1), ("ddpg", 0)]
    assert {row.best.allocator for row in result.allocators if row.best} == {"uniform"}


def test_rewards_are_a_tenth_of_the_points_lost(done: tuple[Run, SearchResult]) -> None:
    for trial in done[1].trials:
        assert trial.reward == pytest.approx(0.1 * (trial.accuracy - FLOAT_ACCURACY), abs=1e-12)


def test_equal_accuracies_go_to_the_least_predicted_error() -> None:
    problem = toy(4)
    result = Run(problem, within(problem.space, energy=0.9), evaluate=lambda policies: [same(50.0)] * len(policies))()

    def error(trial: Trial) -> float:
        return sum(
            problem.sensitivity[c.operand.tensor, trial.policy.widths[c.operand.tensor]] for c in problem.space.free
        )

    assert error(result.best) == min(error(trial) for trial in result.trials)
    assert error(result.best) < max(error(trial) for trial in result.trials)


@pytest.mark.parametrize("agent", ["ddpg", "haq", "evolution"])
def test_merit_ranks_and_accuracy_is_told(agent: AllocatorName) -> None:
    """Where merit is what the toy says, and accuracy the opposite, all is proposed as if the toy's word were both."""
    problem = toy(5, interaction=0.5)
    options = SearchOptions(evaluations=12, networks=TINY, allocators=("uniform", "integer", agent))
    plain, other = (
        Run(problem, within(problem.space, energy=0.4), options, lambda policies, sign=sign: [
            Score(sign * score.merit, score.merit) for score in problem.evaluate(policies)
        ])
        for sign in (1, -1)
    )  # fmt: skip
    first, second = plain(), other()
    assert second.best.merit == first.best.merit == max(trial.merit for trial in second.trials)
    assert second.best.accuracy == -second.best.merit
    assert second.best.reward == pytest.approx(0.1 * (second.best.accuracy - FLOAT_ACCURACY))
    assert (plain.asked == other.asked) == (agent != "haq")  # the paper's agent learns from the accuracy


def test_progress_names_each_allocator_up_to_its_allowance(done: tuple[Run, SearchResult]) -> None:
    run, result = done
    for row in result.allocators:
        last = [shown for shown in run.shown if shown[0] == row.name][-1]
        assert row.best is not None
        most = 8 if row.name in ("uniform", "greedy") else 12
        assert last == (row.name, row.evaluations, most, row.best)


def test_two_runs_are_identical_and_another_seed_is_not() -> None:
    problem = toy(5, interaction=0.5)
    options = [SearchOptions(evaluations=12, networks=TINY, seed=seed) for seed in (4, 4, 5)]
    runs = [Run(problem, within(problem.space, energy=0.4), option) for option in options]
    results = [run() for run in runs]
    assert runs[0].asked == runs[1].asked
    assert [t.to_json() for t in results[0].trials] == [t.to_json() for t in results[1].trials]
    assert runs[0].asked != runs[2].asked


def test_a_replay_from_a_log_proposes_the_same() -> None:
    problem = toy(5, interaction=0.5)
    whole = Run(problem, within(problem.space, energy=0.4))
    expected = whole()
    killed = Run(problem, whole.budget, evaluate=interrupted_after(38, problem))
    killed()
    log = {trial.policy.key: trial.score for trial in killed.recorded}
    evaluated: list[str] = []

    def answer(policies: Sequence[Policy]) -> list[Score]:
        evaluated.extend(policy.key for policy in policies if policy.key not in log)
        return [log.get(policy.key, same(problem.accuracy(policy))) for policy in policies]

    resumed = Run(problem, whole.budget, evaluate=answer)
    assert [t.to_json() for t in resumed().trials] == [t.to_json() for t in expected.trials]
    assert resumed.asked == whole.asked
    assert not set(evaluated) & set(log)


def interrupted_after(count: int, problem: Toy) -> Evaluate:
    """Evaluates until more than ``count`` policies would be."""
    done: list[Policy] = []

    def evaluate(policies: Sequence[Policy]) -> list[Score]:
        done.extend(policies)
        if len(done) > count:
            raise KeyboardInterrupt
        return problem.evaluate(policies)

    return evaluate


def test_an_interrupt_keeps_what_there_is() -> None:
    problem = toy(5)
    run = Run(problem, within(problem.space, energy=0.4), evaluate=interrupted_after(38, problem))
    result = run()
    assert result.interrupted
    assert 0 < len(result.trials) <= 38
    assert result.allocators[-1].name == "ddpg"
    assert result.best.accuracy == max(trial.accuracy for trial in run.recorded)


def test_an_interrupt_before_the_first_result_leaves_nothing() -> None:
    problem = toy(5)
    with pytest.raises(Interrupted, match="nothing to emit"):
        Run(problem, within(problem.space, energy=0.4), evaluate=interrupted_after(0, problem))()


def test_an_infeasible_budget_is_refused_with_the_smallest_reachable_value() -> None:
    problem = toy(6)
    with pytest.raises(InfeasibleBudget) as caught:
        Run(problem, within(problem.space, energy=-0.1, latency=0.9, size=-0.2))()
    least, whole = price(problem.space.narrowest), price(problem.space.widest)
    message = str(caught.value)
    assert message.startswith("budget energy=-0.1 and size=-0.2 cannot be met: the smallest reachable energy is ")
    assert f"energy is {least.energy_j / whole.energy_j:.4g} of 8/8" in message
    assert f"size is {least.weight_bytes / whole.weight_bytes:.4g} of 8/8" in message
    assert f"{least.weight_bytes / 1024:.4g} KiB" in message
    assert "2/2 everywhere but 'l0' and 'l5' at 8/8" in message
    assert "latency" not in message
    allowed = dict(pair.split("=") for pair in message.partition("allow ")[2].partition(", or")[0].split(" and "))
    for value, metric in (
        (least.energy_j / whole.energy_j, "energy"),
        (least.weight_bytes / whole.weight_bytes, "size"),
    ):
        assert value <= float(allowed[metric]) <= value + 0.001


def test_an_unusable_sensitivity_is_refused() -> None:
    space = Space.of(chain(3), Precision((2, 8), (2, 8)))
    good = {(c.operand.tensor, b): 0.0 for c in space.free for b in c.widths}
    for bad in ({}, good | {("w1", 2): -1.0}, good | {("w1", 2): float("nan")}):
        with pytest.raises(ValueError, match="sensitivity of 'w1' at 2 bits"):
            Problem(space, Budget(()), price, bad)


def test_an_allowance_cannot_be_exceeded() -> None:
    problem = toy(4)
    rules = Problem(problem.space, Budget(()), price, problem.sensitivity)
    evaluator = Evaluator(rules, problem.evaluate, FLOAT_ACCURACY, lambda trial: None, 0)
    account = Account("x", 1, evaluator, lambda *row: None)
    with pytest.raises(ValueError, match="'x' proposes 2 policies where 1 are left"):
        account.evaluate([problem.space.widest, problem.space.narrowest])


def test_a_policy_over_the_budget_is_never_evaluated() -> None:
    problem = toy(4)
    rules = Problem(problem.space, within(problem.space, energy=0.9), price, problem.sensitivity)
    evaluator = Evaluator(rules, problem.evaluate, FLOAT_ACCURACY, lambda trial: None, 0)
    with pytest.raises(AssertionError, match="over the budget"):
        evaluator.trials_of([problem.space.widest], "x")
    assert evaluator.trials == ()


def test_options_are_checked() -> None:
    with pytest.raises(ValueError, match="batch must be at least 1"):
        SearchOptions(batch=0)


def test_costs_of_the_toy_never_rise_as_widths_fall() -> None:
    space = toy(4).space
    wide = price(space.uniform(8, 8))
    for width in range(7, 1, -1):
        narrow = price(space.uniform(width, width))
        assert all(narrow.value(m) <= wide.value(m) for m in ("energy", "latency", "size", "memory"))
        wide = narrow
    assert wide != Cost()


def test_a_search_that_may_take_no_time_still_finds_a_policy() -> None:
    game = toy(4)
    result = Run(game, within(game.space, energy=0.4), SearchOptions(evaluations=12, networks=TINY, seconds=0.0))()
    assert 1 <= len(result.trials) <= 4
    assert [row.name for row in result.allocators] == ["uniform", "greedy", "integer", "random", "ddpg"]


def test_only_the_allocators_that_are_asked_for_propose() -> None:
    game = toy(4)
    options = SearchOptions(evaluations=6, networks=TINY, allocators=("evolution", "integer"))
    result = Run(game, within(game.space, energy=0.4), options)()
    assert [row.name for row in result.allocators] == ["evolution", "integer"]
    assert {trial.allocator for trial in result.trials} <= {"evolution", "integer"}
