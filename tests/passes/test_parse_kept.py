"""Layers that stay in float because the user says so."""

from __future__ import annotations

from dataclasses import replace

import onnx_ir as ir
import pytest

from haqc import targets
from haqc.costmodel import build_table
from haqc.errors import PolicyError
from haqc.graph import Graph
from haqc.passes.bind import bind
from haqc.passes.clean import clean
from haqc.passes.parse import parse
from haqc.policy import Bits, Policy, Space, baseline
from tests.passes.small_graphs import GRAPHS


def parsed(name: str, *patterns: str) -> Graph:
    return parse(bind(clean(ir.from_proto(GRAPHS[name]()))), "small", patterns)


def test_a_kept_layer_has_no_operands_and_says_why() -> None:
    before, graph = parsed("conv_relu"), parsed("conv_relu", "y.nod?")
    layer = graph.layer["y.node"]
    assert layer.float_reason == "kept in float by 'y.nod?'"
    assert [kept.name for kept in graph.layers] == [was.name for was in before.layers]
    gone = set(before.operand) - set(graph.operand)
    assert gone == {before.layer["y.node"].weight, before.layer["y.node"].activation}
    assert parsed("conv_relu") == before


def test_what_others_read_keeps_its_quantiser() -> None:
    """Both blocks read and sum one tensor: of a layer that is kept, only the weights lose theirs."""
    before, graph = parsed("residual"), parsed("residual", "a1.node")
    assert set(before.operand) - set(graph.operand) == {before.layer["a1.node"].weight}
    data = graph.operand[before.layer["a1.node"].activation]
    assert (data.layers, data.fixed_bits, data.reason) == ((), 8, "read only by Add, which runs at 8 bits")


def test_both_layers_of_a_recurrent_node_are_kept_together() -> None:
    graph = parsed("recurrent", "h1.node")
    kept = [layer for layer in graph.layers if layer.float_reason]
    assert [(layer.op, layer.nodes) for layer in kept] == [("LSTM", ("h1.node",))] * 2
    assert {layer.data_reason for layer in kept} == {""}


def test_a_kept_layer_is_neither_pinned_nor_searched() -> None:
    graph = parsed("gemm", "*")
    assert graph.quantised_layers == ()
    space = Space.of(parsed("conv_relu", "y.node"), targets.load("edge").precision, default_pins=False)
    assert [choice.operand.tensor for choice in space.free] == ["c1.w", "x", "c2.w", "r1"]
    pinned = Space.of(parsed("conv_relu", "y.node"), targets.load("edge").precision)
    assert [choice.operand.tensor for choice in pinned.free] == ["c2.w", "r1"]  # the layer before is no last one


@pytest.mark.parametrize("target", ["edge", "bitfusion", "t4", "cortex-m4"])
def test_a_kept_layer_is_priced_at_8_bits_where_there_is_no_float(target: str) -> None:
    chip = targets.load(target)
    graph = parsed("residual", "a1.node")
    table = build_table(graph, chip)
    space = Space.of(graph, chip.precision)
    place = next(index for index, layer in enumerate(graph.layers) if layer.float_reason)
    whole = build_table(parsed("residual"), chip)
    before, after = whole.baseline_layers[place], table.layer_costs(space.narrowest)[place]
    assert after.bits == Bits(8, 8)
    factor = 4 if chip.precision.has_float else 1
    assert after.weight_bytes == factor * before.weight_bytes
    if not chip.precision.has_float:
        assert after.energy_parts_j["compute"] == before.energy_parts_j["compute"]


def test_budgets_refer_to_the_model_at_8_bits_everywhere() -> None:
    chip = targets.load("t4")
    whole = build_table(parsed("residual"), chip)
    table = replace(build_table(parsed("residual", "a1.node"), chip), whole=whole)
    assert table.baseline == whole.price(baseline(whole.graph))
    assert table.price(baseline(table.graph)).weight_bytes > table.baseline.weight_bytes
    assert table.baseline_layers == whole.baseline_layers


def test_a_policy_says_what_is_kept() -> None:
    graph = parsed("conv_relu", "y.node")
    entry = Policy(graph, dict.fromkeys(graph.operand, 8)).to_json()["layers"][-1]
    assert (entry["name"], entry["float"]) == ("y.node", "kept in float by 'y.node'")


@pytest.mark.parametrize(
    ("name", "pattern", "message"),
    [
        ("conv_relu", "y.mode", r"--keep-float 'y\.mode' matches no layer \(did you mean 'y\.node'\?\); 'haqc cost'"),
        (
            "shared_weights",
            "c2.node",
            r"keeps 'c2\.node' in float, whose weights 'shared' are also those of 'c3\.node'",
        ),
        (
            "shared_weights",
            "c3.node",
            r"keeps 'c3\.node' in float, whose weights 'shared' are also those of 'c2\.node'",
        ),
        ("tied_table", "y.node", r"whose weights 't' are also those of 'rows\.node', which is quantised; keep both"),
    ],
)
def test_what_cannot_be_kept_is_refused(name: str, pattern: str, message: str) -> None:
    with pytest.raises(PolicyError, match=message):
        parsed(name, pattern)


def test_layers_that_share_weights_are_kept_together() -> None:
    graph = parsed("shared_weights", "c[23].node")
    assert "shared" not in graph.operand
    assert [layer.name for layer in graph.layers if layer.float_reason] == ["c2.node", "c3.node"]
