"""AIMET takes the encodings of a random policy, and simulates the mirror, where it is installed."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

import benchmarks.encodings
from benchmarks.encodings import AIMET, Campaign, main
from haqc.formats import ENCODINGS_FILES
from haqc.passes.emit import emit
from haqc.passes.verify.outside import OutsideRuntime


def test_without_aimet_a_sentence_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HAQC_AIMET_ONNX_PYTHON", raising=False)
    if AIMET.interpreter is not None:
        pytest.skip("AIMET is installed here")
    monkeypatch.setattr(sys, "argv", ["encodings"])
    with pytest.raises(SystemExit, match="AIMET is not installed here; name an interpreter"):
        main()


@pytest.mark.slow
@pytest.mark.parametrize("schema", ENCODINGS_FILES)
def test_aimet_simulates_the_mirror(schema: str, tmp_path: Path) -> None:
    if AIMET.interpreter is None:
        pytest.skip("needs AIMET, here or in the interpreter that HAQC_AIMET_ONNX_PYTHON names")
    files, taken, rounded, _, largest, first = Campaign("digits", tmp_path, is_exact=True).row(schema, 2)
    assert (files, taken, rounded, first) == ("2", "2", "0", "")
    assert float(largest) < 1e-5


STAND_IN = """
import json, sys
from pathlib import Path
import numpy as np
folder = Path(sys.argv[1])
task = json.loads((folder / "task.json").read_text())
with np.load(folder / "inputs.npz") as file:
    documents = [json.loads(file[f"i{1 + task['parts'] + index}"].tobytes()) for index in range(task["parts"])]
    samples = len(file[f"i{1 + 2 * task['parts']}"])
calls = Path(__file__).with_name("calls")
calls.write_text(calls.read_text() + f"{task['parts']} " if calls.exists() else f"{task['parts']} ")
if REFUSED in map(str, documents):
    raise ValueError("no such encodings")
np.savez(folder / "outputs.npz", **{f"o{index}": np.zeros((samples, 10)) for index in range(task["parts"])})
(folder / "answer.json").write_text(json.dumps({"version": "1"}))
"""


def test_a_file_that_is_refused_is_found_among_those_that_were_handed_over_together(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    campaign = Campaign("digits", tmp_path)
    policy = campaign.subject.random_policy(1)
    emission = emit("encodings", campaign.subject.model, policy, campaign.subject.quantised(policy).codes(), {})
    refused = str(json.loads(json.dumps(emission.documents[ENCODINGS_FILES["1.0.0"]])))
    script = tmp_path / "script.py"
    script.write_text(f"REFUSED = {refused!r}\n{STAND_IN}", encoding="utf-8")
    monkeypatch.setattr(benchmarks.encodings, "AIMET", OutsideRuntime("numpy", script))
    row = campaign.row("1.0.0", 3)
    assert (row[:2], row[-1]) == (("3", "2"), "policy 1: ValueError: no such encodings")
    assert (tmp_path / "calls").read_text().split() == ["3", "1", "1", "1"]
    assert campaign.row("1.0.0", 3) == row
    assert len((tmp_path / "calls").read_text().split()) == 4, "what is kept is not asked again"
