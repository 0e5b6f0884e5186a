"""The stages of a compile that workers share: each looks whether its result is kept, else runs jobs and keeps it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from haqc import sensitivity
from haqc.effect import Effect, output_errors
from haqc.effort import TRAINING_FACTOR
from haqc.errors import ModelError, ResumeError
from haqc.folder import OutputFolder
from haqc.mirror import Mirror
from haqc.passes.search import SearchOptions, search
from haqc.plan import Plan
from haqc.policy import Policy
from haqc.problem import Problem
from haqc.result import SearchResult, Trial
from haqc.samples import Samples
from haqc.score import Score
from haqc.scores import Scores
from haqc.searchlog import SearchLog
from haqc.searchprogress import SearchProgress
from haqc.tuned import Tuned
from haqc.ui import Ui
from haqc.workbench import Bench
from haqc.workers import Job, WorkerPool


def start_network(bench: Bench, plan: Plan, folder: OutputFolder, pool: WorkerPool, ui: Ui) -> Tuned | None:
    """Fine-tunes the float network that everything else starts from and learns from; kept for resuming.

    A network at few bits can become no better than what it learns from; where the labels have something to say that
    the original network does not, they say it to the float network first.
    """
    if not plan.start.samples:
        return None
    kept = folder.load_tuned("start")
    if kept is None:
        task = ui.task("fine-tune: float", plan.start.samples)
        pool.use(replace(bench, long=plan.start))
        (kept,) = pool.run([Job("tune_float")], task.advance)
        folder.save_tuned("start", kept)
    return kept


def measure_effects(
    problem: Problem, bench: Bench, folder: OutputFolder, pool: WorkerPool, ui: Ui
) -> dict[tuple[str, int], Effect]:
    """Measures what each free operand alone does at each width; kept for resuming."""
    free = problem.space.free
    table = folder.load_table("sensitivity.json", [4 * len(choice.widths) for choice in free])
    if table is None:
        runs = sensitivity.parts(bench.probe, bench.run)
        task = ui.task("sensitivity", runs * sum(len(choice.widths) for choice in free))
        arguments = [(choice.operand.tensor, choice.widths, run) for run in range(runs) for choice in free]
        shares = pool.run([Job("shares", each) for each in arguments], task.advance)
        table = []
        for index in range(len(free)):  # the shares of an operand stand as far apart as there are operands
            by_width = zip(*shares[index :: len(free)], strict=True)
            effects = [Effect.of(each, len(bench.probe)) for each in by_width]
            table.append([number for effect in effects for number in effect.to_numbers()])
            if not all(map(math.isfinite, table[-1])):
                raise ModelError(
                    f"what quantising '{free[index].operand.tensor}' does to the output cannot be measured: it "
                    "overflows; look for weights that are huge or not a number"
                )
        folder.save_table("sensitivity.json", table)
    elif any(number < 0 for row in table for start in (0, 1, 2) for number in row[start::4]):
        raise ResumeError(f"'{folder.state / 'sensitivity.json'}' is damaged; start again with --force")
    return {
        (choice.operand.tensor, bits): Effect.of_numbers(row[4 * index : 4 * index + 4])
        for choice, row in zip(free, table, strict=True)
        for index, bits in enumerate(choice.widths)
    }


def search_policies(
    options: SearchOptions,
    problem: Problem,
    samples: Samples,
    effects: Mapping[tuple[str, int], Effect],
    log: SearchLog,
    folder: OutputFolder,
    pool: WorkerPool,
    ui: Ui,
    known: Sequence[Trial] = (),
) -> SearchResult:
    """Runs the allocators; policies that were scored before are not evaluated again, nor are known trials."""
    scores = Scores(folder.state / "scores.jsonl")

    def evaluate(policies: Sequence[Policy]) -> list[Score]:
        scores.forget(log.scores)
        fresh = [policy for policy in policies if policy.key not in log.scores]
        try:
            with progress.scoring(sum(policy.key not in scores.known for policy in fresh)):
                score_each(pool, "score", fresh, scores)
        except KeyboardInterrupt:
            pool.restart()
            raise
        scored = scores.known | log.scores
        found = [scored[policy.key] for policy in policies]
        progress.offer(policies, found)
        return found

    progress = SearchProgress(ui, samples.search, options)
    with scores:
        found = search(
            problem.space,
            problem.budget,
            problem.table.price,
            problem.table.terms(problem.space),
            evaluate,
            baseline=problem.baseline,
            float_accuracy=samples.search.float_quality,
            sensitivity=output_errors(effects),
            options=options,
            record=log.record,
            progress=progress,
            known=known,
            learned=folder.save_agent,
        )
        scores.forget(log.scores)
    return found


def score_each(
    pool: WorkerPool,
    method: str,
    policies: Sequence[Policy],
    scores: Scores,
    advance: Callable[[int], None] = lambda samples: None,
) -> None:
    """Scores policies that have no score yet, and keeps each score as soon as it is there."""
    missing = [policy for policy in policies if policy.key not in scores.known]
    jobs = [Job(method, (dict(policy.widths),)) for policy in missing]
    pool.run(jobs, advance, lambda index, score: scores.keep(missing[index].key, score))


def rescore_finalists(
    bench: Bench,
    found: SearchResult,
    ranked: Sequence[Trial],
    mirror: Mirror,
    folder: OutputFolder,
    pool: WorkerPool,
    ui: Ui,
) -> SearchResult:
    """Scores some trials again after a longer fine-tune, or a short reconstruction where nothing is fine-tuned, and
    gives the search with the best of these as its best.

    The best of many noisy scores is partly the luckiest; a second, independent look costs a few evaluations.
    """
    if not (bench.middle.samples or bench.brief.samples) or len(ranked) < 2:
        return found
    with Scores(folder.state / "finalists.jsonl") as scores:
        missing = [trial.policy for trial in ranked if trial.policy.key not in scores.known]
        if missing:
            brief = bench.brief.samples
            each = brief * bench.parts(mirror) if brief else bench.middle.samples
            task = ui.task("finalists", each * len(missing))
            score_each(pool, "rescore", missing, scores, task.advance)
    finalists = tuple((trial, scores.known[trial.policy.key]) for trial in ranked)
    best = max(finalists, key=lambda finalist: finalist[1].merit)[0]  # of equal ones the better trial
    return replace(found, best=best, finalists=finalists)


def tune_winners(
    bench: Bench, policies: Sequence[Policy], folder: OutputFolder, pool: WorkerPool, ui: Ui
) -> tuple[dict[str, Tuned], Tuned | None]:
    """Fine-tunes winners and, by the same recipe, the float network; each is kept for resuming.

    Returns:
        The winners' networks by key, and the float network; none where nothing is trained.
    """
    if not bench.long.samples:
        return {}, None
    jobs = _of_each("tuned", "tune", policies, bench.long.samples)
    if bench.long.label_share:  # else it would learn from itself alone
        jobs["tuned-float"] = Job("tune_float", samples=bench.long.samples)
    tuned = _kept(jobs, "fine-tune", folder, pool, ui)
    return {policy.key: tuned[f"tuned-{policy.key}"] for policy in policies}, tuned.get("tuned-float")


def recover_winners(
    bench: Bench, policies: Sequence[Policy], mirror: Mirror, folder: OutputFolder, pool: WorkerPool, ui: Ui
) -> dict[str, Tuned]:
    """Reconstructs winners that are not fine-tuned, by key, and shifts their biases; each is kept for resuming."""
    if not bench.fitting.samples:
        return {}
    parts, asked = bench.parts(mirror), min(bench.closing.samples, len(bench.train))  # the float network first
    samples = (bench.fitting.samples + bench.closing.samples) * parts + asked * parts // TRAINING_FACTOR
    jobs = _of_each("recovered", "recover", policies, samples) | _of_each("shifted", "shift", policies)
    tuned = _kept(jobs, "reconstruct", folder, pool, ui)
    return {policy.key: tuned[f"shifted-{policy.key}"].beside(tuned[f"recovered-{policy.key}"]) for policy in policies}


def _of_each(prefix: str, method: str, policies: Sequence[Policy], samples: int = 0) -> dict[str, Job]:
    return {f"{prefix}-{policy.key}": Job(method, (dict(policy.widths),), samples) for policy in policies}


def _kept(jobs: Mapping[str, Job], words: str, folder: OutputFolder, pool: WorkerPool, ui: Ui) -> dict[str, Tuned]:
    """Gives the networks that were kept under some names; those that are missing are made, and kept one by one."""
    tuned = {name: folder.load_tuned(name) for name in jobs}
    missing = [name for name in jobs if tuned[name] is None]
    if missing:
        task = ui.task(words, sum(jobs[name].samples for name in missing))
        made = pool.run(
            [jobs[name] for name in missing],
            task.advance,
            lambda index, network: folder.save_tuned(missing[index], network),
        )
        tuned |= dict(zip(missing, made, strict=True))
    return {name: network for name, network in tuned.items() if network is not None}
