"""Jobs give the same on another device: on a pretended one always, on a graphics processor where there is one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from haqc.content import Content
from haqc.data.split import Split, Transform
from haqc.device import called, chosen, settle
from haqc.errors import DeviceError
from haqc.judge import Judge
from haqc.metrics import named
from haqc.mirror import from_onnx
from haqc.mirror.quantised import State
from haqc.reconstruct import Fitting
from haqc.score import Score
from haqc.train import Recipe, outputs
from haqc.tuned import Tuned
from haqc.workbench import Bench, Worker
from haqc.workers import usable_cpus, usual_count
from tests.command_line import DIGITS, EDGE, TINY, CommandLine
from tests.far import FAR, PretendedDevice
from tests.passes.small_graphs import GRAPHS, Prepared

pytest_plugins = ("tests.command_line",)

HAS_CUDA = torch.cuda.is_available()
WITH_CUDA = pytest.mark.skipif(not HAS_CUDA, reason="there is no graphics processor that torch can use")


def _split(count: int, seed: int) -> Split:
    x = np.random.default_rng(seed).standard_normal((count, 3, 8, 8)).astype(np.float32)
    return Split((x,), None, (Transform(),))


@pytest.fixture(scope="module")
def prepared() -> Prepared:
    return Prepared.of(GRAPHS["residual"]())


@pytest.fixture(scope="module")
def bench(prepared: Prepared) -> Bench:
    train, search = _split(64, 0), _split(48, 1)
    mirror = from_onnx(prepared.model)
    output = mirror.outputs[0]
    return Bench(
        model=Content.of(prepared.model),
        graph=prepared.graph,
        calibration=prepared.calibration,
        logits=output,
        judge=Judge(named("cosine"), (output,), search, outputs(mirror, output, search), 1.0),
        train=train,
        teacher=outputs(mirror, output, train),
        probe=train.take(slice(0, 16)),
        run=32,
        short=Recipe(32, 16),
        middle=Recipe(32, 16),
        long=Recipe(64, 16, checkpoints=2),
        fitting=Fitting(32, batch=16),
        closing=Recipe(32, 16, checkpoints=1),
        brief=Fitting(0),
        seed=3,
    )


METHODS = ("score", "untrained", "tune", "recover", "shift", "tune_float", "shares")


def _done(bench: Bench, prepared: Prepared, method: str) -> Any:
    """Runs a job in this process."""
    widths = dict(prepared.random_policy(1).widths)
    if method == "untrained":
        method, bench = "score", replace(bench, short=Recipe(0))
    weight = bench.graph.layers[1].weight
    arguments: tuple[Any, ...] = {"tune_float": (), "shares": (weight, (2, 4, 8), 0)}.get(method, (widths,))
    return getattr(Worker(bench), method)(*arguments, lambda samples: None)


def _numbers(result: Any) -> Iterator[tuple[str, Any]]:
    """Gives the numbers of a result, by name."""
    match result:
        case Tuned():
            yield "accuracy", result.accuracy
            yield from _numbers(result.state)
            if result.recovery is not None:
                yield "before", result.recovery.before
                yield "after", result.recovery.after
        case State():
            for values in (result.parameters, result.log_scales, result.centroids):
                yield from values.items()
        case tuple():
            for index, share in enumerate(result):
                yield f"share {index}", [share.output, share.layer_error, share.layer_square]
        case Score():
            yield from result.to_json().items()
        case _:
            raise TypeError(result)


def _assert_same(found: Any, expected: Any, tolerance: float) -> None:
    """Checks numbers to a share of the largest of each."""
    for (name, mine), (_, other) in zip(_numbers(found), _numbers(expected), strict=True):
        assert isinstance(mine, np.ndarray) == isinstance(other, np.ndarray)
        largest = float(np.abs(other).max(initial=0.0))
        np.testing.assert_allclose(mine, other, rtol=0, atol=tolerance * largest, err_msg=name)


@pytest.mark.parametrize("method", METHODS)
def test_jobs_on_the_pretended_device(bench: Bench, prepared: Prepared, method: str) -> None:
    with PretendedDevice():
        found = _done(replace(bench, device=FAR), prepared, method)
    _assert_same(found, _done(bench, prepared, method), 1e-4)


@WITH_CUDA
@pytest.mark.parametrize("method", ["untrained", "shares"])
def test_untrained_jobs_on_a_graphics_processor(bench: Bench, prepared: Prepared, method: str) -> None:
    """Sums in another order move values across the border between two codes: one code in some thousands."""
    settle("cuda")
    _assert_same(_done(replace(bench, device="cuda"), prepared, method), _done(bench, prepared, method), 1e-2)


@WITH_CUDA
@pytest.mark.parametrize("method", ["score", "tune", "recover", "tune_float"])
def test_trained_jobs_on_a_graphics_processor(bench: Bench, prepared: Prepared, method: str) -> None:
    """Training carries such differences on: scores agree to a hundredth."""
    settle("cuda")
    found = _done(replace(bench, device="cuda"), prepared, method)
    expected = _done(bench, prepared, method)
    assert getattr(found, "accuracy", found) == pytest.approx(getattr(expected, "accuracy", expected), abs=0.01)


@WITH_CUDA
def test_a_compile_on_a_graphics_processor(haqc: CommandLine, tmp_path: Path) -> None:
    outcome = haqc("compile", DIGITS, *EDGE, "-b", "energy=0.6", *TINY, "--device", "auto", "--out", tmp_path / "out")
    assert outcome.code == 0, outcome.err
    report = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert report["provenance"]["options"]["device"].startswith("cuda (")


def test_settings_of_a_graphics_processor_are_left_alone_on_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, before in (("allow_tf32", True), ("deterministic", False), ("benchmark", False)):
        monkeypatch.setattr(torch.backends.cudnn, name, before)
    settle("cpu")
    assert torch.backends.cudnn.allow_tf32
    settle("cuda")
    assert not torch.backends.cudnn.allow_tf32
    assert not torch.backends.cuda.matmul.allow_tf32


def test_what_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    assert chosen("cpu") == called("cpu") == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert chosen("auto") == chosen("cuda") == "cuda"
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "T4")
    assert called("cuda") == "cuda (T4)"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert chosen("auto") == "cpu"
    with pytest.raises(DeviceError, match=r"--device cuda needs a graphics processor .*, or leave --device out"):
        chosen("cuda")


def test_a_graphics_processor_that_is_not_there_is_refused(
    haqc: CommandLine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    outcome = haqc("compile", DIGITS, *EDGE, "-b", "energy=0.6", "--device", "cuda", "--out", tmp_path / "out")
    assert "needs a graphics processor that torch can use" in outcome.sentence(2)
    assert not (tmp_path / "out").exists()


def test_one_process_uses_a_graphics_processor() -> None:
    assert usual_count("cuda") == 1
    assert usual_count("cpu") == usable_cpus()
