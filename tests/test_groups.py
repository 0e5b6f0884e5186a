"""Operands that share one width, and layers whose data has no quantiser."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from haqc.errors import PolicyError
from haqc.graph import Graph
from haqc.passes.search.state import plan_steps
from haqc.policy import Bits, Policy, Space, baseline, load, plain
from haqc.precision import Precision
from tests.passes.search_toy import chain

ALL = (2, 3, 4, 5, 6, 7, 8)
PAIRED = Precision((2, 4, 8), (2, 4, 8), frozenset({(8, 8), (4, 8), (4, 4), (2, 2)}))


def grouped(*tensors: str) -> Graph:
    """Five layers in a row, whose tensors named share one width."""
    graph = chain(5)
    members = (replace(o, group="g") if o.tensor in tensors else o for o in graph.operands)
    return replace(graph, operands=tuple(members))


GRAPH = grouped("t1", "t3")


def test_a_group_is_one_choice() -> None:
    space = Space.of(GRAPH, Precision(ALL, ALL), default_pins=False)
    assert "t1" in {choice.operand.tensor for choice in space.free}
    assert "t3" not in {choice.operand.tensor for choice in space.free}
    widths = {choice.operand.tensor: 8 for choice in space.free}
    assert space.policy({**widths, "t1": 3}).widths["t3"] == 3
    assert GRAPH.sharing("t3") == ("t1", "t3")
    assert (GRAPH.sharing("t2"), GRAPH.leader("t3"), GRAPH.leader("no operand")) == (("t2",), "t1", "no operand")


def test_members_stay_equal_where_pairs_are_raised_or_lowered() -> None:
    """Raising the pair of one layer raises the data of the other, and with it the weights that do not fit it."""
    space = Space.of(GRAPH, PAIRED, default_pins=False)
    wide = space.policy({choice.operand.tensor: 2 for choice in space.free} | {"w3": 8})
    assert {tensor: wide.widths[tensor] for tensor in ("w3", "t3", "t1", "w1")} == {"w3": 8, "t3": 8, "t1": 8, "w1": 4}
    narrow = space.lowered(space.widest, "t1", 2)
    assert narrow is not None
    assert {narrow.widths[tensor] for tensor in ("t1", "t3", "w1", "w3")} == {2}
    assert narrow.widths["w2"] == narrow.widths["t2"] == 8
    moved = space.with_bits(space.uniform(4, 8), GRAPH.layers[3], Bits(4, 4))
    assert {moved.widths[tensor] for tensor in ("t1", "t3", "w1", "w3")} == {4}
    assert moved.widths["t2"] == 8


def test_a_pin_on_one_member_pins_the_group() -> None:
    space = Space.of(GRAPH, Precision(ALL, ALL), pins={"l3": Bits(5, 4)})
    choices = {choice.operand.tensor: choice for choice in space.choices}
    assert (choices["t1"].widths, choices["t1"].reason) == ((4,), "shares its width with 't3'")
    assert (choices["t3"].widths, choices["t3"].reason) == ((4,), "pinned by 'l3'")
    with pytest.raises(PolicyError, match=r"'t1' and 't3' are of one group .* pinned by 'l1' at 6 bits .* at 4; pin"):
        Space.of(GRAPH, Precision(ALL, ALL), pins={"l3": Bits(5, 4), "l1": Bits(8, 6)})
    first = Space.of(grouped("t0", "t2"), Precision(ALL, ALL))
    assert {c.operand.tensor: c.reason for c in first.choices}["t2"] == "shares its width with 't0'"
    freed = Space.of(grouped("t0", "t2"), Precision(ALL, ALL), pins={"l2": Bits(8, 3)})
    assert {c.widths for c in freed.choices if c.operand.tensor in ("t0", "t2")} == {(3,)}  # a pin beats a default one


def test_what_is_left_of_one_member_is_left_of_all() -> None:
    space = Space.of(GRAPH, PAIRED, pins={"l0": Bits(8, 8)}, min_bits=2, default_pins=False)
    pinned = Space.of(replace(GRAPH, operands=tuple(
        replace(o, fixed_bits=8, reason="stays") if o.tensor == "w3" else o for o in GRAPH.operands)),
        PAIRED, default_pins=False)  # fmt: skip
    assert {c.operand.tensor: c.widths for c in space.choices}["t1"] == (2, 4, 8)
    assert {c.widths for c in pinned.choices if c.operand.tensor in ("t1", "t3")} == {(8,)}


def test_a_file_with_unequal_members_is_refused() -> None:
    policy = Policy(GRAPH, {**baseline(GRAPH).widths, "t3": 4})
    with pytest.raises(PolicyError, match=r"gives tensor 't1' 8 bits and tensor 't3' 4; both are of one group"):
        load(GRAPH, json.dumps(policy.to_json()), "p.json")
    assert load(GRAPH, json.dumps(plain(GRAPH, 4, 4).to_json()), "p.json") == plain(GRAPH, 4, 4)


def test_a_group_with_the_networks_input_has_its_width() -> None:
    graph = grouped("t0", "t2")
    assert graph.inputs == ("t0",)
    assert {plain(graph, 4, 3).widths[tensor] for tensor in ("t0", "t2")} == {8}


def test_a_search_decides_a_group_once() -> None:
    space = Space.of(GRAPH, Precision(ALL, ALL), default_pins=False)
    decided = [step.choice.operand.tensor for step in plan_steps(space)]
    assert sorted(decided) == sorted(choice.operand.tensor for choice in space.free)


def test_data_without_a_quantiser_counts_as_8_bits_wide() -> None:
    graph = chain(5)
    layer = replace(graph.layers[2], data_reason="its data are indices")
    kept = tuple(operand for operand in graph.operands if operand.tensor != "t2")
    graph = replace(graph, layers=(*graph.layers[:2], layer, *graph.layers[3:]), operands=kept)
    space = Space.of(graph, PAIRED, default_pins=False)
    assert str(space.narrowest.bits(layer)) == "4/8"  # no narrower weights go with 8
    assert space.pairs(layer) == [Bits(4, 8), Bits(8, 8)]
    entry = space.narrowest.to_json()["layers"][2]
    assert (entry["activation_bits"], entry["float_data"]) == (8, "its data are indices")
    assert load(graph, json.dumps(space.narrowest.to_json()), "p.json") == space.narrowest


def test_a_table_that_reads_an_input_is_not_pinned() -> None:
    graph = chain(3)
    table = replace(graph.layers[0], op="Gather", reduction=0, data_reason="its data are indices")
    kept = tuple(operand for operand in graph.operands if operand.tensor != "t0")
    graph = replace(graph, layers=(table, *graph.layers[1:]), operands=kept)
    reasons = {choice.operand.tensor: choice.reason for choice in Space.of(graph, Precision(ALL, ALL)).choices}
    assert reasons["w0"] == ""
    assert (table.kind, table.macs) == ("table", 0)
