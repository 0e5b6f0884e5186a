"""Puts the Clips back that an emitted file's quantisers took over."""

from __future__ import annotations

import json
import math

import numpy as np
import onnx_ir as ir

from haqc.errors import ModelError
from haqc.onnxfile import CLIPS_KEY

Bounds = tuple[float | None, float | None]
"""The lowest and the highest value that a Clip leaves; ``None`` for no bound."""


def recorded_clips(model: ir.Model) -> dict[str, Bounds]:
    """Gives the bounds of float Clips that a model's metadata record, by the tensor that they clipped.

    Raises:
        ModelError: the record is not one that haqc wrote.
    """
    text = model.metadata_props.get(CLIPS_KEY)
    try:
        content = json.loads(text or "{}")
        return {name: _bounds(pair) for name, pair in content.items()}
    except (AttributeError, TypeError, ValueError, RecursionError, OverflowError) as error:
        raise ModelError(
            f"the model's '{CLIPS_KEY}' metadata are not bounds of tensors; they were edited after haqc wrote them: "
            "give haqc the float model the file was made from"
        ) from error


def _bounds(pair: list[float | None]) -> Bounds:
    low, high = (None if bound is None else float(bound) for bound in pair)
    if not all(bound is None or math.isfinite(bound) for bound in (low, high)):
        raise ValueError("a bound is not finite")
    return low, high


def clipped(node: ir.Node, value: ir.Value, bounds: Bounds, like: ir.DataType | None = None) -> ir.Value:
    """Gives a value behind a Clip, which stands in front of a node.

    Args:
        node: the node.
        value: the value.
        bounds: the Clip's.
        like: the type of the bounds where the value's own is not known; 32-bit floats if that is not given either.
    """
    assert isinstance(node.graph, ir.Graph)
    form = value.dtype or like or ir.DataType.FLOAT
    constants: list[ir.Node | None] = []
    for index, bound in enumerate(bounds):
        if bound is None:
            constants.append(None)
            continue
        tensor = ir.tensor(np.asarray(bound, form.numpy()))
        constant = ir.node("Constant", [], {"value": tensor})
        end = constant.outputs[0]
        end.name, end.dtype, end.shape, end.const_value = f"{value.name}_bound_{index}", form, ir.Shape([]), tensor
        constants.append(constant)
    clip = ir.node("Clip", [value, *(None if constant is None else constant.outputs[0] for constant in constants)])
    output = clip.outputs[0]
    output.name, output.shape, output.dtype = f"{value.name}_clipped", value.shape, form
    node.graph.insert_before(node, [*(constant for constant in constants if constant is not None), clip])
    return output
