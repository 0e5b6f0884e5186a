"""Peak activation memory, counted by hand on a residual block, and against a plain loop."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from haqc.costmodel.memory import Schedule
from haqc.graph import Graph, Operation


def graph_of(
    operations: Sequence[tuple[str, tuple[str, ...], tuple[str, ...]]], values: dict[str, int], outputs: tuple[str, ...]
) -> Graph:
    steps = tuple(Operation(name, "Any", reads, writes) for name, reads, writes in operations)
    return Graph("g", (), (), steps, values, inputs=("x",), outputs=outputs)


def residual() -> Graph:
    """x -> a -> b, then b + a -> c, then c -> y."""
    steps = [
        ("first", ("x",), ("a",)),
        ("second", ("a",), ("b",)),
        ("add", ("a", "b"), ("c",)),
        ("last", ("c",), ("y",)),
    ]
    return graph_of(steps, {"x": 300, "a": 800, "b": 400, "c": 800, "y": 10}, ("y",))


def test_a_residual_counted_by_hand() -> None:
    schedule = Schedule.of(residual(), batch=1)
    # Live at 8 bits: x a = 1100; a b = 1200; a b c = 2000; c y = 810.
    assert schedule.peak_bytes({}) == 2000
    # a and c at 4 bits, b at 2: x a = 700; a b = 500; a b c = 900; c y = 410.
    assert schedule.peak_bytes({"a": 4, "b": 2, "c": 4}) == 900
    # Everything inside at 1 bit: x a = 400; the input dominates.
    assert schedule.peak_bytes({"a": 1, "b": 1, "c": 1}) == 400


def test_widths_of_weights_do_not_matter_and_batches_multiply() -> None:
    assert Schedule.of(residual(), batch=16).peak_bytes({"first.w": 2}) == 16 * 2000


def test_inputs_live_until_their_last_read_and_outputs_to_the_end() -> None:
    steps = [("early", ("x",), ("y",)), ("big", ("x",), ("a",)), ("late", ("a",), ("z",))]
    values = {"x": 100, "y": 7, "a": 1000, "z": 50}
    assert Schedule.of(graph_of(steps, values, ("y", "z")), 1).peak_bytes({}) == 100 + 7 + 1000
    assert Schedule.of(graph_of(steps, values, ("z",)), 1).peak_bytes({}) == 100 + 1000


def test_each_tensor_is_rounded_up_to_bytes() -> None:
    steps = [("only", ("x",), ("y",))]
    schedule = Schedule.of(graph_of(steps, {"x": 3, "y": 3}, ("y",)), 1)
    assert schedule.peak_bytes({"x": 3, "y": 1}) == 2 + 1


def test_a_graph_without_operations_holds_its_input() -> None:
    assert Schedule.of(graph_of([], {"x": 5}, ("x",)), 1).peak_bytes({}) == 5


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_agrees_with_a_plain_loop_over_operations(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 12))
    names = ["x", *(f"t{place}" for place in range(count))]
    steps = []
    for place in range(count):
        reads = data.draw(st.lists(st.sampled_from(names[: place + 1]), min_size=1, max_size=3, unique=True))
        steps.append((f"op{place}", tuple(reads), (names[place + 1],)))
    values = {name: data.draw(st.integers(1, 999)) for name in names}
    graph = graph_of(steps, values, (names[-1], data.draw(st.sampled_from(names[1:]))))
    policies = data.draw(st.integers(1, 4))
    bits = np.array([[data.draw(st.integers(1, 8)) for _ in range(policies)] for _ in names], np.uint8)

    schedule = Schedule.of(graph, batch=2)
    assert schedule.tensors == tuple(names)
    peaks = schedule.peak_bytes_many(bits)
    for policy in range(policies):
        widths = dict(zip(names, bits[:, policy].tolist(), strict=True))
        assert peaks[policy] == schedule.peak_bytes(widths) == plain_peak(graph, widths, 2)


def plain_peak(graph: Graph, widths: dict[str, int], batch: int) -> int:
    """Asks at every operation of every tensor whether it is there and still needed."""
    peak = 0
    for now, operation in enumerate(graph.operations):
        live = 0
        for tensor, values in graph.tensor_values.items():
            there = tensor in graph.inputs or any(tensor in past.writes for past in graph.operations[: now + 1])
            needed = (
                tensor in graph.outputs
                or tensor in operation.writes
                or any(tensor in later.reads for later in graph.operations[now:])
                or (now == 0 and tensor in graph.inputs)
            )
            live += -(-values * batch * widths[tensor] // 8) if there and needed else 0
        peak = max(peak, live)
    return peak
