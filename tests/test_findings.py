"""The report: figures follow from what was measured, and nothing is said that was not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from haqc import targets
from haqc.budget import Budget, Cost, Demand
from haqc.costmodel import build_table
from haqc.data.split import Dataset, Split, Transform
from haqc.findings import notes, versions
from haqc.frontend import pose
from haqc.measured import Measured
from haqc.metrics import named
from haqc.policy import baseline
from haqc.quantisation import Quantisation

if TYPE_CHECKING:
    from tests.command_line import CommandLine, Compiled

pytest_plugins = ["tests.command_line"]


def measured(original: str, mirror: str, emitted: str, finetuned: str | None = None, metric: str = "top-1") -> Measured:
    """Makes scores out of strings of hits (1) and misses (0)."""

    def scores(hits: str) -> np.ndarray:
        return np.array([[float(hit)] for hit in hits])

    tuned = None if finetuned is None else scores(finetuned)
    return Measured(named(metric), scores(original), tuned, scores(mirror), scores(emitted), {"float": 50.0}, 7)


@pytest.fixture
def dataset() -> Dataset:
    split = Split((np.zeros((4, 2), np.float32),), np.zeros(4, np.int64), (Transform(),))
    return Dataset(split, split, split, name="four.npz", digest="aa", synthetic=False)


def test_the_reference_is_the_better_float_network() -> None:
    assert measured("1100", "1100", "1100").reference[:, 0].tolist() == [1, 1, 0, 0]
    assert measured("1100", "1100", "1100", "1110").reference[:, 0].tolist() == [1, 1, 1, 0]
    assert measured("1100", "1100", "1100", "1000").reference[:, 0].tolist() == [1, 1, 0, 0]
    assert measured("1100", "1100", "1100", "0011").reference[:, 0].tolist() == [1, 1, 0, 0]


def test_the_tolerance_is_the_larger_of_a_tenth_and_two_paired_errors() -> None:
    equal = measured("1" * 1000, "1" * 1000, "1" * 1000)
    assert equal.tolerance == 0.1
    assert equal.agrees
    # One miss in a thousand: a difference of 0.1 points, of which two standard errors are 0.2.
    one = measured("1" * 1000, "1" * 1000, "1" * 999 + "0")
    assert one.tolerance == pytest.approx(0.2, rel=1e-12)
    assert one.agrees
    # A hundred misses in a thousand: ten points, of which two standard errors are 1.9.
    many = measured("1" * 1000, "1" * 1000, "1" * 900 + "0" * 100)
    assert many.tolerance == pytest.approx(200 * np.sqrt(0.09 / 999), rel=1e-12)
    assert not many.agrees


def test_accuracy_by_hand(dataset: Dataset) -> None:
    block = measured("1110", "1101", "1100", "1111").to_json(dataset)
    assert {key: block[key] for key in ("float", "float_finetuned", "reference", "mirror", "emitted")} == {
        "float": 75.0,
        "float_finetuned": 100.0,
        "reference": 100.0,
        "mirror": 75.0,
        "emitted": 50.0,
    }
    assert (block["metric"], block["labels"], block["data_free"]) == ("top-1", True, False)
    assert (block["count"], block["data"], block["unit"]) == (4, "four.npz", "%")
    assert block["difference"] == -50.0
    assert block["standard_error"] == pytest.approx(100 * np.sqrt(1 / 3) / 2, rel=1e-12)
    assert block["paired_standard_error"] == pytest.approx(100 * np.sqrt(1 / 3) / 2, rel=1e-12)
    assert block["search"] == {"count": 7, "float": 50.0}


def test_agreement_is_no_accuracy(dataset: Dataset) -> None:
    block = measured("1111", "1110", "1110", metric="agreement").to_json(dataset)
    assert (block["metric"], block["labels"], block["float_finetuned"]) == ("agreement", False, None)


def test_versions_are_those_that_a_result_depends_on() -> None:
    found = versions()
    assert set(found) == {"python", "torch", "onnx", "onnxruntime", "onnxscript", "onnx-ir", "numpy"}
    assert all(found.values())


def test_what_the_file_carries(haqc: CommandLine) -> None:
    _, graph = pose(haqc.digits)
    target = targets.load("cloud")
    table = build_table(graph, target)
    full = baseline(graph)
    budget = Budget.resolve((Demand.parse("energy=0.5"), Demand.parse("size=1")), table.price(full), table.batch)
    carried = notes(target, table, budget, full, {"seed": 3}, Quantisation(keep_float=("stem",)))
    assert json.loads(json.dumps(carried)) == carried
    assert carried["policy"] == {
        **full.to_json(),
        "quantisation": {
            "weights": "linear",
            "quantizer": "lsq",
            "ranges": None,
            "equalise": False,
            "keep_float": ["stem"],
        },
    }
    assert (carried["target"]["name"], carried["target"]["batch"]) == ("cloud", 16)
    assert carried["provenance"] == {"seed": 3}
    energy, size = carried["cost"]["budget"]
    assert (energy["met"], energy["unit"], energy["share"]) == (False, "J", pytest.approx(2, rel=1e-12))
    assert (size["met"], size["unit"], size["share"]) == (True, "B", 1.0)
    per_inference = carried["cost"]["per_inference"]["policy"]
    assert per_inference["latency_s"] == pytest.approx(table.price(full).latency_s / 16, rel=1e-12)


def test_a_limit_of_nothing_has_no_share(haqc: CommandLine) -> None:
    # A fraction of a cost of nothing is a limit of nothing, which a policy that costs nothing meets.
    from haqc.pricing import _limit

    (limit,) = Budget.resolve((Demand.parse("memory=0.5"),), Cost(), 1).limits
    block = _limit(limit, Cost())
    assert (block["met"], block["share"]) == (True, 0.0)


# The report of a compile.


def layers(compiled: Compiled) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    report = json.loads((compiled.folder / "report.json").read_text(encoding="utf-8"))
    return report, report["layers"]


def test_layers_add_up(compiled: Compiled) -> None:
    report, rows = layers(compiled)
    for side, total in (("policy", report["cost"]["policy"]), ("baseline", report["cost"]["baseline"])):
        for field in ("energy_j", "latency_s", "weight_bytes"):
            parts = [row[field] if side == "policy" else row["baseline"][field] for row in rows]
            assert sum(parts) == pytest.approx(total[field], rel=1e-12), (side, field)
    for field in ("energy_share", "latency_share"):
        assert sum(row[field] for row in rows) == pytest.approx(1, rel=1e-12)
    assert sum(row["macs"] for row in rows) == report["model"]["macs"]
    assert len(rows) == report["model"]["layers"] == 15


def test_the_parts_of_a_layer_add_up(compiled: Compiled) -> None:
    report, rows = layers(compiled)
    for row in [*rows, *(row["baseline"] for row in rows)]:
        assert sum(row["energy_parts_j"].values()) == pytest.approx(row["energy_j"], rel=1e-12)
        assert list(row["energy_parts_j"]) == ["compute", "on_chip", "off_chip", "leakage"]
        assert list(row["moved_bytes"]) == ["activations", "weights", "outputs"] and row["moved_bytes"]["weights"] > 0
        assert row["bound"] in ("compute", "activations", "weights")
    roofs = report["roofline"]
    assert {"weight_bits": 8, "activation_bits": 8, "macs_per_s": 51.2e9} in roofs["peaks"]
    assert roofs["bandwidth_bytes_per_s"] == pytest.approx(3.2e9, rel=1e-12) and roofs["results_are_free"]


def test_the_output_error_is_that_of_the_chosen_widths(compiled: Compiled) -> None:
    _, rows = layers(compiled)
    by_name = {row["name"]: row for row in rows}
    assert by_name["stem"]["output_error"] is None  # pinned, so nothing was measured
    assert all(row["output_error"] > 0 for name, row in by_name.items() if name not in ("stem", "classifier"))


def test_every_searched_width_has_its_price(compiled: Compiled) -> None:
    _, rows = layers(compiled)
    by_name = {row["name"]: row["sensitivity"] for row in rows}
    assert by_name["stem"] == {"weight": [], "activation": []}  # pinned, so nothing was measured
    for name, measured in by_name.items():
        for entries in measured.values():
            assert [entry["bits"] for entry in entries] in ([], list(range(2, 9))), name
            errors = [entry["output_error"] for entry in entries]
            own = [entry["layer_error"] for entry in entries]
            assert errors[:1] >= errors[-1:] and own[:1] >= own[-1:]
            assert all(isinstance(entry["lost"], float) for entry in entries)
    for row in rows:
        chosen = [
            next((e["output_error"] for e in row["sensitivity"][kind] if e["bits"] == row[f"{kind}_bits"]), 0.0)
            for kind in ("weight", "activation")
        ]
        assert row["output_error"] == (sum(chosen) if any(row["sensitivity"].values()) else None)


def test_the_target_and_where_it_comes_from(compiled: Compiled) -> None:
    report, _ = layers(compiled)
    edge = targets.load("edge")
    block = report["target"]
    assert (block["name"], block["batch"]) == ("edge", 1)
    assert (block["latency_grade"], block["energy_grade"]) == (edge.latency_grade, edge.energy_grade)
    assert block["sources"]
    assert report["provenance"]["versions"] == versions()
    assert len(report["provenance"]["digests"]["model"]) == 64
