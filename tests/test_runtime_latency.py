"""The benchmark of latency measures what it says; and what it says of emission and of integer kernels holds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.runtime_latency import emit, interleaved, row
from benchmarks.subjects import FILES, Subject, drawn, model_file
from haqc import onnxfile
from haqc.passes.verify import kernels


def test_files_take_turns_and_each_gets_its_times() -> None:
    subject = Subject.of(FILES["digits"], min_bits=2)
    files = {"float": onnxfile.serialise(subject.model), "mixed": emit(subject).content}
    times = interleaved(files, drawn(subject.model, 1, seed=3)[0], rounds=3)
    assert {name: spent.shape for name, spent in times.items()} == {"float": (3,), "mixed": (3,)}
    assert all((spent > 0).all() for spent in times.values())


@pytest.mark.slow
def test_mobilenet_is_emitted_quickly_in_little_memory_and_runs_in_integers(tmp_path: Path) -> None:
    path = model_file("mobilenet-v2", tmp_path)
    subject = Subject.of(path, min_bits=2)
    emitted = emit(subject)
    assert emitted.cpu_s < 3
    assert emitted.extra_bytes < 3 * path.stat().st_size
    assert len(emitted.content) < path.stat().st_size / 3
    found = kernels(emitted.model, subject.graph)
    assert {kernel.operator for kernel in found.values()} == {"QLinearConv", "QGemm"}


@pytest.mark.slow
def test_a_row_has_ratios_of_neighbouring_runs(tmp_path: Path) -> None:
    name, *times, mixed, over_float, static, in_float, _, _ = row("resnet18", tmp_path, rounds=3)
    assert (name, in_float) == ("resnet18", "none")
    assert all(float(cell) > 0 for cell in times)
    assert np.isclose(float(mixed) * float(over_float), float(static), rtol=0.25)
    assert float(over_float) > 1.5  # three times, on a quiet machine with VNNI
