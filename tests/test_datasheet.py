"""Data sheets read off the cost models, against the figures of the chips' own data sheets."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from haqc import targets
from haqc.costmodel import build_table
from haqc.datasheet import data_sheet, roofline
from haqc.frontend import pose
from haqc.policy import Bits
from haqc.target import Target

ROOT = Path(__file__).resolve().parents[1]
EDGE = targets.load("edge")


def test_bismo_on_the_edge() -> None:
    sheet = data_sheet(EDGE)
    peaks = {peak.bits: peak for peak in sheet.peaks}
    # 8 x 8 units of 256 bits at 200 MHz: 16,384 binary products a cycle.
    assert peaks[Bits(1, 1)].macs_per_s == pytest.approx(16_384 * 200e6, rel=1e-12)
    assert peaks[Bits(8, 8)].macs_per_s == pytest.approx(16_384 * 200e6 / 64, rel=1e-12)
    assert peaks[Bits(4, 8)].mac_energy_j == pytest.approx(32 * 1.04e-12, rel=1e-12)
    assert sheet.bandwidth_bytes_per_s == pytest.approx(2 * 64 * 200e6 / 8, rel=0.02)  # two streams of 64 bits
    assert sheet.off_chip_energy_j_per_byte == pytest.approx(8 * 15e-12, rel=1e-12)
    ridge = peaks[Bits(8, 8)].macs_per_s / sheet.bandwidth_bytes_per_s
    assert peaks[Bits(8, 8)].ridge_macs_per_byte == pytest.approx(ridge, rel=1e-12)


@pytest.mark.parametrize("name", targets.names())
def test_every_built_in_target_has_figures_at_the_pairs_it_allows(name: str) -> None:
    target = targets.load(name)
    sheet = data_sheet(target)
    assert not sheet.refusal and 1 <= len(sheet.peaks) <= 16
    assert Bits(8, 8) in [peak.bits for peak in sheet.peaks]
    for peak in sheet.peaks:
        assert target.precision.allows(peak.bits.weight, peak.bits.activation)
        figures = (peak.macs_per_s, peak.depthwise_macs_per_s, peak.ridge_macs_per_byte, peak.mac_energy_j)
        assert all(0 < figure < math.inf for figure in figures)
        assert peak.depthwise_macs_per_s <= peak.macs_per_s
    assert 0 < sheet.bandwidth_bytes_per_s < math.inf and 0 <= sheet.off_chip_energy_j_per_byte < math.inf


@pytest.mark.parametrize(("name", "tera_ops"), [("t4", 130), ("a100", 624), ("h100", 1979)])
def test_processors_reach_the_rate_of_their_data_sheet(name: str, tera_ops: float) -> None:
    if name not in targets.names():
        pytest.skip(f"there is no target {name}")
    eight = next(peak for peak in data_sheet(targets.load(name)).peaks if peak.bits == Bits(8, 8))
    assert 2 * eight.macs_per_s == pytest.approx(tera_ops * 1e12, rel=1e-3)


def test_a_target_that_cannot_price_them_says_why() -> None:
    refused: Target = replace(EDGE, batch=0)
    sheet = data_sheet(refused)
    assert sheet.peaks == () and "a batch of 0 cannot be priced" in sheet.refusal


# The search for the tiles of a bit-composable array takes seconds.
@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow if "bitfusion" in n else ()) for n in targets.names()]
)
def test_no_layer_lies_above_its_roofs(name: str) -> None:
    target = targets.load(name)
    _, graph = pose(ROOT / "models" / "digits.onnx")
    for mode in target.modes:
        table = build_table(graph, target, mode=mode)
        roofs = roofline(target, mode, table.baseline_layers)
        assert roofs is not None
        peak = next(p["macs_per_s"] for p in roofs["peaks"] if (p["weight_bits"], p["activation_bits"]) == (8, 8))
        for row in table.baseline_layers:
            moved = sum(row.moved_bytes.values()) - roofs["results_are_free"] * row.moved_bytes["outputs"]
            macs = row.layer.macs * table.batch
            assert macs / row.latency_s <= 1.000001 * min(peak, roofs["bandwidth_bytes_per_s"] * macs / moved), row
