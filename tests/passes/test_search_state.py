"""What the agent sees and does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from haqc.graph import Operand
from haqc.passes.search.state import STATE_SIZE, action_of, layer_features, plan_steps, width_of
from haqc.policy import Choice, Space
from haqc.precision import Precision
from tests.passes.search_toy import chain

WIDTHS = st.lists(st.integers(1, 8), min_size=1, max_size=8, unique=True).map(lambda bits: tuple(sorted(bits)))


@given(WIDTHS, st.floats(0, 1))
def test_actions_give_allowed_widths(widths: tuple[int, ...], action: float) -> None:
    assert width_of(action, widths) in widths


@given(WIDTHS)
def test_every_width_comes_back_from_its_action(widths: tuple[int, ...]) -> None:
    assert tuple(width_of(action_of(width, widths), widths) for width in widths) == widths


@given(st.floats(0, 1))
def test_consecutive_widths_follow_the_equation_of_haq(action: float) -> None:
    expected = min(8, max(2, round(2 - 0.5 + action * (8 - 2 + 1))))
    if abs((action * 7) % 1) > 1e-9:  # halves are rounded to even, on either side of the shift by two
        assert width_of(action, (2, 3, 4, 5, 6, 7, 8)) == expected


def test_steps_walk_layers_in_order_weights_first_without_pins() -> None:
    space = Space.of(chain(4), Precision((2, 4, 8), (2, 4, 8)))
    assert [step.choice.operand.tensor for step in plan_steps(space)] == ["w1", "t1", "w2", "t2"]


def test_a_shared_tensor_is_decided_once_at_its_first_layer() -> None:
    graph = chain(4)
    space = Space.of(graph, Precision((2, 4, 8), (2, 4, 8)), default_pins=False)
    shared = tuple(replace(layer, weight="w1") if layer.name == "l2" else layer for layer in graph.layers)
    operands = tuple(operand for operand in graph.operands if operand.tensor != "w2")
    tied = Space(
        replace(graph, layers=shared, operands=operands),
        tuple(choice for choice in space.choices if choice.operand.tensor != "w2"),
        space.precision,
    )
    steps = plan_steps(tied)
    assert [step.choice.operand.tensor for step in steps] == ["w0", "t0", "w1", "t1", "t2", "w3", "t3"]
    assert steps[2].features[0] == pytest.approx(1 / 3)


def test_a_free_operand_that_no_layer_reads_is_still_decided() -> None:
    space = Space.of(chain(3), Precision((2, 8), (2, 8)), default_pins=False)
    alone = Choice(Operand("sum", "activation", (), 10), (2, 8))
    wider = Space(space.graph, (*space.choices, alone), space.precision)
    assert plan_steps(wider)[-1].choice.operand.tensor == "sum"


def test_states_are_the_features_flag_and_previous_action_in_the_unit_interval() -> None:
    steps = plan_steps(Space.of(chain(6), Precision((2, 4, 8), (2, 4, 8))))
    states = np.stack([step.state(0.25) for step in steps])
    assert states.shape == (8, STATE_SIZE)
    assert states.dtype == np.float32
    assert states.min() >= 0
    assert states.max() <= 1
    assert set(states[:, -1]) == {np.float32(0.25)}
    assert states[:, -2].tolist() == [0, 1] * 4  # weights, data: of the step itself, not of the one before


def test_features_span_the_unit_interval_and_equal_ones_are_zero() -> None:
    features = layer_features(chain(6).layers)
    assert features[:, 0].tolist() == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1])
    assert features[:, 3].tolist() == [0] * 6  # all kernels are 3
    assert features[:, 7].tolist() == [0, 1, 0, 0, 1, 0]
    assert features[:, 1].max() == 1


def test_a_network_of_one_layer_has_features() -> None:
    assert layer_features(chain(1).layers).tolist() == [[0] * 8]
