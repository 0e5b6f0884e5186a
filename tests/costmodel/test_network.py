"""Operators beside the layers, and output widths that follow the policy: counted by hand, and against plain loops."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest

from haqc import targets
from haqc.costmodel import build_table
from haqc.costmodel.network import Network, Unmodelled
from haqc.costmodel.prices import NOTHING, Axes, Energy, Prices, Traffic
from haqc.costmodel.table import CostTable
from haqc.errors import PolicyError
from haqc.graph import Graph, Operand, Operation
from haqc.hardware import Streaming
from haqc.policy import Policy, Space, baseline, plain
from haqc.precision import Precision
from haqc.target import Target
from tests.costmodel.mobilenet_v2_layers import convolution, dense

EDGE = targets.load("edge")
WIDTHS = (2, 4, 8)
PIXELS = 64


def residual() -> Graph:
    """x -> first -> a -> second -> b; s = a + b; s -> third -> c; c -> Softmax -> y; 4 channels of 64 pixels each."""
    layers = [
        convolution("first", "x", (4, 4), kernel=3, stride=1, groups=1, size_in=8),
        convolution("second", "first.out", (4, 4), kernel=1, stride=1, groups=1, size_in=8),
        convolution("third", "s", (4, 4), kernel=1, stride=1, groups=1, size_in=8),
    ]
    operands = [Operand(layer.weight, "weight", (layer.name,), layer.weight_values) for layer in layers]
    reads = {"x": ("first",), "first.out": ("second",), "s": ("third",)}
    operands += [Operand(tensor, "activation", names, 256) for tensor, names in reads.items()]
    operands.append(Operand("second.out", "activation", (), 256, fixed_bits=8, reason="read only by Add"))
    operations = [
        Operation("first", "Conv", ("x",), ("first.out",), "first"),
        Operation("second", "Conv", ("first.out",), ("second.out",), "second"),
        Operation("add", "Add", ("first.out", "second.out"), ("s",)),
        Operation("third", "Conv", ("s",), ("third.out",), "third"),
        Operation("soft", "Softmax", ("third.out",), ("y",)),
    ]
    values = dict.fromkeys(("x", "first.out", "second.out", "s", "third.out", "y"), 4 * PIXELS)
    return Graph("residual", tuple(layers), tuple(operands), tuple(operations), values, ("x",), ("y",), ("third",))


@dataclass(frozen=True)
class Toy:
    """Hardware with a memory for what is no layer."""

    kind: ClassVar[str] = "toy"
    stream: Streaming | None
    clock_hz: float = 1e9
    modes: tuple[str, ...] = ("reference",)

    def streaming(self, mode: str) -> Streaming | None:
        return self.stream


def target_of(precision: Precision, stream: Streaming | None) -> Target:
    return replace(EDGE, name="toy", batch=1, precision=precision, hardware=Toy(stream))


def table_of(graph: Graph, target: Target, batch: int = 1, seed: int = 0) -> CostTable:
    """A table of random prices of the full shape."""
    axes = Axes.of(target.precision)
    draw = np.random.default_rng(seed)
    shape = (len(graph.layers), *axes.lengths)
    compute, off_chip = draw.uniform(1e-9, 2e-9, (2, *shape))
    moved = Traffic(*draw.uniform(1e3, 2e3, (3, *shape)))
    prices = Prices(
        draw.uniform(1e3, 2e3, shape), Energy(compute, NOTHING, off_chip, NOTHING), moved, np.ones((1, 1, 1, 1)),
        np.ones((1, 1, 1, 1)),
    )  # fmt: skip
    return CostTable(graph, target, batch, "reference", axes, prices)


def widths(graph: Graph, seed: int) -> dict[str, int]:
    draw = np.random.default_rng(seed)
    return {o.tensor: o.fixed_bits or int(draw.choice(WIDTHS)) for o in graph.operands}


@pytest.mark.parametrize("has_float", [False, True])
def test_a_layer_writes_at_the_width_of_what_reads_its_result(has_float: bool) -> None:
    graph = residual()
    table = table_of(graph, target_of(Precision(WIDTHS, WIDTHS, has_float=has_float), None))
    assert table.axes.output_bits == ((2, 4, 8, 32) if has_float else (2, 4, 8))
    policy = Policy(graph, {**widths(graph, 0), "first.out": 2, "s": 4, "second.out": 8})
    rows = table.layer_costs(policy)
    # second.out is read by Add alone and has 8 bits; third.out has no quantiser.
    assert [row.output_bits for row in rows] == [2, 8, 32 if has_float else 8]
    for place, row in enumerate(rows):
        cell = (
            place,
            WIDTHS.index(row.bits.weight),
            WIDTHS.index(row.bits.activation),
            table.axes.output_bits.index(row.output_bits),
        )
        assert row.cycles == table.prices.cycles[cell]
    assert table.price(policy).latency_s == pytest.approx(sum(row.cycles for row in rows) / 1e9, rel=1e-12)


STREAM = Streaming(bits_per_s=1e9, energy_j_per_bit=1e-12)


@pytest.mark.parametrize("stream", [None, STREAM, replace(STREAM, fused=frozenset({"Add"}))])
@pytest.mark.parametrize("container", ["exact", (4, 8)])
def test_many_policies_cost_to_the_last_bit_what_each_costs(
    stream: Streaming | None, container: tuple[int, ...]
) -> None:
    graph = residual()
    precision = Precision(WIDTHS, WIDTHS, activation_container=container, has_float=True)
    table = table_of(graph, target_of(precision, stream), batch=3)
    policies = [Policy(graph, widths(graph, seed)) for seed in range(40)]
    bits = np.array([[(b.weight, b.activation) for b in policy.layer_bits] for policy in policies], np.uint8)
    many = table.price_many(np.ascontiguousarray(bits[..., 0].T), np.ascontiguousarray(bits[..., 1].T))
    for place, policy in enumerate(policies):
        cost = table.price(policy)
        for metric in ("energy_j", "latency_s", "weight_bytes"):
            assert many[metric][place] == getattr(cost, metric)
        layers, operations = table.layer_costs(policy), table.operation_costs(policy)
        for metric in ("energy_j", "latency_s"):
            parts = sum(getattr(row, metric) for row in (*layers, *operations))
            assert getattr(cost, metric) == pytest.approx(parts, rel=1e-12)


def test_operators_move_their_tensors_at_their_widths() -> None:
    graph = residual()
    policy = Policy(graph, {**widths(graph, 0), "first.out": 2, "s": 4})
    network = Network(graph, Precision(WIDTHS, WIDTHS, has_float=True), 3, STREAM)
    add, softmax = network.costs(policy.widths)
    values = 3 * 256
    assert add.moved_bytes == values * (2 + 8 + 4) / 8
    assert softmax.moved_bytes == values * (32 + 32) / 8
    assert add.latency_s == pytest.approx(add.moved_bytes * 8 / 1e9, rel=1e-15)
    assert softmax.energy_j == pytest.approx(softmax.moved_bytes * 8 * 1e-12, rel=1e-15)
    assert add.is_modelled and not softmax.is_modelled


def test_a_fused_operator_reads_its_second_operand_only_and_its_producer_writes_the_result() -> None:
    graph = residual()
    fusing = replace(STREAM, fused=frozenset({"Add"}))
    network = Network(graph, Precision(WIDTHS, WIDTHS), 1, fusing)
    assert network.written == ("first.out", "s", "third.out")  # first.out has another reader, so Add joins second
    add, _ = network.passages
    assert add.is_fused and add.moved == ("first.out",)
    table = table_of(graph, target_of(Precision(WIDTHS, WIDTHS), fusing))
    rows = table.layer_costs(Policy(graph, {**widths(graph, 0), "s": 2}))
    assert rows[1].output_bits == 2
    # A result that is an output of the network is written, whatever reads it.
    shown = Network(replace(graph, outputs=("y", "second.out")), Precision(WIDTHS, WIDTHS), 1, fusing)
    assert not shown.passages[0].is_fused and shown.written[1] == "second.out"


def test_a_chain_of_fused_operators_writes_once() -> None:
    graph = residual()
    steps = list(graph.operations)
    steps[2:3] = [
        Operation("add", "Add", ("first.out", "second.out"), ("t",)),
        Operation("relu", "Relu", ("t",), ("s",)),
    ]
    longer = replace(graph, operations=tuple(steps), tensor_values=graph.tensor_values | {"t": 256})
    network = Network(longer, Precision(WIDTHS, WIDTHS), 1, replace(STREAM, fused=frozenset({"Add", "Relu"})))
    assert network.written[1] == "s"
    assert [passage.moved for passage in network.passages[:2]] == [("first.out",), ()]


def test_what_is_not_modelled_is_listed_with_its_share() -> None:
    graph = residual()
    policy = baseline(graph)
    priced = Network(graph, Precision(WIDTHS, WIDTHS), 1, STREAM).costs(policy.widths)
    block = Unmodelled.of(priced, layer_bytes=1280.0).to_json()
    total = 1280 + 256 * 3 + 256 * 2
    assert block == {
        "share_of_bytes": 512 / total,
        "operators": [
            {"op": "Softmax", "count": 1, "moved_bytes": 512.0, "share_of_bytes": 512 / total, "priced": "traffic"}
        ],
    }
    listed = Network(graph, Precision(WIDTHS, WIDTHS), 1, None).costs(policy.widths)
    block = Unmodelled.of(listed, layer_bytes=1280.0).to_json()
    found = [(entry["op"], entry["priced"]) for entry in block["operators"]]
    assert found == [("Add", "nothing"), ("Softmax", "nothing")]
    assert block["share_of_bytes"] == pytest.approx(1280 / total, rel=1e-15)


def test_the_published_mode_of_bit_serial_prices_layers_only() -> None:
    graph = residual()
    reference, physical = build_table(graph, EDGE), build_table(graph, EDGE, mode="physical")
    policy = plain(graph, 4, 4)
    total = sum(row.latency_s for row in reference.layer_costs(policy))
    assert reference.price(policy).latency_s == pytest.approx(total, rel=1e-12)
    assert all(cost.latency_s == cost.energy_j == 0 for cost in reference.operation_costs(policy))
    beside = sum(cost.latency_s for cost in physical.operation_costs(policy))
    # Add reads 4 and 8 bits and writes 4, Softmax reads and writes 8, all through a port of 64 bits a cycle.
    assert beside == pytest.approx(256 * (4 + 8 + 4 + 8 + 8) / 64 / 200e6, rel=1e-12)
    layers = sum(row.latency_s for row in physical.layer_costs(policy))
    assert physical.price(policy).latency_s == pytest.approx(layers + beside, rel=1e-12)


def test_pairs_that_are_not_allowed_are_infinite_and_refused() -> None:
    graph = residual()
    precision = Precision(WIDTHS, WIDTHS, frozenset({(8, 8), (4, 8), (4, 4), (2, 2)}))
    table = table_of(graph, target_of(precision, None))
    assert np.isinf(table.energy_j[:, 2, 1]).all() and np.isinf(table.latency_s[:, 0, 2]).all()
    assert np.isfinite(table.energy_j[:, 1, 1]).all()
    refusal = r"layer 'first' has 2/8 bits .*'toy' offers weights/activations of 2/2, 4/4, 4/8, 8/8"
    with pytest.raises(PolicyError, match=refusal):
        table.price(plain(graph, 2, 4))
    bits = np.full((3, 2), 8, np.uint8)
    low = bits.copy()
    low[1, 1] = 2
    with pytest.raises(PolicyError, match="layer 'second' has 8/2 bits"):
        table.price_many(bits, low)
    space = Space.of(graph, precision)
    for policy in (space.narrowest, space.widest, space.uniform(2, 8)):
        table.price(policy)


def test_a_width_that_results_are_not_written_at_is_refused() -> None:
    graph = residual()
    table = table_of(graph, target_of(Precision(WIDTHS, WIDTHS), None))
    with pytest.raises(PolicyError, match=r"'second' would write 'second.out' at 5 bits; the target writes at 2, 4, 8"):
        table.price(Policy(graph, {**baseline(graph).widths, "second.out": 5}))


def test_float_layers_keep_their_own_price_where_there_is_float() -> None:
    graph = residual()
    floating = replace(graph, layers=(*graph.layers[:2], replace(graph.layers[2], float_reason="kept")))
    policy = plain(floating, 4, 4)
    integer = table_of(floating, target_of(Precision(WIDTHS, WIDTHS), None))
    assert integer.layer_costs(policy)[2].cycles == integer.prices.cycles[2, 2, 2, 2]
    real = table_of(floating, target_of(Precision(WIDTHS, WIDTHS, has_float=True), None))
    assert real.layer_costs(policy)[2].cycles == real.prices.cycles[2, 0, 0, 3]
    assert real.storage.packed_bytes[2].tolist() == [4 * 16] * 3
    assert integer.storage.packed_bytes[2].tolist() == [16] * 3


def test_peak_memory_counts_containers() -> None:
    whole = residual()
    values = {tensor: count for tensor, count in whole.tensor_values.items() if tensor != "y"}
    graph = replace(whole, operations=whole.operations[:-1], outputs=("third.out",), tensor_values=values)
    policy = Policy(graph, {**baseline(graph).widths, "first.out": 2, "s": 2})
    # The peak is at Add: first.out and s at 2 bits, which take 4 in containers, and second.out at 8.
    packed = table_of(graph, target_of(Precision(WIDTHS, WIDTHS), None)).price(policy)
    assert packed.peak_activation_bytes == 256 * (2 + 8 + 2) / 8
    stored = table_of(graph, target_of(Precision(WIDTHS, WIDTHS, activation_container=(4, 8)), None)).price(policy)
    assert stored.peak_activation_bytes == 256 * (4 + 8 + 4) / 8
    # With float, third.out, which has no quantiser, has 32 bits; s lives beside it.
    real = table_of(graph, target_of(Precision(WIDTHS, WIDTHS, has_float=True), None)).price(policy)
    assert real.peak_activation_bytes == 256 * (2 + 32) / 8


def test_storage_in_containers_and_metadata() -> None:
    graph = residual()
    last = replace(dense("fc", "s", 256, 10), weight_values=5)
    longer = replace(
        graph, layers=(*graph.layers[:2], last), operands=(*graph.operands[:2], Operand("fc.w", "weight", ("fc",), 5),
                                                           *graph.operands[3:])
    )  # fmt: skip
    precision = Precision((3, 4, 8), WIDTHS, weight_container="next-power-of-two")
    storage = table_of(longer, target_of(precision, None)).storage
    assert storage.packed_bytes[2].tolist() == [2, 3, 5]
    assert storage.container_bytes[2].tolist() == [3, 3, 5]
    assert (storage.container_bytes >= storage.packed_bytes).all()
    assert storage.metadata_bytes.tolist() == [5 * 4 + 5, 5 * 4 + 5, 5 * 10 + 5]
    assert storage.joint_metadata_bytes == 5
