"""Steps that compute the same in every run are run once."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import onnx_ir as ir
import torch

from haqc.mirror.foreign import Foreign
from haqc.mirror.step import Step
from haqc.mirror.whole import Whole

FOLDED = frozenset(
    (
        *("Abs", "Add", "And", "Cast", "Ceil", "Concat", "Cos", "Div", "Equal", "Exp", "Flatten", "Floor", "Gather"),
        *("Greater", "GreaterOrEqual", "Identity", "Less", "LessOrEqual", "Log", "Max", "Min", "Mod", "Mul", "Neg"),
        *("Not", "Or", "Pow", "Reciprocal", "Reshape", "Round", "Sin", "Slice", "Sqrt", "Squeeze", "Sub", "Transpose"),
        *("Trilu", "Unsqueeze", "Where"),
    )
)
"""Operators whose results are no larger than their inputs' sizes multiplied, whatever the values are."""

_LIMIT = 1 << 26
"""All results may be so large together; a file from a stranger must not fill the memory while the mirror is built."""


def fold(
    graph: ir.Graph, steps: tuple[Step, ...], fixed: Mapping[str, torch.Tensor], wholes: Mapping[str, Whole]
) -> tuple[tuple[Step, ...], dict[str, torch.Tensor]]:
    """Runs what depends on nothing but stored tensors that do not train.

    Args:
        graph: the graph of the steps.
        steps: the steps, in order.
        fixed: the stored tensors that do not train, by key.
        wholes: values that travel as Python integers; steps that give one cost nothing and stay.

    Returns:
        The steps that are left, and the results of the others by key.
    """
    safe = {str(value.name) for node in graph if node.op_type in FOLDED for value in node.outputs if not node.domain}
    known, made, left = dict(fixed), dict[str, torch.Tensor](), list[Step]()
    kept_size = 0
    for step in steps:
        inputs, outputs = [key for key in step.inputs if key], [key for key in step.outputs if key]
        is_fixed = bool(inputs) and all(key in known for key in inputs)
        is_fixed = is_fixed and all(key in safe and key not in wholes for key in outputs)
        is_fixed = is_fixed and not isinstance(step.function, Foreign)
        if not is_fixed or kept_size + math.prod(known[key].numel() for key in inputs) > _LIMIT:
            left.append(step)
            continue
        with torch.no_grad():
            results = {key: value for key, value in zip(step.outputs, step.run(known), strict=False) if key}
        kept_size += sum(value.numel() for value in results.values())
        known.update(results)
        made.update(results)
    kept = tuple(replace(step, dead=tuple(key for key in step.dead if key not in made)) for step in left)
    needed = {key for step in left for key in step.inputs} | {str(value.name) for value in graph.outputs}
    return kept, {key: value.clone() for key, value in made.items() if key in needed}
