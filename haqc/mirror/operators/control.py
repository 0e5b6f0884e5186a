"""If, Loop and Scan: Python's own control flow over the bodies, so gradients flow through whatever ran."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from haqc.mirror.node import Function, Node, operator
from haqc.mirror.step import Body


@operator("If")
def if_(node: Node) -> Function:
    """Builds a choice between two bodies."""
    # What the bodies capture comes in the order in which the file lists them, and that may be either.
    first, second = (name for name in node.attributes if name in ("then_branch", "else_branch"))
    bodies: dict[str, Body] = {name: node.attribute(name) for name in (first, second)}
    border = len(bodies[first].captured)

    def run(condition: torch.Tensor, *captured: Any) -> tuple[Any, ...]:
        name = "then_branch" if bool(condition) else "else_branch"
        return bodies[name](captured[:border] if name == first else captured[border:], ())

    return run


@operator("Loop")
def loop(node: Node) -> Function:
    """Builds a loop that ends when its count is reached or its condition fails, whichever comes first.

    The condition that the body computes counts even where none was given to begin with, as in onnxruntime.
    """
    body: Body = node.attribute("body")
    given = len(node.present)
    carried_count = len(body.inputs) - 2

    def run(*inputs: Any) -> tuple[Any, ...]:
        own, captured = (*inputs[:given], None, None), inputs[given:]
        limit = None if own[0] is None else int(own[0])
        goes_on = own[1] is None or bool(own[1])
        carried = own[2 : 2 + carried_count]
        rows: list[tuple[Any, ...]] = []
        index, device = 0, _device(inputs)
        while goes_on and (limit is None or index < limit):
            counter = torch.full((1,) * (body.ranks[0] or 0), index, dtype=torch.int64, device=device)
            condition = torch.full((1,) * (body.ranks[1] or 0), True, device=device)
            keeps, *results = body(captured, (counter, condition, *carried))
            carried = tuple(results[:carried_count])
            rows.append(tuple(results[carried_count:]))
            goes_on = bool(keeps)
            index += 1
        axes = [0] * (len(body.outputs) - 1 - carried_count)
        return *carried, *_stacked(rows, body, 1 + carried_count, axes, device)

    return run


@operator("Scan")
def scan(node: Node) -> Function:
    """Builds a pass over the slices of tensors, along any axes, from either end."""
    body: Body = node.attribute("body")
    scanned: int = node.attribute("num_scan_inputs")
    given = len(node.present)
    states = given - scanned
    produced = len(body.outputs) - states
    axes = node.attribute("scan_input_axes") or [0] * scanned
    turned = node.attribute("scan_input_directions") or [0] * scanned
    axes_out = node.attribute("scan_output_axes") or [0] * produced
    turned_out = node.attribute("scan_output_directions") or [0] * produced

    def run(*inputs: Any) -> tuple[Any, ...]:
        carried, sources, captured = inputs[:states], inputs[states:given], inputs[given:]
        slices = [
            source.unbind(axis)[:: -1 if is_turned else 1]
            for source, axis, is_turned in zip(sources, axes, turned, strict=True)
        ]
        rows = []
        for pieces in zip(*slices, strict=True):
            results = body(captured, (*carried, *pieces))
            carried = results[:states]
            rows.append(results[states:])
        stacked = _stacked(rows, body, states, axes_out, _device(inputs))
        return *carried, *(
            tensor.flip(axis) if is_turned else tensor
            for tensor, axis, is_turned in zip(stacked, axes_out, turned_out, strict=True)
        )

    return run


def _device(inputs: Sequence[Any]) -> torch.device | None:
    """Gives the device of the first tensor; ``None``, the default one, where there is none."""
    return next((value.device for value in inputs if isinstance(value, torch.Tensor)), None)


def _stacked(
    rows: Sequence[Sequence[Any]], body: Body, first: int, axes: Sequence[int], device: torch.device | None
) -> list[torch.Tensor]:
    """Stacks what every iteration gave, along a new axis for each output; after no iteration there is nothing of it."""
    if rows:
        return [torch.stack(column, axis) for column, axis in zip(zip(*rows, strict=True), axes, strict=True)]
    empty = []
    for shape, kind, axis in zip(body.shapes[first:], body.types[first:], axes, strict=True):
        extents = list(shape or ())
        extents.insert(axis if axis >= 0 else len(extents) + 1 + axis, 0)
        empty.append(torch.empty(extents, dtype=kind, device=device))
    return empty
