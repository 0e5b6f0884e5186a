"""The agents: what they propose and learn from, and where they find what sums of single effects cannot."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from haqc.budget import Budget
from haqc.ddpg import Agent, AgentOptions
from haqc.passes.search.ddpg import propose_ddpg
from haqc.passes.search.evaluator import Account, Evaluator
from haqc.passes.search.haq import propose_haq
from haqc.passes.search.integer import propose_integer
from haqc.passes.search.options import SearchOptions
from haqc.passes.search.predictor import Predictor
from haqc.passes.search.problem import Problem
from haqc.passes.search.state import FIRST_ACTION, STATE_SIZE, width_of
from haqc.passes.search.walk import Margin, Path, Wall
from haqc.passes.search.weighing import WEIGHINGS, telling
from haqc.replay import Array
from haqc.result import Trial
from tests.passes.search_toy import FLOAT_ACCURACY, Toy, optimum, price, same, terms, toy, within

FEW_WIDTHS = (2, 4, 8)
Weights = dict[str, Array]
TINY = AgentOptions(hidden=(16, 16), actor_rate=1e-3, critic_rate=3e-3, warm_up=0.0, updates_per_step=0.25)


def problem_of(game: Toy, **fractions: float) -> Problem:
    return Problem(game.space, within(game.space, **fractions), price, game.sensitivity)


def evaluator_of(game: Toy, problem: Problem) -> Evaluator:
    return Evaluator(problem, game.evaluate, FLOAT_ACCURACY, lambda trial: None, 0)


def account_of(evaluator: Evaluator, name: str, allowance: int) -> Account:
    return Account(name, allowance, evaluator, lambda *row: None)


def run_ddpg(game: Toy, problem: Problem, *, allowance: int, seed: int = 0) -> tuple[Trial, ...]:
    """Runs the integer program and then the agent; gives the agent's own trials."""
    evaluator = evaluator_of(game, problem)
    propose_integer(problem, terms(game.space), account_of(evaluator, "integer", 6), 4)
    before = len(evaluator.trials)
    options = SearchOptions(evaluations=allowance, seed=seed, networks=TINY)
    propose_ddpg(problem, account_of(evaluator, "ddpg", allowance), options)
    return evaluator.trials[before:]


def test_what_it_proposes_is_new_within_the_budget_and_its_own() -> None:
    game = toy(5, 1, interaction=1.0)
    problem = problem_of(game, energy=0.4, memory=0.6)
    trials = run_ddpg(game, problem, allowance=12)
    assert len(trials) == 12
    assert len({trial.policy.key for trial in trials}) == 12
    assert all(problem.budget.allows(trial.cost) and trial.allocator == "ddpg" for trial in trials)


def test_equal_seeds_propose_the_same_and_others_do_not() -> None:
    game = toy(5, 1, interaction=1.0)
    problem = problem_of(game, energy=0.4)
    one, same, other = ([t.policy.key for t in run_ddpg(game, problem, allowance=8, seed=s)] for s in (3, 3, 4))
    assert one == same != other


def test_it_ends_where_everything_is_known() -> None:
    game = toy(3, 1, weights=(8,), activations=FEW_WIDTHS)  # three policies in all
    problem = Problem(game.space, Budget(()), price, game.sensitivity)
    assert run_ddpg(game, problem, allowance=12) == ()


def test_without_other_trials_it_begins_on_its_own() -> None:
    game = toy(5, 1)
    problem = problem_of(game, energy=0.4)
    evaluator = evaluator_of(game, problem)
    propose_ddpg(problem, account_of(evaluator, "ddpg", 10), SearchOptions(evaluations=10, networks=TINY))
    assert len(evaluator.trials) == 10


@pytest.mark.parametrize("seed", range(3))
def test_it_finds_the_interaction_that_the_integer_program_misses(seed: int) -> None:
    game = toy(5, 0, weights=FEW_WIDTHS, activations=FEW_WIDTHS, interaction=4.0)
    problem = problem_of(game, energy=0.3)
    best = optimum(game, problem.budget)
    evaluator = evaluator_of(game, problem)
    propose_integer(problem, terms(game.space), account_of(evaluator, "integer", 1), 4)
    assert evaluator.trials[0].accuracy < best - 1.0
    options = SearchOptions(evaluations=24, seed=seed, networks=TINY)
    propose_ddpg(problem, account_of(evaluator, "ddpg", 24), options)
    assert max(trial.accuracy for trial in evaluator.trials) == pytest.approx(best, abs=0.05)


def test_haqs_agent_leaves_slack_and_learns_from_its_own_proposals() -> None:
    game = toy(5, 1)
    problem = problem_of(game, energy=0.4)
    evaluator = evaluator_of(game, problem)
    propose_haq(problem, account_of(evaluator, "haq", 12), SearchOptions(evaluations=12))
    assert len(evaluator.trials) == 12
    assert all(problem.budget.allows(trial.cost) for trial in evaluator.trials)
    widened = [
        problem.widening(problem.settled(trial.policy), trial.cost, choice)
        for trial in evaluator.trials
        for choice in game.space.free
    ]
    assert any(move is not None for move in widened)


@settings(max_examples=30, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.integers(3, 7), st.integers(0, 99), st.floats(0.0, 0.9), st.integers(0, 99))
def test_the_way_into_the_budget_leaves_no_slack_that_helps(count: int, seed: int, share: float, draw: int) -> None:
    game = toy(count, seed)
    problem = problem_of(game, energy=share, latency=max(share, 0.3))
    chosen = np.random.default_rng(draw)
    asked = {c.operand.tensor: int(chosen.choice(c.widths)) for c in game.space.free}
    widths = Margin(problem, game.sensitivity)(asked)
    cost = problem.cost(widths)
    assert problem.budget.allows(cost)
    for choice in game.space.free:
        move = problem.widening(widths, cost, choice)
        assert move is None  # every widening of the toy removes error, so each would be worth its cost


def test_an_episode_is_the_walk_that_executes_its_policy() -> None:
    game = toy(4, 2)
    problem = problem_of(game, energy=0.5)
    path = Path(game.space)
    policy = game.space.policy(Wall(problem, spend_slack=True)(path.walk(lambda state: 0.9)))
    episode = path.episode(policy, 1.5)
    widths = [width_of(float(a), s.choice.widths) for a, s in zip(episode.actions, path.steps, strict=True)]
    assert widths == [policy.widths[step.choice.operand.tensor] for step in path.steps]
    assert episode.states[:, -1].tolist() == [FIRST_ACTION, *episode.actions[:-1].tolist()]
    assert episode.reward == 1.5


def trials_of(game: Toy, count: int, seed: int) -> list[Trial]:
    draw = np.random.default_rng(seed)
    found = {}
    while len(found) < count:
        policy = game.space.policy({c.operand.tensor: int(draw.choice(c.widths)) for c in game.space.free})
        found[policy.key] = Trial.of(policy, price(policy), same(game.accuracy(policy)), 0.0, "random", 0)
    return list(found.values())


def test_the_predictor_learns_a_sum_from_few_trials() -> None:
    game = toy(6, 3)
    problem = Problem(game.space, Budget(()), price, game.sensitivity)
    predictor = Predictor.of(problem, trials_of(game, 24, 0))
    unseen = trials_of(game, 50, 1)
    expected, _ = predictor.predict([trial.policy for trial in unseen])
    actual = np.array([trial.accuracy for trial in unseen])
    assert np.abs(expected - actual).mean() < 0.05 * actual.std()


def test_the_predictor_corrects_sensitivities_that_are_wrong() -> None:
    game = toy(6, 3)
    draw = np.random.default_rng(0)
    factor = {c.operand.tensor: float(10 ** (0.5 * draw.standard_normal())) for c in game.space.free}
    wrong = {key: value * factor[key[0]] for key, value in game.sensitivity.items()}
    problem = Problem(game.space, Budget(()), price, wrong)
    unseen = trials_of(game, 50, 1)
    policies, actual = [trial.policy for trial in unseen], np.array([trial.accuracy for trial in unseen])
    by_sum = np.corrcoef([-problem.error(policy) for policy in policies], actual)[0, 1]
    few, many = (Predictor.of(problem, trials_of(game, count, 0)).predict(policies)[0] for count in (8, 60))
    assert np.corrcoef(many, actual)[0, 1] > 0.98 > by_sum
    assert np.abs(many - actual).mean() < 0.5 * np.abs(few - actual).mean()


def test_the_predictor_attends_to_good_trials() -> None:
    """Where bad policies follow another law, a model of all trials alike would follow that one."""
    game = toy(6, 3)
    problem = Problem(game.space, Budget(()), price, game.sensitivity)
    trials = trials_of(game, 60, 0)
    middle = float(np.median([trial.merit for trial in trials]))
    draw = np.random.default_rng(4)
    odd = [
        trial if trial.merit >= middle else replace(trial, merit=middle - 50.0 * float(draw.uniform()))
        for trial in trials
    ]
    unseen = [trial for trial in trials_of(game, 100, 1) if trial.merit >= middle]
    actual = np.array([trial.merit for trial in unseen])
    expected, _ = Predictor.of(problem, odd).predict([trial.policy for trial in unseen])
    assert np.corrcoef(expected, actual)[0, 1] > 0.85  # 0.79 with equal shares


def test_the_weighing_that_ranks_the_trials_is_found() -> None:
    game = toy(6, 3)
    problem = Problem(game.space, Budget(()), price, game.sensitivity)
    trials = trials_of(game, 30, 0)
    assert telling(problem, trials) == WEIGHINGS[0]  # of toys, accuracies are what the errors sum up to
    for true in WEIGHINGS:
        weighed = true.of(problem)
        loss = {t.policy.key: sum(weighed[tensor, t.policy.widths[tensor]] for tensor, _ in weighed) for t in trials}
        other = [replace(trial, merit=-loss[trial.policy.key]) for trial in trials]
        assert telling(problem, other) == true


def test_ranks_are_shared_by_equal_merits() -> None:
    game = toy(4, 2)
    problem = Problem(game.space, Budget(()), price, game.sensitivity)
    trials = [replace(trial, merit=50.0) for trial in trials_of(game, 10, 0)]
    assert telling(problem, trials) == WEIGHINGS[0]


def test_the_predictors_error_bar_grows_away_from_what_was_seen() -> None:
    game = toy(6, 3)
    problem = Problem(game.space, Budget(()), price, game.sensitivity)
    seen = [t for t in trials_of(game, 400, 0) if min(t.policy.widths.values()) >= 4][:20]
    predictor = Predictor.of(problem, seen)
    _, near = predictor.predict([trial.policy for trial in seen])
    _, far = predictor.predict([game.space.narrowest])
    assert far[0] > 2 * near.mean()


def alone(
    game: Toy, allowance: int, seed: int, start: Mapping[str, Array] | None = None
) -> tuple[Weights, list[float]]:
    """Runs the agent without any other allocator; gives what it has learnt, and the best so far after each trial."""
    problem = problem_of(game, energy=0.3)
    evaluator, learned = evaluator_of(game, problem), Weights()
    options = SearchOptions(evaluations=allowance, seed=seed, networks=TINY, start=start)
    propose_ddpg(problem, account_of(evaluator, "ddpg", allowance), options, learned.update)
    return learned, list(itertools.accumulate((trial.accuracy for trial in evaluator.trials), max))


def test_ctrl_c_while_it_learns_from_others_keeps_what_it_has_learnt(monkeypatch: pytest.MonkeyPatch) -> None:
    game = toy(4, 1)
    problem = problem_of(game, energy=0.5)
    evaluator, learned = evaluator_of(game, problem), Weights()
    propose_integer(problem, terms(game.space), account_of(evaluator, "integer", 6), 4)
    update, agents = Agent._update, []

    def interrupted(agent: Agent) -> None:
        agents.append(agent)
        if len(agents) == 3:
            raise KeyboardInterrupt
        update(agent)

    monkeypatch.setattr(Agent, "_update", interrupted)
    options = SearchOptions(evaluations=8, networks=TINY)
    with pytest.raises(KeyboardInterrupt):
        propose_ddpg(problem, account_of(evaluator, "ddpg", 8), options, learned.update)
    assert len(agents) == 3
    start = Agent(STATE_SIZE, 1, 1, TINY, 0).state()
    assert learned.keys() == start.keys()
    assert any(not np.array_equal(learned[name], start[name]) for name in start)


def test_where_nothing_is_free_no_agent_learns() -> None:
    game = toy(3, 1)
    space = replace(game.space, choices=tuple(replace(c, widths=c.widths[-1:]) for c in game.space.choices))
    problem = Problem(space, Budget(()), price, game.sensitivity)
    evaluator = evaluator_of(game, problem)
    propose_ddpg(
        problem, account_of(evaluator, "ddpg", 8), SearchOptions(evaluations=8), lambda _: pytest.fail("it learnt")
    )
    assert [trial.policy.key for trial in evaluator.trials] == [space.widest.key]


@pytest.mark.slow
def test_an_agent_that_learnt_on_another_network_needs_fewer_evaluations() -> None:
    learned, _ = alone(toy(10, 30, interaction=0.3), 48, 0)
    first, later = [], []
    for seed in range(1, 6):
        game = toy(10, 30 + seed, interaction=0.3)
        _, new = alone(game, 12, seed)
        _, old = alone(game, 4, seed, learned)
        first.append(old[-1] - new[3])
        later.append(old[-1] - new[-1])
    assert statistics.median(first) > 0.3  # points, after four evaluations each
    assert statistics.median(later) > -0.1  # four evaluations against twelve
