"""A compile without data gets inputs made of its model, and says how far they can be trusted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from haqc.effort import Effort
from haqc.frontend import Front
from haqc.madeup import MEASURED, UNMEASURED, make_up
from haqc.mirror import from_onnx
from tests.small_model import draw, small_model

EFFORT = Effort(
    **dict.fromkeys(("calibration", "clip", "sensitivity", "search", "short", "long", "reconstruct"), 64),
    run=64,
    step=64,
    probes=16,
    made_up=(40, 8, 24),
)
CASES = {
    "a range that is stated": (
        "(float[N,3,8,8] x) => (float[N,5] y)",
        "a = Div (x, raw) b = Conv <strides=[8,8]> (a, w) y = Flatten (b)",
        "values from 0 to 255, which the graph states",
        MEASURED,
    ),
    "bytes": (
        "(uint8[N,3,8,8] x) => (float[N,5] y)",
        "a = Cast <to=1> (x) b = Conv <strides=[8,8]> (a, w) y = Flatten (b)",
        "values from 0 to 255, which its type holds",
        MEASURED,
    ),
    "no range": (
        "(float[N,3,8,8] x) => (float[N,5] y)",
        "a = Relu (x) b = Conv <strides=[8,8]> (a, nothing) y = Flatten (b)",
        "values from -2 to 2, assumed, because neither graph nor outputs tell",
        UNMEASURED,
    ),
    "rows of a table": (
        "(int64[N] x) => (float[N,4] y)",
        "y = Gather (table, x)",
        "whole numbers from 0 to 8, drawn evenly: rows of the table it picks from",
        UNMEASURED,
    ),
}
CONSTANTS = {"raw": 255.0, "w": draw(5, 3, 8, 8), "nothing": np.zeros((5, 3, 8, 8), np.float32), "table": draw(9, 4)}


@pytest.mark.parametrize("case", CASES)
def test_what_is_made_up_and_how_far_it_is_trusted(case: str, tmp_path: Path) -> None:
    signature, nodes, words, trust = CASES[case]
    (tmp_path / "m.onnx").write_bytes(small_model(f"{signature} {{ {nodes} }}", CONSTANTS).SerializeToString())
    front = Front.read(tmp_path / "m.onnx")
    bound = front.bound()
    dataset = make_up(front, bound, from_onnx(front.model), tmp_path / "m.onnx", EFFORT, 0)
    assert dataset.made_up["x"].endswith(words)
    assert dataset.trust == trust
    assert [len(split) for split in (dataset.train, dataset.search, dataset.reported)] == [40, 8, 24]
    again = make_up(front, bound, from_onnx(front.model), tmp_path / "m.onnx", EFFORT, 0)
    assert again.digest == dataset.digest
