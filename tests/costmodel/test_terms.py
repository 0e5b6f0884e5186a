"""Terms: they add up to the price of every policy, on every target and in every mode."""

from __future__ import annotations

import math

import numpy as np
import onnx_ir as ir
import pytest

from haqc import targets
from haqc.budget import METRICS
from haqc.costmodel import build_table
from haqc.graph import Graph
from haqc.passes.bind import bind
from haqc.passes.clean import clean
from haqc.passes.parse import parse
from haqc.policy import Space
from tests.costmodel.mobilenet_v2_layers import mobilenet_v2
from tests.costmodel.test_codebooks import problem
from tests.passes.small_graphs import EVERY_GRAPH, GRAPHS, Prepared

CASES = [(name, mode) for name in targets.names() for mode in targets.load(name).modes]


def policies(space: Space, count: int, seed: int) -> list[dict[str, int]]:
    draw = np.random.default_rng(seed)
    asked = [{c.operand.tensor: int(draw.choice(c.widths)) for c in space.free} for _ in range(count)]
    # On chips that lack some pairs, widths that are asked for may be raised.
    return [{t: space.policy(widths).widths[t] for t in widths} for widths in asked]


def small(name: str) -> Graph:
    return parse(bind(clean(ir.from_proto(GRAPHS[name]()))), name)


def require_equal(graph: Graph, case: tuple[str, str], count: int) -> None:
    target = targets.load(case[0])
    if target.kind == "lookup":
        pytest.skip("a table of measurements prices only what was measured")
    if target.kind == "npu" and any(graph.operand[layer.weight].kind == "activation" for layer in graph.layers):
        pytest.skip("the formulas of kind 'npu' hold for stored weights only")
    table = build_table(graph, target, mode=case[1])
    space = Space.of(graph, target.precision, min_bits=1, default_pins=False)
    terms = table.terms(space)
    for widths in policies(space, count, 0):
        price, summed = table.price(space.policy(widths)), terms.cost(widths)
        for metric in METRICS:
            assert summed.value(metric) == pytest.approx(price.value(metric), rel=1e-12)


@pytest.mark.parametrize("case", CASES, ids="-".join)
@pytest.mark.parametrize("name", ["residual", "concatenation", "attention"])
def test_they_add_up_to_the_price(name: str, case: tuple[str, str]) -> None:
    require_equal(small(name), case, 4)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids="-".join)
def test_they_add_up_on_a_deep_network(case: tuple[str, str]) -> None:
    require_equal(mobilenet_v2(), case, 8)


@pytest.mark.parametrize("name", EVERY_GRAPH)
def test_they_add_up_to_the_size_of_codebooks(name: str) -> None:
    posed = problem(Prepared.of_codebooks(GRAPHS[name]()))
    terms = posed.table.terms(posed.space)
    for widths in policies(posed.space, 3, 1):
        price, summed = posed.table.price(posed.space.policy(widths)), terms.cost(widths)
        assert summed.weight_bytes == price.weight_bytes
        assert summed.peak_activation_bytes == price.peak_activation_bytes
        assert math.isnan(summed.energy_j) and math.isnan(summed.latency_s)


def test_moments_hold_the_peak_and_no_part_of_another() -> None:
    graph, target = small("residual"), targets.load("edge")
    space = Space.of(graph, target.precision, default_pins=False)
    moments = build_table(graph, target).terms(space).moments
    live = [set(moment.stored_bytes) for moment in moments]
    assert len(moments) < len(graph.operations)
    assert all(
        any(t in tensors for tensors in live) for t in space.free_widths if space.graph.operand[t].kind != "weight"
    )
