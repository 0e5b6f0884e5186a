"""Whole policies on a table: sums, float layers, refusals, and one price whichever way it is asked."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from haqc import targets
from haqc.budget import Cost
from haqc.costmodel import MAX_BATCH, CostTable, build_table
from haqc.costmodel.prices import Axes
from haqc.errors import PolicyError, TargetError
from haqc.graph import Graph, Operand
from haqc.policy import Bits, Policy, Space, baseline, plain
from haqc.precision import Precision
from haqc.target import Target
from tests.costmodel.mobilenet_v2_layers import chain, convolution, dense, mobilenet_v2

EDGE, CLOUD = targets.load("edge"), targets.load("cloud")


@pytest.fixture(scope="module")
def graph() -> Graph:
    return mobilenet_v2()


@pytest.fixture(scope="module")
def table(graph: Graph) -> CostTable:
    return build_table(graph, CLOUD)


def offering(*widths: int) -> Target:
    return replace(EDGE, precision=Precision(widths, widths, output_bits=32))


def small() -> Graph:
    first = convolution("first", "x", (3, 8), kernel=3, stride=1, groups=1, size_in=8)
    return chain([first, dense("last", first.output, 512, 10)], "small", 192)


def test_axes_and_arrays_have_the_shape_they_say(table: CostTable) -> None:
    assert table.layer_names[0] == "conv0" and table.layer_names[-1] == "fc" and len(table.layer_names) == 53
    assert table.axes.weight_bits == table.axes.activation_bits == (1, 2, 3, 4, 5, 6, 7, 8)
    assert table.axes.output_bits == (32,)
    assert table.batch == 16 and table.mode == "reference"
    assert table.cycles.shape == table.latency_s.shape == table.energy_j.shape == (53, 8, 8, 1)
    assert table.cycles.dtype == np.int64
    assert table.storage.packed_bytes.shape == (53, 8)
    np.testing.assert_array_equal(table.energy_parts_j["compute"] + table.energy_parts_j["off_chip"], table.energy_j)
    with pytest.raises(ValueError, match="read-only"):
        table.cycles[0, 0, 0, 0] = 1


def test_totals_of_mobilenet_v2_at_8_bits(graph: Graph, table: CostTable) -> None:
    cost = table.price(baseline(graph))
    assert cost.latency_s == pytest.approx(39_624_933 / 200e6, rel=1e-12)
    assert cost.weight_bytes == graph.weight_values == 3_469_760
    assert cost.energy_j > graph.macs * 16 * 64 * 1.04e-12
    # conv4 reads 96 channels of 112 x 112 pixels and writes 96 of 56 x 56; no other step holds more.
    assert cost.peak_activation_bytes == 16 * 96 * (112 * 112 + 56 * 56)


def test_a_policy_costs_the_sum_of_its_layers(graph: Graph, table: CostTable) -> None:
    policy = plain(graph, 5, 3)
    rows = table.layer_costs(policy)
    total = table.price(policy)
    assert [row.layer.name for row in rows] == list(table.layer_names)
    assert rows[0].bits == Bits(5, 8) and rows[1].bits == Bits(5, 3)
    assert sum(row.latency_s for row in rows) == pytest.approx(total.latency_s, rel=1e-12)
    assert sum(row.energy_j for row in rows) == pytest.approx(total.energy_j, rel=1e-12)
    assert sum(row.weight_bytes for row in rows) == total.weight_bytes
    assert rows[7].cycles == table.cycles[7, 4, 2, 0]
    assert rows[7].energy_j == pytest.approx(sum(rows[7].energy_parts_j.values()), rel=1e-15)


def test_many_policies_cost_to_the_last_bit_what_each_costs(graph: Graph, table: CostTable) -> None:
    generator = np.random.default_rng(0)
    weight_bits = generator.integers(1, 9, (53, 5000), dtype=np.uint8)
    activation_bits = generator.integers(1, 9, (53, 5000), dtype=np.uint8)
    many = table.price_many(weight_bits, activation_bits)
    for place in (0, 1, 4095, 4096, 4999):
        widths = {y.weight: int(weight_bits[k, place]) for k, y in enumerate(graph.layers)}
        widths |= {y.activation: int(activation_bits[k, place]) for k, y in enumerate(graph.layers)}
        cost = table.price(Policy(graph, widths))
        for metric in ("energy_j", "latency_s", "weight_bytes"):
            assert many[metric][place] == getattr(cost, metric)


def test_the_narrowest_policy_is_the_cheapest(graph: Graph, table: CostTable) -> None:
    space = Space.of(graph, CLOUD.precision)
    low, high = table.price(space.narrowest), table.price(space.widest)
    assert low.energy_j < high.energy_j and low.latency_s < high.latency_s and low.weight_bytes < high.weight_bytes
    assert (np.diff(table.energy_j, axis=1) > 0).all() and (np.diff(table.energy_j, axis=2) > 0).all()


def test_weights_are_packed_and_rounded_up_to_bytes_by_layer() -> None:
    graph = small()
    table = build_table(graph, EDGE)
    assert table.storage.packed_bytes[0].tolist() == [27, 54, 81, 108, 135, 162, 189, 216]
    odd = replace(graph, layers=(replace(graph.layers[0], weight_values=3), replace(graph.layers[1], weight_values=0)))
    assert build_table(odd, EDGE).storage.packed_bytes[:, 2].tolist() == [2, 0]


def test_float_layers_cost_what_8_bits_cost() -> None:
    graph = small()
    floating = replace(graph, layers=(graph.layers[0], replace(graph.layers[1], float_reason="no quantised form")))
    whole, part = build_table(graph, offering(2, 4, 8)), build_table(floating, offering(2, 4, 8))
    narrow = plain(floating, 2, 2)
    rows = part.layer_costs(narrow)
    assert rows[1].bits == Bits(8, 8)
    assert rows[1].cycles == whole.layer_costs(baseline(graph))[1].cycles
    assert rows[1].weight_bytes == graph.layers[1].weight_values
    assert part.price(narrow).energy_j == pytest.approx(sum(row.energy_j for row in rows), rel=1e-12)
    odd = part.price(Policy(floating, {**narrow.widths, "last.w": 3}))
    assert odd.energy_j == part.price(narrow).energy_j
    wide = np.full((2, 1), 2, np.uint8)
    assert part.price_many(wide, wide)["weight_bytes"][0] == 216 * 2 / 8 + 5120


def test_refuses_a_width_the_target_lacks() -> None:
    graph = small()
    table = build_table(graph, offering(2, 4, 8))
    expected = r"layer 'first' has 3/8 bits .* offers weights of 2, 4, 8 and activations of 2, 4, 8; choose among these"
    with pytest.raises(PolicyError, match=expected):
        table.price(plain(graph, 3, 4))
    with pytest.raises(PolicyError, match=expected):
        table.layer_costs(plain(graph, 3, 4))
    bits = np.array([[8, 8, 200], [8, 16, 8]], np.uint8)
    with pytest.raises(PolicyError, match="layer 'last' has 8/16 bits"):
        table.price_many(np.full_like(bits, 8), bits)
    with pytest.raises(PolicyError, match="layer 'last' has -1/"):
        table.price(Policy(graph, {**baseline(graph).widths, "last.w": -1}))


def test_refuses_a_policy_of_another_model(table: CostTable) -> None:
    with pytest.raises(PolicyError, match=r"model 'small' .* 'mobilenet_v2'"):
        table.price(baseline(small()))


@pytest.mark.parametrize("shape", [(53,), (52, 4), (53, 5)])
def test_refuses_widths_of_another_shape(table: CostTable, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="uint8"):
        table.price_many(np.full((53, 4), 8, np.uint8), np.full(shape, 8, np.uint8))
    with pytest.raises(ValueError, match="int64"):
        table.price_many(np.full((53, 4), 8), np.full((53, 4), 8))


def test_a_batch_that_is_asked_for_replaces_the_targets(graph: Graph, table: CostTable) -> None:
    one = build_table(graph, CLOUD, batch=1)
    assert one.batch == 1
    np.testing.assert_array_equal(one.cycles[:52] * 16, table.cycles[:52])
    assert one.price(baseline(graph)).peak_activation_bytes * 16 == table.price(baseline(graph)).peak_activation_bytes


def test_a_product_of_two_activations_repeats_over_a_batch() -> None:
    product = dense("scores", "x", 64, 50, rows=50, groups=4)
    shared = chain([product], "constant", 3200)
    data = Operand(product.weight, "activation", ("scores",), 3200)
    products = replace(shared, operands=(data, *shared.operands[1:]))
    one, many = build_table(products, EDGE).cycles, build_table(products, EDGE, batch=10).cycles
    np.testing.assert_array_equal(many, 10 * one)
    assert (build_table(shared, EDGE, batch=10).cycles < many).any()


def test_refuses_what_cannot_be_priced(graph: Graph) -> None:
    with pytest.raises(TargetError, match=r"no mode 'refrence' \(did you mean 'reference'\?\); it has reference"):
        build_table(graph, CLOUD, mode="refrence")
    for batch in (0, -1, MAX_BATCH + 1):
        with pytest.raises(TargetError, match=f"batch of {batch} cannot be priced"):
            build_table(graph, CLOUD, batch=batch)
    with pytest.raises(TargetError, match="lacks 8-bit"):
        build_table(graph, offering(2, 4))
    with pytest.raises(ValueError, match="cannot hold"):
        replace(build_table(graph, CLOUD), axes=Axes((8,), (8,), (32,)))


def test_a_model_without_layers_costs_what_its_operators_move(graph: Graph) -> None:
    empty = replace(graph, layers=(), operands=(), operations=(), tensor_values={}, last_layers=())
    table = build_table(empty, CLOUD)
    assert table.price(baseline(empty)) == Cost(0.0, 0.0, 0.0, 0.0)
    assert table.layer_costs(baseline(empty)) == ()
