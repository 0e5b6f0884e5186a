"""Legal policies: what a target's allowed pairs make of what is asked for."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haqc.errors import PolicyError, TargetError
from haqc.policy import Bits, Policy, Space
from haqc.precision import Precision
from tests.passes.search_toy import chain

ALL = (2, 3, 4, 5, 6, 7, 8)
FEW = frozenset({(8, 8), (4, 8), (4, 4), (2, 2)})
PAIRED = Precision((2, 4, 8), (2, 4, 8), FEW)
GRAPH = chain(5)
SPACE = Space.of(GRAPH, PAIRED)
TENSORS = [choice.operand.tensor for choice in SPACE.free]


def widths_of(policy: Policy) -> dict[str, int]:
    return {tensor: policy.widths[tensor] for tensor in TENSORS}


def every_legal() -> list[Policy]:
    requests = itertools.product(*(choice.widths for choice in SPACE.free))
    asked = (dict(zip(TENSORS, widths, strict=True)) for widths in requests)
    return [SPACE.policy(widths) for widths in asked if SPACE.allows(widths)]


def test_choices_are_the_widths_of_allowed_pairs() -> None:
    space = Space.of(GRAPH, Precision((2, 3, 4, 8), (2, 4, 8), FEW), default_pins=False)
    assert {choice.widths for choice in space.choices} == {(2, 4, 8)}
    assert not space.is_product
    free = Space.of(GRAPH, Precision(ALL, ALL))
    assert free.is_product and {choice.widths for choice in free.free} == {ALL}


def test_a_pin_leaves_its_neighbours_what_pairs_with_it() -> None:
    """The first layer is pinned at 8/8; a weight pinned at 2 leaves its data 2 bits, which leaves the layer 2/2."""
    space = Space.of(GRAPH, PAIRED, pins={"l2": Bits(2, 2)})
    widths = {choice.operand.tensor: choice.widths for choice in space.choices}
    assert widths["w2"] == widths["t2"] == (2,)
    assert widths["w0"] == widths["t0"] == (8,)
    assert widths["w3"] == (2, 4, 8)
    odd = Precision((2, 8), (2, 8), frozenset({(8, 8), (2, 8)}))
    space = Space.of(GRAPH, odd)
    assert {choice.widths for choice in space.choices if choice.operand.kind == "activation"} == {(8,)}
    reasons = {choice.operand.tensor: choice.reason for choice in space.choices}
    assert reasons["t0"] == "reads the network's input"
    assert reasons["t2"] == ""  # activations of 2 bits are in no allowed pair, so nothing was taken from it


def test_pins_that_make_no_pair_are_refused() -> None:
    with pytest.raises(PolicyError, match=r"layer 'l2' .* make no pair that the target offers .*2/2, 4/4, 4/8, 8/8"):
        Space.of(GRAPH, PAIRED, pins={"l2": Bits(8, 2)})


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.lists(st.sampled_from((2, 4, 8)), min_size=len(TENSORS), max_size=len(TENSORS)))
def test_any_request_is_raised_to_a_legal_policy(request: list[int]) -> None:
    asked = dict(zip(TENSORS, request, strict=True))
    policy = SPACE.policy(asked)
    assert all(PAIRED.allows(bits.weight, bits.activation) for bits in policy.layer_bits)
    assert all(policy.widths[tensor] >= bits for tensor, bits in asked.items())
    assert SPACE.policy(widths_of(policy)).key == policy.key
    assert SPACE.allows(widths_of(policy))
    assert SPACE.allows(asked) == (widths_of(policy) == asked)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(st.sampled_from((2, 4, 8)), min_size=len(TENSORS), max_size=len(TENSORS)), st.sampled_from(TENSORS))
def test_narrowing_takes_along_what_it_must(request: list[int], tensor: str) -> None:
    before = SPACE.policy(dict(zip(TENSORS, request, strict=True)))
    for width in (2, 4):
        after = SPACE.lowered(before, tensor, min(width, before.widths[tensor]))
        if after is not None:
            assert SPACE.allows(widths_of(after))
            assert after.widths[tensor] <= width
            assert all(after.widths[name] <= bits for name, bits in before.widths.items())


def test_lowering_4_4_to_2_takes_both_operands_and_stops_at_pins() -> None:
    policy = SPACE.policy(dict.fromkeys(TENSORS, 4))
    lowered = SPACE.lowered(policy, "w2", 2)
    assert lowered is not None
    assert (lowered.widths["w2"], lowered.widths["t2"]) == (2, 2)
    assert {lowered.widths[tensor] for tensor in TENSORS if tensor not in ("w2", "t2")} == {4}
    assert SPACE.lowered(policy, "t0", 4) is None  # l0 is pinned at 8/8


def test_the_narrowest_is_below_every_legal_policy() -> None:
    narrowest = SPACE.narrowest
    legal = every_legal()
    assert len(legal) > 10
    for policy in legal:
        assert all(narrowest.widths[tensor] <= policy.widths[tensor] for tensor in TENSORS)


def test_precision_checks_itself() -> None:
    with pytest.raises(TargetError, match=r"pair 3/8 .* is outside the widths"):
        Precision((2, 4, 8), (8,), frozenset({(8, 8), (3, 8)}))
    with pytest.raises(TargetError, match="ascend"):
        Precision((4, 2), (8,))
    with pytest.raises(TargetError, match="hold no 8 bits"):
        Precision((4, 8), (8,), weight_container=(4,))
    with pytest.raises(TargetError, match="no pair"):
        Precision((8,), (8,), frozenset())


def test_containers_and_written_widths() -> None:
    exact = Precision(ALL, ALL)
    padded = Precision(ALL, (4, 8), weight_container="next-power-of-two", activation_container=(8,), has_float=True)
    assert [exact.weight_container_bits(bits) for bits in (2, 3, 8)] == [2, 3, 8]
    assert [padded.weight_container_bits(bits) for bits in (2, 3, 5, 8)] == [2, 4, 8, 8]
    assert [padded.activation_container_bits(bits) for bits in (4, 8, 32)] == [8, 8, 32]
    assert padded.written_widths == (4, 8, 32) and exact.written_widths == ALL
    assert Precision(ALL, ALL, output_bits=32).written_widths == (32,)
    assert (exact.unquantised_bits, padded.unquantised_bits) == (8, 32)
