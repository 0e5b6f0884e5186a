"""Jobs are functions of the bench and their arguments, whatever ran before, wherever they run, in whatever order."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from haqc.content import Content
from haqc.data.split import Split, Transform
from haqc.errors import DataError
from haqc.judge import Judge
from haqc.metrics import named
from haqc.mirror import from_onnx
from haqc.reconstruct import Fitting, correct, level, reconstruct
from haqc.train import Recipe, outputs, runs
from haqc.tuned import Tuned
from haqc.workbench import Bench, Worker, parameters
from haqc.workers import Job, WorkerPool, usable_cpus
from tests.passes.small_graphs import GRAPHS, Prepared


@pytest.fixture(scope="module")
def prepared() -> Prepared:
    return Prepared.of(GRAPHS["gemm"]())


def _split(count: int, seed: int) -> Split:
    x = np.random.default_rng(seed).standard_normal((count, 16)).astype(np.float32)
    return Split((x,), None, (Transform(),))


@pytest.fixture(scope="module")
def bench(prepared: Prepared) -> Bench:
    train, search = _split(96, 0), _split(64, 1)
    mirror = from_onnx(prepared.model)
    return Bench(
        model=Content.of(prepared.model),
        graph=prepared.graph,
        calibration=prepared.calibration,
        logits="y",
        judge=Judge(named("agreement"), ("y",), search, outputs(mirror, "y", search), 100.0),
        train=train,
        teacher=outputs(mirror, "y", train),
        probe=train.take(slice(0, 16)),
        run=100,
        short=Recipe(64, 16),
        middle=Recipe(64, 16),
        long=Recipe(192, 16),
        fitting=Fitting(96, batch=16),
        closing=Recipe(64, 16, checkpoints=2),
        brief=Fitting(0),
        seed=3,
    )


@pytest.fixture(scope="module")
def jobs(prepared: Prepared) -> list[Job]:
    """Jobs of very different length, so that two processes finish them out of order."""
    policies = [dict(prepared.random_policy(seed).widths) for seed in range(3)]
    return [
        Job("tune", (policies[0],)),
        Job("shares", ("w2", (2, 4, 8), 0)),
        Job("score", (policies[1],)),
        Job("tune_float"),
        Job("shares", ("r1", (1, 8), 0)),
        Job("score", (policies[0],)),
        Job("score", (policies[2],)),
        Job("recover", (policies[0],)),
        Job("shift", (policies[0],)),
    ]


def _ignore(samples: int) -> None:
    """Takes progress and does nothing."""


def _alone(bench: Bench, job: Job) -> Any:
    return getattr(Worker(bench), job.method)(*job.arguments, _ignore)


def _arrays(result: Any) -> dict[str, np.ndarray]:
    assert isinstance(result, Tuned)
    return {**result.state.parameters, **{f"step of {n}": a for n, a in result.state.log_scales.items()}}


def _same(first: Any, second: Any) -> None:
    """Fails unless two results are equal to the bit."""
    if not isinstance(first, Tuned):
        assert first == second
        return
    assert (first.accuracy, first.recovery) == (second.accuracy, second.recovery)
    arrays, others = _arrays(first), _arrays(second)
    assert list(arrays) == list(others)
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, others[name])


@pytest.fixture(scope="module")
def expected(bench: Bench, jobs: list[Job]) -> list[Any]:
    return [_alone(bench, job) for job in jobs]


def test_a_job_does_not_depend_on_those_before_it(bench: Bench, jobs: list[Job], expected: list[Any]) -> None:
    worker = Worker(bench)
    for number in (6, 3, 8, 0, 7, 5, 4, 1, 0, 2, 8, 5, 7):
        job = jobs[number]
        _same(getattr(worker, job.method)(*job.arguments, _ignore), expected[number])


def test_tuning_gives_what_was_trained(bench: Bench, expected: list[Any]) -> None:
    tuned, start = expected[0], Worker(bench).mirror
    assert any((array != start.value(name).detach().numpy()).any() for name, array in tuned.state.parameters.items())
    assert {*tuned.state.log_scales} == {operand.tensor for operand in bench.graph.operands}
    assert expected[3].state.log_scales == {}
    assert expected[3].accuracy > 80  # a float network that was distilled from itself


@pytest.mark.parametrize("job", [7, 8])
def test_what_scores_worse_is_undone(bench: Bench, jobs: list[Job], expected: list[Any], job: int) -> None:
    recovered = expected[job]
    assert recovered.recovery.is_kept
    assert recovered.accuracy == recovered.recovery.after > recovered.recovery.before
    # Against what the plain network gives itself, every change is for the worse.
    widths = dict(jobs[7].arguments[0])
    plain = Worker(bench)._quantised(widths)
    reference = outputs(plain, bench.logits, bench.judge.split)
    against = replace(bench, judge=replace(bench.judge, reference=reference))
    undone = _alone(against, jobs[job])
    assert not undone.recovery.is_kept
    assert undone.accuracy == undone.recovery.before == 100 > undone.recovery.after
    for name, array in plain.state().parameters.items():
        np.testing.assert_array_equal(undone.state.parameters[name], array)
    for name, array in plain.state().log_scales.items():
        np.testing.assert_array_equal(undone.state.log_scales[name], array)


def test_of_two_ways_to_recover_a_network_the_better_stands(expected: list[Any]) -> None:
    recovered, shifted = expected[7], expected[8]
    best = shifted.beside(recovered)
    better = max(shifted, recovered, key=lambda tuned: tuned.accuracy)
    assert shifted.accuracy != recovered.accuracy
    assert (best.accuracy, best.state) == (better.accuracy, better.state)
    assert best.recovery.tried == shifted.recovery.tried | recovered.recovery.tried
    assert [*best.recovery.tried][-2:] == ["reconstructed", "reconstructed, then distilled"]
    assert best.recovery.done == recovered.recovery.done != shifted.recovery.done
    assert best.recovery.after == best.accuracy
    level = replace(recovered, accuracy=shifted.accuracy)
    assert shifted.beside(level).state is recovered.state


def test_a_finalist_is_scored_after_a_brief_reconstruction(bench: Bench, jobs: list[Job]) -> None:
    (widths,), worker = jobs[5].arguments, Worker(bench)
    brief = replace(bench, brief=Fitting(48, batch=16))
    network = worker._quantised(widths)
    reconstruct(network, worker._start, "y", bench.train, brief.brief, bench.seed)
    expected = bench.judge.score(runs(network, ("y",), bench.judge.split, bench.run))
    assert _alone(brief, Job("rescore", (widths,))) == expected
    assert expected not in (_alone(bench, Job("rescore", (widths,))), _alone(bench, Job("score", (widths,))))


def test_corrected_biases_are_levelled_too(bench: Bench) -> None:
    """Each score is that of the biases changed by hand; one of three layers has a bias too small to be levelled."""
    prepared = Prepared.of(GRAPHS["conv_relu"]())
    x = np.random.default_rng(2).standard_normal((96, 3, 8, 8)).astype(np.float32)
    split = Split((x,), None, (Transform(),))
    exact = outputs(from_onnx(prepared.model), "y", split)
    other = replace(
        bench,
        model=Content.of(prepared.model),
        graph=prepared.graph,
        calibration=prepared.calibration,
        judge=Judge(named("cosine"), ("y",), split, exact, 1.0),
        train=split,
    )
    widths = dict(prepared.random_policy(3).widths)
    worker, scores = Worker(other), list[float]()
    for changes in ((level,), (correct,), (correct, level)):
        network = worker._quantised(widths)
        for change in changes:
            change(network, worker._start, "y", split)
        scores.append(other.judge.quality(runs(network, ("y",), split, other.run)))
    tried = _alone(other, Job("shift", (widths,))).recovery.tried
    assert [*tried] == ["levelled biases", "corrected biases", "corrected, then levelled biases"]
    assert [*tried.values()] == scores
    assert len({*scores}) == 3


def test_jobs_begin_with_the_benchs_parameters(bench: Bench, jobs: list[Job], expected: list[Any]) -> None:
    start = {name: 2 * array for name, array in parameters(Worker(bench).mirror, bench.graph).items()}
    moved = replace(bench, start=start)
    unchanged = _alone(replace(moved, long=Recipe(0)), Job("tune_float"))
    for name, array in start.items():
        np.testing.assert_array_equal(unchanged.state.parameters[name], array)
    assert _alone(moved, jobs[5]) != expected[5]


@pytest.mark.parametrize("job", [0, 3])
def test_the_best_checkpoint_is_kept(bench: Bench, jobs: list[Job], job: int) -> None:
    """Rates that wreck the network leave it at its start, and good ones move it."""
    wild = replace(bench.long, relative_rate=50.0, step_rate=5.0)
    before = _alone(replace(bench, long=Recipe(0)), jobs[job])
    spoiled = _alone(replace(bench, long=wild), jobs[job])
    assert spoiled.accuracy < before.accuracy
    _same(_alone(replace(bench, long=replace(wild, checkpoints=2)), jobs[job]), before)
    better = _alone(replace(bench, long=replace(bench.long, samples=1920, checkpoints=3)), jobs[0])
    assert better.accuracy > _alone(replace(bench, long=Recipe(0)), jobs[0]).accuracy


def test_fine_tuning_never_reads_the_search_split(bench: Bench, jobs: list[Job], expected: list[Any]) -> None:
    """Another search split, of nonsense, gives another score and the very same network."""
    assert bench.judge.reference is not None
    judge = replace(bench.judge, split=_split(64, 77), reference=np.roll(bench.judge.reference, 1, axis=1))
    spoiled = replace(bench, judge=judge)
    tuned = _alone(spoiled, jobs[0])
    assert tuned.accuracy != expected[0].accuracy
    for name, array in _arrays(expected[0]).items():
        np.testing.assert_array_equal(_arrays(tuned)[name], array)


def test_scoring_reads_the_whole_search_split_and_nothing_else_beside_training(
    bench: Bench, jobs: list[Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[int, int] = {}
    read = Split.inputs

    def spy(self: Split, index: Any) -> tuple[np.ndarray, ...]:
        inputs = read(self, index)
        seen[id(self)] = seen.get(id(self), 0) + len(inputs[0])
        return inputs

    monkeypatch.setattr(Split, "inputs", spy)
    _alone(bench, jobs[2])
    assert seen == {id(bench.train): bench.short.samples, id(bench.judge.split): len(bench.judge.split)}


def test_wider_operands_err_less(bench: Bench) -> None:
    for tensor in ("w1", "w2", "x", "r2"):
        shares = _alone(bench, Job("shares", (tensor, tuple(range(1, 9)), 0)))
        errors = [share.output for share in shares]
        assert errors[0] > errors[2] > errors[4] > errors[7] > 0
        assert errors[7] < 1e-3


def test_progress_counts_samples_and_widths(bench: Bench, jobs: list[Job]) -> None:
    for number, samples in ((2, 64), (0, 192), (1, 3)):
        seen: list[int] = []
        getattr(Worker(bench), jobs[number].method)(*jobs[number].arguments, seen.append)
        assert sum(seen) == samples


@pytest.fixture(scope="module")
def single(bench: Bench) -> Iterator[WorkerPool]:
    with WorkerPool(1) as pool:
        pool.use(bench)
        yield pool


@pytest.fixture(scope="module")
def pair(bench: Bench) -> Iterator[WorkerPool]:
    with WorkerPool(2) as pool:
        pool.use(bench)
        yield pool


@pytest.mark.slow
@pytest.mark.parametrize("count", ["single", "pair"])
def test_results_come_in_the_order_of_the_jobs(
    request: pytest.FixtureRequest, count: str, jobs: list[Job], expected: list[Any]
) -> None:
    pool = request.getfixturevalue(count)
    seen: list[int] = []
    for given, alone in zip(pool.run(jobs, seen.append), expected, strict=True):
        _same(given, alone)
    answers = 64  # of the float network, each a third of a training sample, in all of the three stretches
    assert sum(seen) == 192 + 3 + 64 + 192 + 2 + 64 + 64 + 3 * (96 + 64) + answers
    assert pool.run([]) == []


def _broken(prepared: Prepared) -> Job:
    """A job that no bench can do: it asks for a width there is no grid for."""
    return Job("score", (dict.fromkeys((operand.tensor for operand in prepared.graph.operands), 9),))


@pytest.mark.slow
def test_our_own_bugs_arrive_with_their_place_and_the_pool_lives_on(
    pair: WorkerPool, prepared: Prepared, jobs: list[Job], expected: list[Any]
) -> None:
    with pytest.raises(RuntimeError, match=r"^score failed: KeyError"):
        pair.run([jobs[0], _broken(prepared), jobs[2]])
    # No answer of the jobs that were given up may pass for one of these.
    for given, alone in zip(pair.run([jobs[2], jobs[1]]), (expected[2], expected[1]), strict=True):
        _same(given, alone)


@pytest.mark.slow
def test_restarting_gives_fresh_processes(single: WorkerPool, jobs: list[Job], expected: list[Any]) -> None:
    (before,) = single._processes
    single.restart()
    (after,) = single._processes
    assert before.pid != after.pid
    assert after.is_alive()
    _same(single.run([jobs[5]])[0], expected[5])


@pytest.mark.slow
def test_a_second_interrupt_while_processes_start_anew_loses_no_job(
    single: WorkerPool, jobs: list[Job], expected: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted() -> WorkerPool:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(single, "__enter__", interrupted)
        single.restart()
    _same(single.run([jobs[5]])[0], expected[5])


@pytest.mark.slow
def test_jobs_read_the_bench_that_was_given_last(
    pair: WorkerPool, bench: Bench, jobs: list[Job], expected: list[Any]
) -> None:
    scores = [jobs[number] for number in (2, 5, 6)]
    moved = replace(bench, seed=bench.seed + 1)
    pair.use(moved)
    elsewhere = pair.run(scores)
    assert elsewhere == [_alone(moved, job) for job in scores]
    pair.use(bench)
    pair.restart()
    assert pair.run(scores) == [expected[number] for number in (2, 5, 6)] != elsewhere


@pytest.mark.slow
def test_a_killed_worker_is_reported_and_replaced(pair: WorkerPool, jobs: list[Job], expected: list[Any]) -> None:
    victim = pair._processes[0]
    assert victim.pid is not None
    os.kill(victim.pid, signal.SIGKILL)
    victim.join()
    with pytest.raises(RuntimeError, match="a worker process died; there may be too little memory: try fewer --jobs"):
        pair.run(jobs)
    _same(pair.run([jobs[5]])[0], expected[5])


@pytest.mark.slow
def test_a_mistake_of_the_user_arrives_as_it_was_raised(bench: Bench, jobs: list[Job]) -> None:
    spoiled = replace(bench, teacher=np.full_like(bench.teacher, np.nan))
    with WorkerPool(1) as pool:
        pool.use(spoiled)
        with pytest.raises(DataError, match="the loss became infinite or NaN while fine-tuning"):
            pool.run([jobs[2]])
        assert len(pool.run([jobs[1]])[0]) == 3
        processes = list(pool._processes)
    assert not any(process.is_alive() for process in processes)


def test_there_is_a_processor_to_use() -> None:
    assert 1 <= usable_cpus() <= (os.cpu_count() or 1)
