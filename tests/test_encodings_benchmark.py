"""AIMET takes the encodings of a random policy, and simulates the mirror, where it is installed."""

from __future__ import annotations

import sys

import pytest

from benchmarks.encodings import AIMET, main, measured
from benchmarks.subjects import FILES, Subject
from haqc.formats import ENCODINGS_FILES


def test_without_aimet_a_sentence_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HAQC_AIMET_ONNX_PYTHON", raising=False)
    if AIMET.interpreter is not None:
        pytest.skip("AIMET is installed here")
    monkeypatch.setattr(sys, "argv", ["encodings"])
    with pytest.raises(SystemExit, match="AIMET is not installed here; name an interpreter"):
        main()


@pytest.mark.slow
@pytest.mark.parametrize("schema", ENCODINGS_FILES)
def test_aimet_simulates_the_mirror(schema: str) -> None:
    if AIMET.interpreter is None:
        pytest.skip("needs AIMET, here or in the interpreter that HAQC_AIMET_ONNX_PYTHON names")
    files, taken, rounded, largest, first = measured(Subject.of(FILES["digits"]), schema, 1, is_exact=True)
    assert (files, taken, rounded, first) == ("1", "1", "0", "")
    assert float(largest) < 1e-5
