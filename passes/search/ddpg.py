"""The agent: HAQ's, with what it needs to be better than cheap allocators within a few dozen evaluations.

It differs from the paper's (:mod:`haqc.passes.search.haq`) in four ways: its replay begins with the walks of every
trial so far, whoever proposed it; it enters the budget by marginal error, which spends the slack; half of its
candidates change a few widths of good trials; and a predictor chooses among candidates. ``docs/search.md`` says more.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from haqc.ddpg import Agent
from haqc.passes.search.evaluator import Account
from haqc.passes.search.options import SearchOptions
from haqc.passes.search.predictor import Predictor
from haqc.passes.search.problem import Problem, Widths
from haqc.passes.search.sampling import distinct
from haqc.passes.search.state import STATE_SIZE
from haqc.passes.search.walk import Margin, Path, Wall, propose
from haqc.passes.search.weighing import WEIGHINGS, telling
from haqc.policy import Policy
from haqc.replay import Array
from haqc.result import REWARD_SCALE, Trial

Learned = Callable[[Mapping[str, Array]], None]

CANDIDATES = 6
"""Candidates for each policy of a batch, half of them walks of the agent and half changes of good trials."""

INCUMBENTS = 4
"""Trials that candidates are changes of: the best, by what they scored and what was predicted together."""

TRIES = 4
"""Candidates that are made at most for each that is wanted: some are known, and some end where others did."""

NOISE_OF_LEARNED = 0.15
"""Standard deviation that the noise of an agent begins with which has learnt on another problem: what it asks for is
worth more than chance."""

WIDENING = 1.2
"""Factor on the agent's noise from one candidate of a batch to the next, up to the noise it began with."""

LEAST_TRIALS = 6
"""Trials that a predictor is made of at least; before, candidates are taken as they come."""

BOLDNESS = 0.25
"""Standard deviations of the prediction that are added to it: what is uncertain may be better than it looks."""

DOUBT = 0.25
"""Standard deviation of the logarithm of a factor on each operand's error on the way into the budget: single effects
tell only so much."""


def propose_ddpg(
    problem: Problem, account: Account, options: SearchOptions, learned: Learned = lambda weights: None
) -> None:
    """Lets an agent propose policies that nobody proposed before, in batches, and learn after each.

    All candidates of a batch come from the same agent and the same trials, so what is proposed does not depend on how
    many evaluations run at a time.

    Args:
        problem: the problem.
        account: what is known, and how much may still be proposed.
        options: batch, seed, the agent's networks, traits and first weights.
        learned: called once with the weights that the agent ends with, however it ends; not where nothing is free,
            since no agent learns then.
    """
    if not problem.space.free:
        account.evaluate([problem.space.widest])
        return
    proposer = Proposer(problem, account, options)
    try:
        if options.traits.starts_warm:
            proposer.learn(account.lessons)
        propose(proposer, account)
    finally:
        learned(proposer.weights)


class Proposer:
    """An agent, the good trials around which it explores, and the predictor that screens what both bring.

    Args:
        problem: the problem.
        account: what is known, and how much may still be proposed.
        options: batch, seed, the agent's networks, traits and first weights.
    """

    def __init__(self, problem: Problem, account: Account, options: SearchOptions) -> None:
        self._problem = problem
        self._account = account
        self._batch = options.batch
        self._traits = options.traits
        self._path = Path(problem.space)
        self._wall = Wall(problem, spend_slack=False)
        self._weighed = WEIGHINGS[0].of(problem)
        networks = options.networks if options.start is None else replace(options.networks, noise=NOISE_OF_LEARNED)
        self._agent = Agent(STATE_SIZE, len(self._path.steps), account.allowance, networks, options.seed)
        if options.start is not None:
            self._agent.load(options.start)
        self._draw = np.random.default_rng([options.seed, 1])

    def batch(self) -> list[Policy]:
        """Gives the next policies, distinct and new: the most promising, the first of them a walk of the agent.

        There are none when no candidate is new.
        """
        count = min(self._batch, self._account.remaining)
        half = max(1, count * CANDIDATES // 2)
        trials = self._account.known
        known = {trial.policy.key for trial in trials}
        lessons = self._account.lessons
        predictor = Predictor.of(self._problem, lessons) if len(lessons) >= LEAST_TRIALS else None
        if predictor is not None:
            self._weighed = telling(self._problem, lessons).of(self._problem)
        walks = self._fresh(self._walks(), half, known)
        known |= {policy.key for policy in walks}
        changes: list[Policy] = []
        if trials and self._traits.changes_good:
            changes = self._fresh(self._changes(_incumbents(trials, predictor)), half, known)
        if predictor is None or not self._traits.screens:
            return [policy for pair in itertools.zip_longest(walks, changes) for policy in pair if policy][:count]
        first = _most_promising(predictor, walks, 1)
        rest = [policy for policy in walks + changes if policy not in first]
        return first + _most_promising(predictor, rest, count - len(first))

    @property
    def weights(self) -> Mapping[str, Array]:
        """What the agent has learnt."""
        return self._agent.state()

    def learn(self, trials: Sequence[Trial]) -> None:
        """Lets the agent learn from what was scored."""
        self._path.teach(self._agent, trials, [REWARD_SCALE * trial.merit for trial in trials])

    def _walks(self) -> Iterator[Policy]:
        """Yields walks of the agent, with noise that grows."""
        episode = self._account.allowance - self._account.remaining
        for index in itertools.count():
            act = functools.partial(self._agent.act, episode=episode, widening=WIDENING**index)
            yield self._entered(self._path.walk(act if self._traits.walks else self._chance))

    def _chance(self, state: Array) -> float:
        return float(self._draw.uniform())

    def _changes(self, incumbents: list[Trial]) -> Iterator[Policy]:
        """Yields good trials with a few widths moved, more and more of them, and put back inside the budget."""
        for index in itertools.count():
            widths = self._problem.settled(incumbents[index % len(incumbents)].policy)
            yield self._entered(self._changed(widths, index // len(incumbents)))

    def _entered(self, asked: Widths) -> Policy:
        """Puts widths inside the budget, where marginal errors are taken with a grain of salt."""
        if not self._traits.enters_by_margin:
            return self._problem.space.policy(self._wall(asked))
        factors = np.exp(DOUBT * self._draw.standard_normal(len(asked)))
        factor = dict(zip(asked, factors.tolist(), strict=True))
        weighed = {(tensor, bits): error * factor[tensor] for (tensor, bits), error in self._weighed.items()}
        return self._problem.space.policy(Margin(self._problem, weighed)(asked))

    def _changed(self, widths: Widths, more: int) -> Widths:
        """Moves one width or more, each by one place or two."""
        free = self._problem.space.free
        count = min(len(free), int(self._draw.geometric(0.5)) + more // 2)
        changed = dict(widths)
        for index in self._draw.choice(len(free), size=count, replace=False):
            choice = free[index]
            place = choice.widths.index(widths[choice.operand.tensor])
            others = [p for p in range(len(choice.widths)) if p != place and abs(p - place) <= 2]
            if others:
                changed[choice.operand.tensor] = choice.widths[int(self._draw.choice(others))]
        return changed

    @staticmethod
    def _fresh(policies: Iterator[Policy], count: int, known: set[str]) -> list[Policy]:
        """Takes distinct policies that are not known, as far as there are any within a few tries."""
        return distinct(itertools.islice(policies, TRIES * count), count, lambda policy: policy.key in known)


def _incumbents(trials: Sequence[Trial], predictor: Predictor | None) -> list[Trial]:
    """Gives the best trials, by what they scored and, where there is a predictor, by what it expects of them."""
    expected = np.zeros(len(trials))
    if predictor is not None:
        expected, _ = predictor.predict([trial.policy for trial in trials])
    ranked = sorted(zip(trials, expected, strict=True), key=lambda pair: -(pair[0].merit + pair[1]))
    return [trial for trial, _ in ranked[:INCUMBENTS]]


def _most_promising(predictor: Predictor, policies: Sequence[Policy], count: int) -> list[Policy]:
    if not policies or not count:
        return []
    expected, deviation = predictor.predict(policies)
    ranked = np.argsort(-(expected + BOLDNESS * deviation), kind="stable")
    return [policies[index] for index in ranked[:count]]
