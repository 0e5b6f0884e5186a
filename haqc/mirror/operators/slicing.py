"""Operators that cut tensors and join them: Slice, Split, Concat, Tile, Trilu."""

from __future__ import annotations

import torch
import torch.fx

from haqc.mirror.node import Function, Node, operator
from haqc.mirror.operators.axis import at_axis
from haqc.mirror.operators.constant import Integers, integers, listed, number


@operator("Concat")
def concat(node: Node) -> Function:
    """Builds a concatenation along one axis."""
    axis = node.attribute("axis")
    return lambda *inputs: torch.cat(inputs, axis)


@operator("Split")
def split(node: Node) -> Function:
    """Builds a cut along one axis, into given lengths or into equal parts of which the last may be shorter."""
    axis, count, known = node.attribute("axis", 0), node.output_count, integers(node, 1)
    if node.has(1) and known is None:
        return lambda x, lengths: split_at(x, lengths, axis)
    lengths = None if known is None else list(known)

    def run(x: torch.Tensor, *others: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, ...]:
        parts = torch.split(x, -(-x.shape[axis] // count) if lengths is None else lengths, axis)
        return tuple(parts[index] for index in range(count)) if count > 1 else parts[0]

    return run


def split_at(x: torch.Tensor, lengths: torch.Tensor, axis: int) -> torch.Tensor | tuple[torch.Tensor, ...]:
    """Cuts into lengths that are computed at run time."""
    parts = torch.split(x, listed(lengths), axis)
    return tuple(parts) if len(parts) > 1 else parts[0]


@operator("Slice")
def slice_(node: Node) -> Function:
    """Builds a cut of any axes, with steps in either direction; bounds beyond an axis are drawn in."""
    starts, ends = integers(node, 1), integers(node, 2)
    axes, steps = integers(node, 3), integers(node, 4)
    is_known = all(node.constant(index) is not None for index in range(1, 5) if node.has(index))
    if is_known and starts is not None and ends is not None:
        known = _cuts(starts, ends, axes, steps)
        if all(cut.step > 0 for _, cut in known):
            return lambda x, *inputs: _cut(x, known)

    def run(
        x: torch.Tensor,
        start: torch.Tensor,
        end: torch.Tensor,
        axis: torch.Tensor | None = None,
        step: torch.Tensor | None = None,
    ) -> torch.Tensor:
        return cut_at(
            x,
            start if starts is None else starts,
            end if ends is None else ends,
            axis if axes is None else axes,
            step if steps is None else steps,
        )

    return run


def _cuts(starts: Integers, ends: Integers, axes: Integers | None, steps: Integers | None) -> list[tuple[int, slice]]:
    """Pairs each axis with its slice."""
    first, last = listed(starts), listed(ends)
    where = range(len(first)) if axes is None else listed(axes)
    by = [1] * len(first) if steps is None else listed(steps)
    return [(axis, slice(*bounds)) for axis, *bounds in zip(where, first, last, by, strict=True)]


def _cut(x: torch.Tensor, cuts: list[tuple[int, slice]]) -> torch.Tensor:
    """Cuts with positive steps, one axis after the other."""
    for axis, piece in cuts:
        x = x[at_axis(axis, piece)]
    return x


def cut_at(
    x: torch.Tensor, starts: Integers, ends: Integers, axes: Integers | None, steps: Integers | None
) -> torch.Tensor:
    """Cuts with steps of either sign, or with bounds that are computed at run time."""
    for axis, piece in _cuts(starts, ends, axes, steps):
        if piece.step > 0:
            x = x[at_axis(axis, piece)]  # torch draws bounds in as Python does
            continue
        positions = _positions(piece, x.shape[axis])
        if not positions:
            x = x[at_axis(axis, slice(0, 0))]
        else:
            # torch has no negative steps: take the same positions upwards, then turn them round.
            x = x[at_axis(axis, slice(positions[-1], positions[0] + 1, -positions.step))].flip(axis)
    return x


def _positions(piece: slice, length: int) -> range:
    """Gives the positions of a slice; going down from before the start, ONNX still takes the first, unlike Python."""
    start = max(piece.start, -length) if piece.step < 0 else piece.start
    return range(*slice(start, piece.stop, piece.step).indices(length))


@operator("Tile")
def tile(node: Node) -> Function:
    """Builds repetitions along every axis."""
    counts = integers(node, 1)
    return lambda x, wanted: tile_by(x, wanted) if counts is None else x.repeat(counts)


def tile_by(x: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
    """Repeats by counts that are computed at run time."""
    return x.repeat(listed(counts))


@operator("Trilu")
def trilu(node: Node) -> Function:
    """Builds the upper or lower triangle of the last two axes."""
    upper, diagonal = bool(node.attribute("upper", 1)), number(node, 1)
    if node.has(1) and diagonal is None:
        return lambda x, wanted: triangle(x, wanted, upper)
    part, known = torch.triu if upper else torch.tril, int(diagonal or 0)
    return lambda x, *others: part(x, known)


def triangle(x: torch.Tensor, diagonal: torch.Tensor, upper: bool) -> torch.Tensor:
    """Keeps a triangle from a diagonal on that is computed at run time."""
    (known,) = listed(diagonal)
    return torch.triu(x, known) if upper else torch.tril(x, known)


torch.fx.wrap("split_at")
torch.fx.wrap("cut_at")
torch.fx.wrap("tile_by")
torch.fx.wrap("triangle")
