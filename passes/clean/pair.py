"""Removes pairs of quantiser and dequantiser from the activations of a graph."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from haqc.errors import ModelError
from haqc.onnxfile import CLIPS_KEY
from haqc.passes.clean.clips import Bounds, clipped, recorded_clips
from haqc.passes.clean.dequantise import replace_by
from haqc.passes.clean.grid import Grid, is_same
from haqc.passes.clean.sign import is_nonnegative

_CARRIERS = frozenset(
    {"DepthToSpace", "Expand", "Flatten", "Gather", "Identity", "MaxPool", "Reshape", "Slice", "SpaceToDepth",
     "Squeeze", "Transpose", "Unsqueeze"}
)  # fmt: skip
"""Operators that do the same to codes as to the values they stand for."""


def remove_pairs(model: ir.Model, rectify: bool) -> int:
    """Removes every QuantizeLinear with the DequantizeLinears behind it, also where codes are clipped or moved between.

    A quantiser whose lowest code stands for zero also rectifies, and other tools drop the Relu in front of it: there a
    Clip to its range stays in its place, unless what it reads is never negative.

    Args:
        model: the model, which is changed.
        rectify: whether such Clips are wanted; they are not where the writer is known to have kept the Relus.

    Returns:
        how many quantisers there were.

    Raises:
        ModelError: a pair's two grids differ, or something computes with its codes.
    """
    count = 0
    clips = recorded_clips(model)
    for node in list(ir.traversal.RecursiveGraphIterator(model.graph)):
        grid = Grid.of(node, "QuantizeLinear")
        if grid is not None:
            count += _remove_pair(node, grid, rectify, clips.pop(str(grid.data.name), None))
    if clips:
        raise ModelError(
            f"the model's '{CLIPS_KEY}' metadata name a tensor '{next(iter(clips))}' that nothing quantises; another "
            "tool renamed it: give haqc the float model it was made from"
        )
    return count


def _remove_pair(node: ir.Node, quantiser: Grid, rectify: bool, bounds: Bounds | None) -> int:
    ends, carriers = _followers(node)
    if not ends:
        return 0  # its codes are an output of the model
    for end in ends:
        grid = Grid.of(end, "DequantizeLinear")
        if grid is None or not is_same(quantiser, grid) or (carriers and grid.scales != 1):
            raise ModelError(
                f"quantiser '{_name(node)}' and what undoes it, '{_name(end)}', have different scales or zero points, "
                "so the float graph cannot be restored; give haqc the float model it was made from"
            )
    low, high = _code_range(node, quantiser, carriers)
    zero = _zero_point(quantiser)
    rectifies = rectify and low == zero and quantiser.is_constant
    value = quantiser.data
    if bounds is not None:
        value = clipped(node, value, bounds)
    elif rectifies:
        value = rectified(node, value, quantiser.scale, high - zero)
    for user, index in tuple(node.outputs[0].uses()):
        user.replace_input_with(index, value)
    for carrier in carriers:
        carrier.outputs[0].type = value.type
        if carrier.op_type == "Clip":
            replace_by(carrier, carrier.inputs[0])
    for end in ends:
        replace_by(end, end.inputs[0])
    return 1


def _followers(node: ir.Node) -> tuple[list[ir.Node], list[ir.Node]]:
    """Gives the DequantizeLinears that a quantiser's codes reach, and the operators that clip or move them on the way.

    Raises:
        ModelError: another operator reads the codes.
    """
    ends: dict[ir.Node, None] = {}
    carriers: dict[ir.Node, None] = {}
    pending = [node.outputs[0]]
    while pending:
        for user, index in pending.pop().uses():
            if user.op_type == "DequantizeLinear" and index == 0:
                ends[user] = None
            elif index == 0 and len(user.outputs) == 1 and (user.op_type in _CARRIERS or _clips(user)):
                if user not in carriers:
                    carriers[user] = None
                    pending.append(user.outputs[0])
            else:
                raise ModelError(
                    f"node '{_name(user)}' ({user.op_type}) computes with the codes of quantiser '{_name(node)}', so "
                    "the float graph cannot be restored; give haqc the float model it was made from"
                )
    return list(ends), list(carriers)


def _clips(node: ir.Node) -> bool:
    return node.op_type == "Clip" and all(value is None or value.const_value is not None for value in node.inputs[1:])


def _code_range(node: ir.Node, grid: Grid, carriers: Sequence[ir.Node]) -> tuple[int, int]:
    """Gives the lowest and the highest code that leave a quantiser and the clips behind it."""
    dtype = node.outputs[0].dtype or (grid.zero_point.dtype if grid.zero_point is not None else None)
    dtype = dtype or ir.DataType.UINT8
    if not dtype.is_integer():
        return -1, 1
    low, high = int(dtype.min), int(dtype.max)
    for clip in (carrier for carrier in carriers if carrier.op_type == "Clip"):
        bounds = [None if value is None or value.const_value is None else int(value.const_value.numpy().reshape(()))
                  for value in (*clip.inputs[1:], None, None)[:2]]  # fmt: skip
        low = low if bounds[0] is None else max(low, bounds[0])
        high = high if bounds[1] is None else min(high, bounds[1])
    return low, high


def _zero_point(grid: Grid) -> int:
    if grid.zero_point is None or grid.zero_point.const_value is None:
        return 0
    return int(grid.zero_point.const_value.numpy().astype(np.int64).max(initial=0))


def rectified(node: ir.Node, value: ir.Value, scale: ir.Value, steps: int) -> ir.Value:
    """Gives a value clipped from zero to a number of steps, in front of a node; itself if it is never negative."""
    if value.const_value is not None or value.is_graph_input() or is_nonnegative(value):
        return value
    high = None
    if scale.const_value is not None and scale.const_value.size == 1:
        high = float((steps * scale.const_value.numpy().astype(np.float32)).reshape(()))
    return clipped(node, value, (0.0, high), scale.dtype)


def _name(node: ir.Node) -> str:
    return str(node.name or (node.outputs[0].name if node.outputs else ""))
