"""Emitting a network of the usual size takes little time and memory, in every format."""

from __future__ import annotations

import time
import tracemalloc
from pathlib import Path

import pytest

from benchmarks.subjects import Subject, model_file
from haqc.content import Content
from haqc.formats import CHOICES, FormatName
from haqc.mirror.quantised import QuantisedMirror
from haqc.passes.emit import at_opset, emit

LARGEST_S = 3.0
LARGEST_SHARE = 3.0
"""Bytes that Python and numpy hold at once, the codes and the serialised file with them, to those of the float file."""


@pytest.mark.slow
def test_mobilenet_v2_is_emitted_in_seconds_and_in_less_than_three_times_its_size(tmp_path: Path) -> None:
    path = model_file("mobilenet-v2", tmp_path)
    subject = Subject.of(path)
    network = subject.quantised(subject.random_policy(0))
    for name in CHOICES:
        opset = 25 if name == "qdq-native" else 21
        begun_s = time.process_time()
        file = emitted(subject, network, name, opset)
        spent_s = time.process_time() - begun_s
        assert spent_s < LARGEST_S, (name, spent_s)
        tracemalloc.start()
        try:
            assert emitted(subject, network, name, opset) == file
            held = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert file.nbytes < held < LARGEST_SHARE * path.stat().st_size, (name, held)


def emitted(subject: Subject, network: QuantisedMirror, name: FormatName, opset: int) -> Content:
    """Gives a network's file, serialised."""
    return Content.of(emit(name, at_opset(subject.model, opset), network.policy, network.codes(), {}).model)
