"""Sizes of codebooks: to the byte what the emitted file's initialisers take, whatever the policy."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from haqc import onnxfile, targets
from haqc.budget import Demand
from haqc.costmodel import build_table
from haqc.costmodel.codebooks import CodebookTable
from haqc.errors import BudgetError
from haqc.packing import pack, packed_bytes
from haqc.passes.bind import bind
from haqc.passes.parse import parse
from haqc.policy import Bits, baseline
from haqc.problem import Problem
from haqc.request import Request
from tests.passes.small_graphs import EVERY_GRAPH, GRAPHS, Prepared


def problem(prepared: Prepared) -> Problem:
    demand = Demand.parse("size=1000KiB")
    request = Request(
        model=Path("m.onnx"), target="edge", demands=(demand,), out=Path("m.haqc"), weights="kmeans", min_bits=1
    )
    graph = parse(bind(prepared.model), "small")
    return Problem.of(request, prepared.model, graph, targets.load("edge"))


@pytest.mark.parametrize("name", EVERY_GRAPH)
def test_a_price_is_what_the_initialisers_of_the_file_take(name: str) -> None:
    prepared = Prepared.of_codebooks(GRAPHS[name]())
    table = problem(prepared).table
    for seed in range(3):
        policy = prepared.random_policy(seed)
        emitted = prepared.quantise(policy).emit()
        assert table.price(policy).weight_bytes == onnxfile.stored_bytes(emitted)


@pytest.mark.parametrize(
    "bits", [pytest.param(b, marks=() if b in (1, 3, 8) else pytest.mark.slow) for b in range(1, 9)]
)
def test_layers_and_the_rest_are_the_whole(bits: int) -> None:
    prepared = Prepared.of_codebooks(GRAPHS["residual"]())
    table = problem(prepared).table
    assert isinstance(table, CodebookTable)
    policy = prepared.space.uniform(bits, 8)
    rows = table.layer_costs(policy)
    weights = prepared.graph.quantised_layers
    for row, layer in zip(rows, weights, strict=True):
        extents = 2 if layer.op == "Gemm" else 4
        packed, book = packed_bytes(layer.weight_values, bits), 4 * min(2**bits, layer.weight_values)
        assert row.weight_bytes == packed + book + 8 * (3 + extents) + bits
        assert (row.bits.weight, row.bits.activation) == (bits, 32)
        assert math.isnan(row.energy_j) and math.isnan(row.latency_s)
    rest = table.price(policy).weight_bytes - sum(row.weight_bytes for row in rows)
    assert rest == table.other_bytes + 25


def test_the_baseline_is_a_byte_for_each_weight() -> None:
    prepared = Prepared.of_codebooks(GRAPHS["residual"]())
    found = problem(prepared)
    graph = parse(bind(prepared.model), "small")
    linear = build_table(graph, targets.load("edge"))
    assert found.baseline.weight_bytes == graph.weight_values == linear.price(baseline(graph)).weight_bytes
    assert found.baseline.peak_activation_bytes == linear.baseline.peak_activation_bytes
    price = found.table.price(prepared.random_policy(0))
    assert price.peak_activation_bytes == 4 * linear.baseline.peak_activation_bytes
    assert price.to_json()["energy_j"] is None and price.to_json()["latency_s"] is None


def test_a_pin_is_of_the_weights_alone() -> None:
    prepared = Prepared.of_codebooks(GRAPHS["residual"]())
    first = prepared.graph.quantised_layers[0]
    request = Request(
        *(Path("m.onnx"), "edge", (Demand.parse("size=1000KiB"),), Path("m.haqc")),
        weights="kmeans",
        pins={first.name: Bits(3, 3)},
    )
    space = Problem.of(request, prepared.model, parse(bind(prepared.model), "small"), targets.load("edge")).space
    assert space.widest.widths[first.weight] == space.narrowest.widths[first.weight] == 3


@pytest.mark.parametrize("text", ["energy=0.5", "latency=10ms", "memory=0.5"])
def test_what_is_not_priced_is_no_budget(text: str) -> None:
    demands = (Demand.parse("size=0.5"), Demand.parse(text))
    with pytest.raises(BudgetError, match=f"budget '{text}' needs quantised activations.*--budget size=VALUE"):
        Request(model=Path("m.onnx"), target="edge", demands=demands, out=Path("m.haqc"), weights="kmeans")


@pytest.mark.parametrize("bits", range(1, 9))
@pytest.mark.parametrize("count", [1, 7, 8, 9, 1000])
def test_packed_indices_take_their_bits(count: int, bits: int) -> None:
    indices = np.random.default_rng(count).integers(0, 2**bits, count)
    packed = pack(indices, bits)
    assert packed.nbytes == packed_bytes(count, bits)
    planes = np.unpackbits(packed, count=count * bits).reshape(bits, count).astype(np.int64)
    np.testing.assert_array_equal((planes << np.arange(bits)[:, None]).sum(axis=0), indices)
