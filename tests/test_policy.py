"""Policies are valid by construction: pins, shared tensors, widths that a target offers; files that say otherwise."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from haqc.errors import PolicyError
from haqc.graph import Graph, Operand
from haqc.policy import POLICY_SCHEMA, Bits, Space, baseline, load, plain
from haqc.precision import Precision
from tests.costmodel.mobilenet_v2_layers import dense

WIDTHS = (2, 3, 4, 6, 8)


def network() -> Graph:
    """Four layers: ``b`` and ``c`` read one tensor and share weights; ``f`` stays in float; ``s`` is only added."""
    a, b, d = dense("a", "x", 4, 4), dense("b", "a.out", 4, 4), dense("d", "s", 4, 2)
    c = replace(dense("c", "a.out", 4, 4), weight="b.w", weight_values=0)
    f = replace(dense("f", "b.out", 4, 4), float_reason="its weights are a vector")
    operands = (
        Operand("a.w", "weight", ("a",), 16),
        Operand("x", "activation", ("a",), 4),
        Operand("b.w", "weight", ("b", "c"), 16),
        Operand("a.out", "activation", ("b", "c"), 4, signed=False),
        Operand("d.w", "weight", ("d",), 8),
        Operand("s", "activation", ("d",), 4),
        Operand("c.out", "activation", (), 4, fixed_bits=8, reason="read only by Add, which runs at 8 bits"),
    )
    return Graph("net", (a, b, c, f, d), operands, (), {}, ("x",), ("d.out",), last_layers=("d",))


GRAPH = network()


def space(**options: Any) -> Space:
    return Space.of(GRAPH, Precision(WIDTHS, WIDTHS), **options)


def widths_of(made: Space) -> dict[str, tuple[int, ...]]:
    return {choice.operand.tensor: choice.widths for choice in made.choices}


def test_first_and_last_layers_are_pinned_with_reasons() -> None:
    made = space()
    assert {c.operand.tensor: (c.widths, c.reason) for c in made.choices if not c.is_free} == {
        "a.w": ((8,), "reads the network's input"),
        "x": ((8,), "reads the network's input"),
        "d.w": ((8,), "last layer before an output"),
        "s": ((8,), "last layer before an output"),
        "c.out": ((8,), "read only by Add, which runs at 8 bits"),
    }
    assert [choice.operand.tensor for choice in made.free] == ["b.w", "a.out"]


def test_without_default_pins_only_what_no_layer_reads_is_fixed() -> None:
    made = space(default_pins=False)
    assert [choice.operand.tensor for choice in made.choices if not choice.is_free] == ["c.out"]


@pytest.mark.parametrize(
    ("min_bits", "expected"), [(1, WIDTHS), (2, WIDTHS), (3, (3, 4, 6, 8)), (5, (6, 8)), (8, (8,))]
)
def test_widths_below_the_least_are_not_searched(min_bits: int, expected: tuple[int, ...]) -> None:
    assert widths_of(space(min_bits=min_bits))["b.w"] == expected


def test_widths_are_ascending_and_at_most_8() -> None:
    made = Space.of(GRAPH, Precision((2, 4, 8, 16), (8, 32)), default_pins=False)
    assert widths_of(made)["b.w"] == (2, 4, 8)
    assert widths_of(made)["a.out"] == (8,)


def test_a_target_without_wide_enough_widths_is_refused() -> None:
    with pytest.raises(PolicyError, match="the target offers no weight width of at least 5 bits"):
        Space.of(GRAPH, Precision((2, 4), WIDTHS), min_bits=5, default_pins=False)


def test_pins_take_names_and_patterns_and_win_over_the_defaults() -> None:
    made = space(pins={"b": Bits(4, 6), "[ad]": Bits(2, 3)})
    assert widths_of(made) == {
        "a.w": (2,), "x": (3,), "b.w": (4,), "a.out": (6,), "d.w": (2,), "s": (3,), "c.out": (8,)
    }  # fmt: skip
    assert {c.reason for c in made.choices if c.operand.tensor in ("a.w", "x")} == {"pinned by '[ad]'"}


def test_a_later_pin_wins() -> None:
    assert widths_of(space(pins={"*": Bits(4, 4), "a": Bits(8, 8)}))["a.w"] == (8,)
    assert widths_of(space(pins={"a": Bits(8, 8), "*": Bits(4, 4)}))["a.w"] == (4,)


@pytest.mark.parametrize(
    ("pattern", "bits", "message"),
    [
        ("bb", Bits(8, 8), r"pin 'bb' matches no layer.*; 'haqc cost' lists the layers' names"),
        ("B", Bits(8, 8), "pin 'B' matches no layer"),  # names are case-sensitive
        ("f", Bits(8, 8), "pin 'f' matches no layer"),  # it stays in float
        ("b", Bits(5, 8), r"pin 'b' asks for 5-bit weights; offered are \(2, 3, 4, 6, 8\)"),
        ("b", Bits(8, 16), r"pin 'b' asks for 16-bit activations; offered are \(2, 3, 4, 6, 8\)"),
        ("*", Bits(0, 8), r"pin '\*' asks for 0-bit weights"),
    ],
)
def test_pins_that_cannot_be_are_refused(pattern: str, bits: Bits, message: str) -> None:
    with pytest.raises(PolicyError, match=message):
        space(pins={pattern: bits})


def test_a_policy_keeps_the_pins_whatever_is_asked() -> None:
    policy = space().policy({"a.w": 2, "b.w": 3, "a.out": 6, "c.out": 2})
    assert policy.widths == {"a.w": 8, "x": 8, "b.w": 3, "a.out": 6, "d.w": 8, "s": 8, "c.out": 8}
    assert [str(bits) for bits in policy.layer_bits] == ["8/8", "3/6", "3/6", "8/8", "8/8"]


@pytest.mark.parametrize(
    ("widths", "message"),
    [
        ({"b.w": 3}, "the policy gives no width for 'a.out'"),
        ({"b.w": 5, "a.out": 8}, r"'b.w' cannot have 5 bits; allowed are \(2, 3, 4, 6, 8\)"),
        ({"b.w": 8, "a.out": 16}, "'a.out' cannot have 16 bits"),
    ],
)
def test_a_policy_outside_the_space_is_refused(widths: dict[str, int], message: str) -> None:
    with pytest.raises(PolicyError, match=message):
        space().policy(widths)


@pytest.mark.parametrize(
    ("asked", "given"),
    [((2, 2), (2, 2)), ((5, 7), (6, 8)), ((1, 1), (2, 2)), ((8, 8), (8, 8)), ((9, 32), (8, 8))],
)
def test_uniform_widths_are_rounded_up_to_what_is_offered(asked: tuple[int, int], given: tuple[int, int]) -> None:
    policy = space().uniform(*asked)
    assert (policy.widths["b.w"], policy.widths["a.out"]) == given
    assert policy.widths["a.w"] == 8


def test_the_ends_of_a_space() -> None:
    made = space(min_bits=3)
    assert made.narrowest == made.uniform(1, 1)
    assert made.widest == made.uniform(8, 8)
    assert made.narrowest.widths["b.w"] == 3


def test_plain_widths_know_no_pins() -> None:
    policy = plain(GRAPH, 4, 6)
    assert policy.widths == {"a.w": 4, "x": 8, "b.w": 4, "a.out": 6, "d.w": 4, "s": 6, "c.out": 8}
    assert set(baseline(GRAPH).widths.values()) == {8}
    assert [str(bits) for bits in policy.layer_bits] == ["4/8", "4/6", "4/6", "8/8", "4/6"]


def test_the_key_is_equal_exactly_for_equal_widths() -> None:
    made = space()
    one, other = made.policy({"b.w": 3, "a.out": 6}), made.policy({"a.out": 6, "b.w": 3})
    assert one.key == other.key
    assert len({policy.key for policy in (one, made.narrowest, made.widest, made.policy({"b.w": 6, "a.out": 3}))}) == 4
    assert len(one.key) == 16


# Files.


def content() -> dict[str, Any]:
    return space().policy({"b.w": 3, "a.out": 6}).to_json()


def test_a_policy_file_is_readable_and_comes_back_the_same() -> None:
    policy = space().policy({"b.w": 3, "a.out": 6})
    written = json.loads(json.dumps(policy.to_json()))
    assert written["schema"] == POLICY_SCHEMA == 2
    assert written["model"] == "net"
    assert written["layers"][1] == {"name": "b", "op": "Gemm", "weight_bits": 3, "activation_bits": 6}
    assert written["layers"][3]["float"] == "its weights are a vector"
    assert written["tensors"] == {"c.out": 8}
    read = load(GRAPH, json.dumps(written), "policy.json")
    assert read == policy
    assert list(read.widths) == [operand.tensor for operand in GRAPH.operands]


def test_layers_in_float_and_other_tensors_may_be_left_out() -> None:
    changed = content()
    del changed["layers"][3]
    changed["tensors"] = {}
    assert load(GRAPH, json.dumps(changed), "p.json").widths["c.out"] == 8


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", "7", '"policy"', "{}", '{"schema": 1}', '{"schema": 1, "layers": {}}', "[" * 100_000,
     '{"schema": 1, "layers": [{}], "tensors": {}}', '{"schema": 1, "layers": [1], "tensors": {}}',
     '{"schema": 1, "layers": [], "tensors": []}', '{"schema": 1, "layers": null, "tensors": {}}'],
    ids=lambda text: text[:20],
)  # fmt: skip
def test_what_is_no_policy_is_refused(text: str) -> None:
    with pytest.raises(PolicyError, match=r"^'p.json' is no policy \(\w+\); a policy.json of 'haqc compile' is$"):
        load(GRAPH, text, "p.json")


@pytest.mark.parametrize("width", ["4", 4.7, 4.0, True, None, [], float("inf"), float("nan")])
@pytest.mark.parametrize("place", ["layer", "tensor"])
def test_a_width_that_is_no_whole_number_is_refused(place: str, width: object) -> None:
    changed = content()
    if place == "layer":
        changed["layers"][1]["weight_bits"] = width
    else:
        changed["tensors"]["c.out"] = width
    with pytest.raises(PolicyError, match="is no policy"):
        load(GRAPH, json.dumps(changed), "p.json")


def test_another_schema_is_refused_before_anything_else_is_read() -> None:
    with pytest.raises(
        PolicyError, match=r"'p.json' has policy schema 3, and this haqc reads schemas 1 to 2; use the version"
    ):
        load(GRAPH, '{"schema": 3, "widths": {}}', "p.json")


def test_a_policy_of_schema_1_is_read() -> None:
    assert load(GRAPH, json.dumps(content() | {"schema": 1}), "p.json") == space().policy({"b.w": 3, "a.out": 6})


def _rename(changed: dict[str, Any]) -> None:
    changed["layers"][1]["name"] = "bb"


def _leave_out(changed: dict[str, Any]) -> None:
    del changed["layers"][1]


def _too_wide(changed: dict[str, Any]) -> None:
    changed["layers"][0]["weight_bits"] = 9


def _too_narrow(changed: dict[str, Any]) -> None:
    changed["layers"][0]["activation_bits"] = 0


def _disagree(changed: dict[str, Any]) -> None:
    changed["layers"][2]["activation_bits"] = 4


def _disagree_on_weights(changed: dict[str, Any]) -> None:
    changed["layers"][2]["weight_bits"] = 4


def _unknown_tensor(changed: dict[str, Any]) -> None:
    changed["tensors"] = {"c.outt": 8}


def _tensor_too_wide(changed: dict[str, Any]) -> None:
    changed["tensors"] = {"c.out": 99}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_rename, r"names layer 'bb', which the model lacks .did you mean 'b'.*; it is of another model: give"),
        (_leave_out, "'p.json' gives no widths for layer 'b'; it is of another model"),
        (_too_wide, "'p.json' gives layer 'a' 9 bits; allowed are 1 to 8"),
        (_too_narrow, "'p.json' gives layer 'a' 0 bits; allowed are 1 to 8"),
        (_disagree, "'p.json' gives tensor 'a.out' both 6 and 4 bits; layers that read one tensor share its width"),
        (_disagree_on_weights, "'p.json' gives tensor 'b.w' both 3 and 4 bits"),
        (
            _unknown_tensor,
            r"'p.json' names tensor 'c.outt', which the model lacks \(did you mean 'c.out'\?\); it is of",
        ),
        (_tensor_too_wide, "'p.json' gives tensor 'c.out' 99 bits; allowed are 1 to 8"),
    ],
)
def test_a_policy_that_does_not_fit_the_model_is_refused(change: Any, message: str) -> None:
    changed = content()
    change(changed)
    with pytest.raises(PolicyError, match=message):
        load(GRAPH, json.dumps(changed), "p.json")
