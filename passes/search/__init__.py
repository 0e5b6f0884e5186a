"""Searches the policies within a budget for the one that scores best."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence

from haqc.budget import Budget, Cost
from haqc.errors import Interrupted
from haqc.passes.search.allowances import allowance
from haqc.passes.search.ddpg import Learned, propose_ddpg
from haqc.passes.search.evaluator import Account, Evaluate, Evaluator, OutOfTime, Progress, Record
from haqc.passes.search.evolution import propose_evolution
from haqc.passes.search.feasibility import require_feasible
from haqc.passes.search.greedy import propose_greedy
from haqc.passes.search.haq import propose_haq
from haqc.passes.search.integer import propose_integer
from haqc.passes.search.minimise import Attempt, cheapest_kept, minimise
from haqc.passes.search.options import SearchOptions
from haqc.passes.search.problem import Problem, Sensitivity
from haqc.passes.search.recoverable import recoverable
from haqc.passes.search.sampling import propose_random
from haqc.passes.search.slack import SLACK, TIME_SHARE, unspent
from haqc.passes.search.uniform import propose_uniform
from haqc.policy import Policy, Space
from haqc.request import AllocatorName
from haqc.result import SearchResult, Trial
from haqc.terms import Terms

__all__ = ["Attempt", "SearchOptions", "allowance", "cheapest_kept", "minimise", "recoverable", "search"]


def search(
    space: Space,
    budget: Budget,
    price: Callable[[Policy], Cost],
    terms: Terms,
    evaluate: Evaluate,
    *,
    baseline: Cost,
    float_accuracy: float,
    sensitivity: Sensitivity,
    options: SearchOptions,
    record: Record,
    progress: Progress,
    known: Sequence[Trial] = (),
    learned: Learned = lambda weights: None,
) -> SearchResult:
    """Lets every allocator propose policies within the budget, each with the same allowance, and picks the best.

    What is proposed depends on the arguments and on the scores alone, so a search whose ``evaluate`` answers from
    a log repeats itself. A policy is evaluated once, whoever proposes it; it counts for each who does.

    Args:
        space: the policies that may be proposed, pins included.
        budget: what every policy that is evaluated or returned holds.
        price: gives the cost of a policy for one batch; where it rises as widths fall, the cheapest policy is found
            layer by layer.
        terms: the same prices as a sum, for the integer program.
        evaluate: gives what a few distinct policies score on the search split, none of them known yet.
        baseline: cost at uniform 8/8, for messages.
        float_accuracy: what rewards are measured from, in percent.
        sensitivity: output error, at least 0, of each free operand alone at each of its widths, by (tensor, bits).
        options: allowances, batch, seed.
        record: called once per trial, in the order of proposal.
        progress: called after each batch with allocator, policies so far, allowance, and its best trial.
        known: trials of searches under other budgets. A score does not depend on a budget, so none of them is evaluated
            again, the agent learns from all of them, and those within this budget may win.
        learned: called with the weights that the default agent ends with, where it is among the allocators.

    Raises:
        InfeasibleBudget: no policy of the space holds the budget.
        Interrupted: Ctrl-C came before anything was evaluated. Afterwards it ends the search with what there is.
    """
    problem = Problem(space, budget, price, sensitivity)
    require_feasible(space, budget, price, baseline)
    evaluator = Evaluator(problem, evaluate, float_accuracy, record, options.seed, known)
    allocators: dict[AllocatorName, Callable[[Account], None]] = {
        "uniform": lambda account: propose_uniform(problem, account, options.batch),
        "greedy": lambda account: propose_greedy(problem, account, options.batch),
        "integer": lambda account: propose_integer(problem, terms, account, options.batch),
        "random": lambda account: propose_random(problem, account, options.batch, options.seed),
        "evolution": lambda account: propose_evolution(problem, account, options.batch, options.seed),
        "ddpg": lambda account: propose_ddpg(problem, account, options, learned),
        "haq": lambda account: propose_haq(problem, account, options),
    }
    finished = []
    end_s = time.monotonic() + options.seconds
    proposed_s = time.monotonic() + (1 - TIME_SHARE) * options.seconds
    is_going = True
    for place, name in enumerate(options.allocators):
        left_s = proposed_s - time.monotonic()
        until_s = time.monotonic() + left_s / (len(options.allocators) - place)
        account = Account(name, allowance(name, options), evaluator, progress, until_s)
        is_going = _goes_on(functools.partial(allocators[name], account))
        finished.append(account.close())
        if not is_going:
            break

    def fill() -> None:
        wider = unspent(problem, evaluator)[: options.evaluations]
        account = Account(SLACK, len(wider), evaluator, progress, end_s)
        try:
            account.evaluate_all(wider, options.batch)
        finally:
            row = account.close()
            if row.evaluations:
                finished.append(row)

    is_going = is_going and _goes_on(fill)
    if not evaluator.trials:
        raise Interrupted("interrupted before any policy was evaluated, so there is nothing to emit; run it again")
    best = evaluator.best(evaluator.trials)
    return SearchResult(evaluator.trials, tuple(finished), best, interrupted=not is_going)


def _goes_on(propose: Callable[[], object]) -> bool:
    """Lets policies be proposed until there are no more or the time is up; gives whether the search goes on after."""
    try:
        propose()
    except OutOfTime:
        pass
    except KeyboardInterrupt:
        return False
    return True
