"""Compiles with ``--quantizer`` and ``--ranges``: the options reach the file, and what contradicts is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnx
import pytest
from onnx import numpy_helper

if TYPE_CHECKING:
    from tests.command_line import CommandLine

pytest_plugins = ["tests.command_line"]

DIGITS = Path(__file__).resolve().parents[1] / "models" / "digits.onnx"
TINY = ("--target", "edge", "--budget", "energy=0.8", "--evaluations", "1", "--finetune", "0", "--reconstruct", "0")


def compiled(haqc: CommandLine, out: Path, *options: str) -> tuple[Any, dict[str, Any]]:
    """Gives the report, and the scales that the file stores by name."""
    outcome = haqc("compile", DIGITS, *TINY, *options, "--out", out, "--quiet")
    assert outcome.code == 0, outcome.err
    stored = onnx.load(out / "model.onnx").graph.initializer
    scales = {tensor.name: numpy_helper.to_array(tensor) for tensor in stored if tensor.name.endswith("_scale")}
    return json.loads((out / "report.json").read_text(encoding="utf-8")), scales


@pytest.mark.slow
@pytest.mark.usefixtures("jobs")
def test_the_options_reach_the_file(haqc: CommandLine, tmp_path: Path) -> None:
    usual, steps = compiled(haqc, tmp_path / "usual")
    paper, one_each = compiled(haqc, tmp_path / "haq", "--quantizer", "haq")
    full, widest = compiled(haqc, tmp_path / "max", "--ranges", "max")
    weights = [name for name in steps if name.endswith(".weight_scale")]
    assert weights
    assert all(steps[name].ndim == 1 and one_each[name].ndim == 0 for name in weights)
    even, _ = compiled(haqc, tmp_path / "even", "--equalise")
    assert even["provenance"]["options"]["equalise"] and not usual["provenance"]["options"]["equalise"]
    assert even["accuracy"]["float"] == usual["accuracy"]["float"]
    assert even["accuracy"]["emitted"] > 80
    options = [content["provenance"]["options"] for content in (usual, paper, full)]
    assert [(chosen["quantizer"], chosen["ranges"]) for chosen in options] == [
        ("lsq", None),
        ("haq", None),
        ("lsq", "max"),
    ]
    assert widest["image_scale"] == pytest.approx(1 / 255)  # pinned at 8 bits; the images reach from 0 to 1
    assert min(paper["accuracy"]["emitted"], full["accuracy"]["emitted"]) > 80


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--quantizer", "haq", "--ranges", "kl"), "--quantizer haq has its own ranges"),
        (("--quantizer", "haq", "--min-bits", "1"), "--quantizer haq has no 1-bit grid"),
        (("--weights", "kmeans", "--budget", "size=0.5"), "budget 'energy=0.8' needs quantised activations"),
    ],
)
def test_what_contradicts_is_refused(haqc: CommandLine, tmp_path: Path, options: tuple[str, ...], said: str) -> None:
    assert haqc("compile", DIGITS, *TINY, *options, "--out", tmp_path / "out").sentence(2).startswith(said)
