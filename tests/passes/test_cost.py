"""The cost report: the contract's JSON, its CSV, and figures that agree with the table they come from."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import pytest

from haqc import targets
from haqc.errors import PolicyError, TargetError
from haqc.graph import Graph, Operation
from haqc.passes.cost import CostReport, comparison_csv, cost
from haqc.plaintext import visible
from haqc.policy import baseline, plain
from tests.costmodel.mobilenet_v2_layers import chain, dense, mobilenet_v2

CLOUD = targets.load("cloud")


@pytest.fixture(scope="module")
def graph() -> Graph:
    return mobilenet_v2()


@pytest.fixture(scope="module")
def report(graph: Graph) -> CostReport:
    return cost(graph, CLOUD, plain(graph, 4, 6))


def test_json_holds_what_the_contract_says(graph: Graph, report: CostReport) -> None:
    content = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert (content["model"], content["target"], content["batch"], content["mode"]) == (
        "mobilenet_v2",
        "cloud",
        16,
        "reference",
    )
    assert [entry["name"] for entry in content["layers"]] == [layer.name for layer in graph.layers]
    assert {
        "name",
        "op",
        "weight_bits",
        "activation_bits",
        "macs",
        "cycles",
        "latency_s",
        "energy_j",
        "weight_bytes",
    } <= set(content["layers"][0])
    figures = {"latency_s", "energy_j", "weight_bytes", "peak_activation_bytes"}
    assert set(content["total"]) == set(content["baseline"]) == figures
    assert content["units"]["macs"] == "per inference"
    assert content["grades"] == {"latency": "exact", "energy": "estimate"}
    conv0, conv1 = content["layers"][:2]
    assert (conv0["weight_bits"], conv0["activation_bits"]) == (4, 8)
    assert (conv1["weight_bits"], conv1["activation_bits"], conv1["kind"]) == (4, 6, "depthwise")
    assert conv0["macs"] == 112 * 112 * 32 * 27


def test_parts_and_shares_add_up(report: CostReport) -> None:
    content = report.to_json()
    layers, total = content["layers"], content["total"]
    for figure in ("latency_s", "energy_j", "weight_bytes"):
        assert sum(entry[figure] for entry in layers) == pytest.approx(total[figure], rel=1e-12)
    for share in ("latency_share", "energy_share"):
        assert sum(entry[share] for entry in layers) == pytest.approx(1.0, rel=1e-12)
    for entry in layers:
        assert sum(entry["energy_parts_j"].values()) == pytest.approx(entry["energy_j"], rel=1e-12)
        assert entry["latency_s"] == pytest.approx(entry["cycles"] / 200e6, rel=1e-12)
    assert content["per_inference"]["energy_j"] * 16 == pytest.approx(total["energy_j"], rel=1e-12)
    assert content["per_inference"]["latency_s"] * 16 == pytest.approx(total["latency_s"], rel=1e-12)


def test_the_baseline_is_8_bits_everywhere(graph: Graph, report: CostReport) -> None:
    full = cost(graph, CLOUD, baseline(graph))
    assert full.total == full.baseline == report.baseline
    assert report.baseline.latency_s == pytest.approx(39_624_933 / 200e6, rel=1e-12)
    assert report.total.latency_s < report.baseline.latency_s


def test_batch_and_mode_are_passed_on(graph: Graph, report: CostReport) -> None:
    one = cost(graph, CLOUD, plain(graph, 4, 6), batch=1, mode="reference")
    assert one.batch == 1
    assert one.layers[0].cycles * 16 == report.layers[0].cycles
    with pytest.raises(TargetError, match="no mode 'fast'"):
        cost(graph, CLOUD, baseline(graph), mode="fast")


def test_refuses_a_policy_of_another_model(graph: Graph) -> None:
    with pytest.raises(PolicyError, match="mobilenet_v2"):
        cost(graph, CLOUD, baseline(chain([dense("y", "x", 4, 4)])))


def test_csv_repeats_the_json(report: CostReport) -> None:
    rows = list(csv.DictReader(io.StringIO(report.to_csv())))
    entries = report.to_json()["layers"]
    assert len(rows) == len(entries) == 53
    for row, entry in zip(rows, entries, strict=True):
        assert row["name"] == entry["name"]
        assert int(row["cycles"]) == entry["cycles"]
        assert float(row["energy_j"]) == entry["energy_j"]
        assert float(row["energy_off_chip_j"]) == entry["energy_parts_j"]["off_chip"]
    assert [str(cell) for cell in report.to_rows()[0]] == list(rows[0])


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_no_name_in_the_csv_is_a_formula(start: str) -> None:
    name = f'{start}cmd|"/c calc",A1'
    graph = chain([dense(name, "x", 8, 8)])
    report = cost(graph, CLOUD, baseline(graph))
    rows = list(csv.reader(io.StringIO(report.to_csv(), newline="")))
    assert rows[1][0] == ("'" + name if name.isprintable() else visible(name))
    assert report.to_json()["layers"][0]["name"] == name


def test_a_float_layer_carries_its_reason(graph: Graph) -> None:
    floating = chain([replace(dense("y", "x", 8, 8), float_reason="its weights are no constants")])
    report = cost(floating, CLOUD, plain(floating, 2, 2))
    assert report.to_json()["layers"][0]["float"] == "its weights are no constants"
    assert report.to_rows()[1][-1] == "its weights are no constants"
    assert report.total == report.baseline


def test_each_layer_says_what_binds_it_and_what_it_moves(report: CostReport) -> None:
    for entry in report.to_json()["layers"]:
        assert entry["bound"] in ("compute", "activations", "weights")
        assert list(entry["moved_bytes"]) == ["activations", "weights", "outputs"]
        assert list(entry["energy_parts_j"]) == ["compute", "on_chip", "off_chip", "leakage"]
        moved_j = sum(entry["moved_bytes"].values()) * 8 * 15e-12
        assert entry["energy_parts_j"]["off_chip"] == pytest.approx(moved_j, rel=1e-12)
        assert entry["output_bits"] == 32


def test_storage_stands_apart_from_the_packed_weights(graph: Graph, report: CostReport) -> None:
    content = report.to_json()
    assert content["storage"]["weight_bytes"] == content["total"]["weight_bytes"]
    assert content["storage"]["container_bytes"] == content["storage"]["weight_bytes"]  # BISMO packs any width
    quantisers = sum(layer.out_channels for layer in graph.layers) + len(graph.layers)
    assert content["storage"]["metadata_bytes"] == 5 * quantisers


def with_softmax(graph: Graph) -> Graph:
    """The same network with a Softmax behind it."""
    last = graph.outputs[0]
    soft = Operation("soft", "Softmax", (last,), ("y",))
    values = graph.tensor_values | {"y": graph.tensor_values[last]}
    return replace(graph, operations=(*graph.operations, soft), tensor_values=values, outputs=("y",))


def test_operators_without_a_model_are_listed(graph: Graph, report: CostReport) -> None:
    assert report.to_json()["not_modelled"] == {"share_of_bytes": 0.0, "operators": []}
    longer = with_softmax(graph)
    listed = cost(longer, CLOUD, plain(longer, 4, 6))
    assert (listed.total.energy_j, listed.total.latency_s) == (report.total.energy_j, report.total.latency_s)
    (entry,) = listed.to_json()["not_modelled"]["operators"]
    moved = sum(sum(row.moved_bytes.values()) for row in listed.layers) + 2 * 16000
    assert entry == {
        "op": "Softmax", "count": 1, "moved_bytes": 32000.0, "share_of_bytes": 32000 / moved, "priced": "nothing",
    }  # fmt: skip
    assert len(listed.to_rows()) == 54
    priced = cost(longer, CLOUD, plain(longer, 4, 6), mode="physical")
    rows = list(csv.DictReader(io.StringIO(priced.to_csv())))
    assert (rows[-1]["name"], rows[-1]["kind"], rows[-1]["bound"]) == ("soft", "operation", "")
    for figure in ("latency_s", "energy_j"):
        assert sum(float(row[figure]) for row in rows) == pytest.approx(getattr(priced.total, figure), rel=1e-12)
        assert sum(float(row[figure.split("_")[0] + "_share"]) for row in rows) == pytest.approx(1.0, rel=1e-12)
    assert priced.to_json()["not_modelled"]["operators"][0]["priced"] == "traffic"


def test_a_mode_that_is_not_the_default_is_no_more_than_an_estimate(graph: Graph) -> None:
    physical = cost(graph, CLOUD, baseline(graph), mode="physical").to_json()
    assert physical["grades"] == {"latency": "estimate", "energy": "estimate"}


def test_a_comparison_repeats_the_rows_of_each_target(graph: Graph, report: CostReport) -> None:
    other = cost(graph, targets.load("edge"), plain(graph, 4, 6))
    rows = list(csv.DictReader(io.StringIO(comparison_csv([report, other]))))
    assert [row["target"] for row in rows] == ["cloud"] * 53 + ["edge"] * 53
    assert float(rows[53]["energy_j"]) == other.layers[0].energy_j
