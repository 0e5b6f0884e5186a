"""What searches of one model under several budgets share, and the way from a search to its winner."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from haqc import stages
from haqc.case import Case
from haqc.clock import Clock
from haqc.effect import Effect, output_errors
from haqc.folder import OutputFolder
from haqc.passes.search import SearchOptions, recoverable
from haqc.plan import FINALISTS
from haqc.policy import Policy
from haqc.problem import Problem
from haqc.result import SearchResult, Trial
from haqc.searchlog import SearchLog
from haqc.tuned import Tuned
from haqc.ui import Ui
from haqc.winner import Winner
from haqc.workbench import Bench
from haqc.workers import WorkerPool


@dataclass(frozen=True)
class Searcher:
    """One log, one set of scores and one pool of workers: nothing in them depends on a budget.

    Attributes:
        case: what is searched.
        bench: what jobs read.
        effects: what each free operand alone does at each width.
        folder: where everything that was computed is kept.
        log: the trials.
        pool: runs the jobs.
        clock: the time of each part.
        ui: is told how far it is.
        budgets: searches that have even shares of the allowances of policies and of seconds.
    """

    case: Case
    bench: Bench
    effects: Mapping[tuple[str, int], Effect]
    folder: OutputFolder
    log: SearchLog
    pool: WorkerPool
    clock: Clock
    ui: Ui
    budgets: int = 1

    def search(self, problem: Problem, known: Sequence[Trial] = ()) -> SearchResult:
        """Searches within the budget of a problem.

        Args:
            problem: the case's, or the same with another budget.
            known: trials of the other searches; those of an earlier compile are known in any case.

        Raises:
            HaqcError: no policy holds the budget; or Ctrl-C came before any within it was scored.
        """
        request = self.case.request
        seconds = math.inf if request.seconds is None else request.seconds / self.budgets
        share = math.ceil(request.evaluations / self.budgets)
        known = [*self.earlier, *known]
        start = None if self.case.agent is None else self.case.agent.weights
        allocators = request.allocators
        options = SearchOptions(share, seed=request.seed, seconds=seconds, allocators=allocators, start=start)
        with self.clock.part("search"):
            return stages.search_policies(
                *(options, problem, self.case.samples, self.effects, self.log, self.folder, self.pool, self.ui),
                known,
            )

    @cached_property
    def earlier(self) -> tuple[Trial, ...]:
        """The trials of other compiles, priced for this one's target; of equal policies the first."""
        case, known = self.case, dict[str, Trial]()
        for log in case.earlier:
            trials = log.trials(case.problem, case.samples.search.float_quality, case.request.seed)
            self.ui.say(f"{len(trials)} trials of '{log.path.parent}' are known, and not evaluated again")
            known = {trial.policy.key: trial for trial in trials} | known
        return tuple(known.values())

    def rescore(self, found: SearchResult, count: int) -> SearchResult:
        """Gives a search with the best of its finalists as its best."""
        case = self.case
        if self.bench.brief.samples:
            ranked = recoverable(found, case.problem.space, output_errors(self.effects), count)
        else:
            ranked = found.promising(count)
        with self.clock.part("finalists"):
            return stages.rescore_finalists(self.bench, found, ranked, case.mirror, self.folder, self.pool, self.ui)

    def tune(self, policies: Sequence[Policy]) -> tuple[dict[str, Tuned], Tuned | None]:
        """Fine-tunes networks, or reconstructs them where nothing is trained.

        Returns:
            The networks of the policies by key, none where neither is done; and the float network, where labels have
            something to say to it.
        """
        with self.clock.part("finetune"):
            tuned, tuned_float = stages.tune_winners(self.bench, policies, self.folder, self.pool, self.ui)
        with self.clock.part("reconstruct"):
            if not self.bench.long.samples:
                mirror = self.case.mirror
                tuned = stages.recover_winners(self.bench, policies, mirror, self.folder, self.pool, self.ui)
        return tuned, tuned_float

    def best(self, problem: Problem) -> Winner:
        """Searches within the budget of a problem, looks at the finalists again, and finishes the winner."""
        return self.finish(problem, self.rescore(self.search(problem), FINALISTS))

    def finish(self, problem: Problem, found: SearchResult) -> Winner:
        """Fine-tunes or reconstructs the best of a search."""
        tuned, tuned_float = self.tune([found.best.policy])
        case = replace(self.case, problem=problem)
        return Winner(case, self.effects, found, tuned.get(found.best.policy.key), tuned_float)
