"""What the user asks of layers' widths: narrowest widths, equal widths; and that no allocator ever leaves them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haqc.budget import METRICS, Budget, Limit
from haqc.ddpg import AgentOptions
from haqc.errors import PolicyError
from haqc.graph import Graph
from haqc.passes.search import SearchOptions, search
from haqc.passes.search.feasibility import cheapest
from haqc.policy import Bits, Space
from haqc.precision import Precision
from haqc.request import ALLOCATORS
from tests.passes.search_toy import FLOAT_ACCURACY, Toy, chain, price, terms

TINY = AgentOptions(hidden=(16, 16), warm_up=0.0, updates_per_step=0.25)

ALL = (2, 3, 4, 5, 6, 7, 8)
FEW = frozenset({(8, 8), (4, 8), (4, 4), (2, 2)})
FREE = Precision(ALL, ALL)
PAIRED = Precision((2, 4, 8), (2, 4, 8), FEW)
GRAPH = chain(6)


def space(graph: Graph = GRAPH, precision: Precision = FREE, **options: Any) -> Space:
    return Space.of(graph, precision, **options)


def widths_of(made: Space) -> dict[str, tuple[int, ...]]:
    return {choice.operand.tensor: choice.widths for choice in made.choices}


def reasons_of(made: Space) -> dict[str, str]:
    return {choice.operand.tensor: choice.reason for choice in made.choices}


def joined(*tensors: str) -> Graph:
    """The chain, where an Add makes some tensors share a width."""
    return replace(GRAPH, operands=tuple(replace(o, group="t") if o.tensor in tensors else o for o in GRAPH.operands))


def test_narrowest_widths_hold_for_every_layer_a_pattern_matches() -> None:
    made = space(at_least={"l[23]": Bits(4, 6)})
    assert {tensor: widths_of(made)[tensor] for tensor in ("w2", "w3")} == dict.fromkeys(("w2", "w3"), (4, 5, 6, 7, 8))
    assert widths_of(made)["t2"] == (6, 7, 8)
    assert widths_of(made)["w1"] == ALL
    assert reasons_of(made)["t3"] == "at least 6 bits by 'l[23]'"
    assert made.narrowest.bits(GRAPH.layer["l2"]) == Bits(4, 6)


def test_of_several_narrowest_widths_the_widest_counts_and_a_group_has_one() -> None:
    made = space(joined("t2", "t4"), at_least={"l2": Bits(2, 5), "l*": Bits(3, 3), "l4": Bits(2, 4)})
    assert widths_of(made)["t2"] == widths_of(made)["t4"] == (5, 6, 7, 8)
    assert widths_of(made)["w2"] == (3, 4, 5, 6, 7, 8)


def test_narrowest_widths_meet_what_the_target_allows() -> None:
    """At least 4/2 leaves 4/4, 4/8 and 8/8, so the data have 4 bits or more as well."""
    made = space(precision=PAIRED, at_least={"l2": Bits(4, 2)})
    assert (widths_of(made)["w2"], widths_of(made)["t2"]) == ((4, 8), (4, 8))
    with pytest.raises(PolicyError, match=r"asks for weights of 5 bits or more; offered are \(2, 4\)"):
        space(precision=Precision((2, 4), ALL), at_least={"l2": Bits(5, 2)}, default_pins=False)


def test_a_narrower_pin_is_refused_and_a_wider_one_is_not() -> None:
    with pytest.raises(PolicyError, match=r"--at-least 'l\*' asks for 4 bits or more in 'l3', but 't3' has 3 \(pinned"):
        space(at_least={"l*": Bits(2, 4)}, pins={"l3": Bits(8, 3)})
    assert widths_of(space(at_least={"l*": Bits(2, 4)}, pins={"l3": Bits(8, 5)}))["t3"] == (5,)


@pytest.mark.parametrize("option", [{"at_least": {"l9": Bits(4, 4)}}, {"same_bits": ("l9",)}])
def test_a_pattern_that_matches_nothing_is_refused_with_a_near_name(option: dict[str, Any]) -> None:
    with pytest.raises(PolicyError, match=r"'l9' matches no layer \(did you mean 'l\d'\?\); 'haqc cost' lists"):
        space(**option)


def test_layers_that_a_pattern_ties_are_one_decision_for_weights_and_one_for_data() -> None:
    made = space(same_bits=("l[234]",))
    free = [choice.operand.tensor for choice in made.free]
    assert free == ["w1", "t1", "w2", "t2"]
    policy = made.policy({"w1": 8, "t1": 8, "w2": 3, "t2": 5})
    assert {str(policy.bits(GRAPH.layer[name])) for name in ("l2", "l3", "l4")} == {"3/5"}
    assert reasons_of(made)["w3"] == "one width for all that 'l[234]' matches"
    both = space(same_bits=("l[234]",), at_least={"l3": Bits(4, 2)})
    assert widths_of(both)["w2"] == (4, 5, 6, 7, 8)
    assert reasons_of(both)["w2"] == "at least 4 bits by 'l3'; one width for all that 'l[234]' matches"


def test_a_tie_takes_along_what_shares_a_width_already() -> None:
    made = space(joined("t1", "t4"), same_bits=("l[23]", "l[45]"), default_pins=False)
    assert made.graph.sharing("t4") == ("t1", "t4", "t5")
    assert made.graph.sharing("w4") == ("w4", "w5")
    assert made.graph.sharing("t2") == ("t2", "t3")


def test_a_tensor_that_is_data_here_and_weights_there_makes_one_decision() -> None:
    product = replace(GRAPH.layers[3], weight="t2", weight_values=0)
    operands = tuple(operand for operand in GRAPH.operands if operand.tensor != "w3")
    graph = replace(GRAPH, layers=(*GRAPH.layers[:3], product, *GRAPH.layers[4:]), operands=operands)
    made = space(graph, same_bits=("l[23]",))
    assert made.graph.sharing("w2") == ("w2", "t2", "t3")
    widths = {choice.operand.tensor: 8 for choice in made.free} | {"w2": 3}
    assert {str(made.policy(widths).bits(graph.layer[name])) for name in ("l2", "l3")} == {"3/3"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"same_bits": ("l2",)}, r"--same-bits 'l2' matches 'l2' alone, .*; give a pattern that several layers match"),
        ({"same_bits": ("l[12]", "l[23]")}, r"'l\[12\]' and 'l\[23\]' both match layer 'l2', so they would be one"),
        (
            {"same_bits": ("*",)},
            r"'\*' ties 'l0', which is pinned at 8/8 \(reads the network's input\), to layers that",
        ),
        (
            {"same_bits": ("l[23]",), "pins": {"l2": Bits(4, 4), "l3": Bits(5, 4)}},
            r"'w2' and 'w3' are of one group .* pinned by 'l2' at 4 bits and the second pinned by 'l3' at 5; pin them",
        ),
        (
            {"graph": joined("t1", "t4"), "same_bits": ("l[12]", "l[34]")},
            r"'l\[12\]' and 'l\[34\]' match layers that share the width of 't1', so they would be one group",
        ),
        (
            {"same_bits": ("l[23]",), "pins": {"l2": Bits(2, 2)}, "precision": PAIRED, "at_least": {"l3": Bits(4, 4)}},
            r"--at-least 'l3' asks for 4 bits or more in 'l3', but 'w2' has 2 \(pinned by 'l2'\)",
        ),
    ],
)
def test_groups_that_cannot_be_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(PolicyError, match=message):
        space(**options)


def test_a_layer_of_fixed_width_is_tied_to_no_other() -> None:
    def fixed(*names: str) -> Graph:
        operands = (replace(o, fixed_bits=8, reason="LSTM") if o.tensor in names else o for o in GRAPH.operands)
        return replace(GRAPH, operands=tuple(operands))

    with pytest.raises(PolicyError, match=r"ties 'l3', whose width is not searched \(LSTM\), to layers whose is"):
        space(fixed("w3", "t3"), same_bits=("l[23]",))
    assert widths_of(space(fixed("w2", "w3"), same_bits=("l[23]",)))["w3"] == (8,)


def test_layers_that_are_all_pinned_or_pinned_by_the_user_may_be_tied() -> None:
    assert widths_of(space(same_bits=("l[05]",)))["w5"] == (8,)
    pinned = space(same_bits=("*",), pins={"l0": Bits(5, 6), "l5": Bits(5, 6)})
    assert {widths_of(pinned)[f"{kind}3"] for kind in "wt"} == {(5,), (6,)}
    assert widths_of(space(same_bits=("*",), default_pins=False))["w5"] == ALL


def test_layers_in_float_have_no_widths() -> None:
    floating = replace(GRAPH.layers[2], float_reason="kept in float by 'l2'")
    operands = tuple(operand for operand in GRAPH.operands if operand.tensor not in ("w2", "t2"))
    graph = replace(GRAPH, layers=(*GRAPH.layers[:2], floating, *GRAPH.layers[3:]), operands=operands)
    for option in ({"pins": {"l2": Bits(4, 4)}}, {"at_least": {"l2": Bits(4, 4)}}, {"same_bits": ("l2",)}):
        with pytest.raises(
            PolicyError, match=r"'l2' matches no layer that is quantised: 'l2' stays in float \(kept in"
        ):
            space(graph, **option)
    assert space(graph, same_bits=("l[123]",)).graph.sharing("w1") == ("w1", "w3")


@dataclass(frozen=True)
class Case:
    """A network, a chip, and what is asked."""

    space: Space
    pins: dict[str, Bits]
    floors: dict[str, Bits]
    tied: tuple[str, ...]
    budget: Budget
    seed: int

    def holds(self, bits: dict[str, Bits]) -> bool:
        """Whether widths by layer are what was asked for, read off the options and not off the space."""
        return (
            all(bits[name] == pin for name, pin in self.pins.items())
            and all(
                bits[name].weight >= f.weight and bits[name].activation >= f.activation
                for name, f in self.floors.items()
            )
            and all(len({bits[f"l{digit}"] for digit in pattern[2:-1]}) == 1 for pattern in self.tied)
            and all(self.space.precision.allows(pair.weight, pair.activation) for pair in bits.values())
        )


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Chains of 4 to 6 layers whose inner ones may be pinned, bounded or tied, at a budget between the extremes."""
    count, seed = draw(st.integers(4, 6)), draw(st.integers(0, 9))
    precision = draw(st.sampled_from((FREE, PAIRED)))
    inner = list(range(1, count - 1))
    pairs = sorted(precision.allowed_pairs)
    order = draw(st.permutations(inner))
    tied = (f"l[{''.join(map(str, sorted(order[:2])))}]",) if draw(st.booleans()) else ()
    floors = {f"l{i}": Bits(*draw(st.sampled_from(pairs))) for i in inner if draw(st.booleans())}
    pins = {}
    if order[2:] and draw(st.booleans()):
        name = f"l{order[2]}"
        pins = {name: Bits(*draw(st.sampled_from(pairs)))}
        floors.pop(name, None)
    graph = chain(count, seed)
    made = Space.of(graph, precision, pins=pins, at_least=floors, same_bits=tied)
    low, high = price(made.narrowest), price(made.widest)
    metrics = draw(st.lists(st.sampled_from(METRICS), min_size=1, max_size=4, unique=True))
    shares = [draw(st.sampled_from((0.0, 0.2, 0.6))) for _ in metrics]
    limits = (
        Limit(m, low.value(m) + s * (high.value(m) - low.value(m)), m) for m, s in zip(metrics, shares, strict=True)
    )
    return Case(made, pins, floors, tied, Budget(tuple(limits)), seed)


@settings(max_examples=6, deadline=None, derandomize=True)
@given(cases())
def test_no_allocator_ever_leaves_what_was_asked_for(case: Case) -> None:
    draw = np.random.default_rng(case.seed)
    toy = Toy(case.space, {choice.operand.tensor: float(draw.uniform(0.1, 4)) for choice in case.space.choices})
    result = search(
        case.space,
        case.budget,
        price,
        terms(case.space),
        toy.evaluate,
        baseline=price(case.space.widest),
        float_accuracy=FLOAT_ACCURACY,
        sensitivity=toy.sensitivity,
        options=SearchOptions(evaluations=6, allocators=ALLOCATORS, networks=TINY),
        record=lambda trial: None,
        progress=lambda *_: None,
    )
    assert [row.name for row in result.allocators] == list(ALLOCATORS)
    for trial in result.trials:
        policy = trial.policy
        assert case.holds({layer.name: policy.bits(layer) for layer in policy.graph.layers})
        assert case.budget.allows(price(policy))
    smallest = cheapest(case.space, price, case.budget.excess)
    assert case.holds({layer.name: smallest.bits(layer) for layer in smallest.graph.layers})


def test_the_cases_ask_for_something() -> None:
    """The property would hold without constraints if none were ever drawn or none ever bound."""
    free = space(default_pins=True).narrowest
    case = Case(space(), {}, {"l2": Bits(4, 4)}, ("l[23]",), Budget(()), 0)
    assert not case.holds({layer.name: free.bits(layer) for layer in GRAPH.layers})
    uneven = {layer.name: Bits(8, 8) for layer in GRAPH.layers}
    assert case.holds(uneven) and not case.holds({**uneven, "l3": Bits(8, 7)})
    assert not Case(space(), {"l2": Bits(4, 4)}, {}, (), Budget(()), 0).holds(uneven)
