"""The tensors that carry a quantiser."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from haqc.graph import FULL_BITS, RECURRENT, Layer, Operand, element_count
from haqc.passes.parse.groups import grouped
from haqc.passes.parse.joins import joined
from haqc.passes.parse.reading import known_shape, name_of, shape_of, unique
from haqc.passes.parse.setting import Setting
from haqc.passes.parse.steps import Step


def operands_of(graph: ir.Graph, steps: Sequence[Step], setting: Setting) -> tuple[Operand, ...]:
    """Gives every tensor that is quantised: what layers read, in their order, then what only joins and pooling read.

    Raises:
        ModelError: the shape of one that a layer reads is not known.
    """
    values = {name_of(v): v for v in (*graph.inputs, *(v for node in graph for v in node.outputs))}
    initializers = graph.initializers
    readers: dict[str, list[Layer]] = {}
    for layer in (layer for step in steps for layer in step.layers if not layer.float_reason):
        for tensor in (layer.weight, layer.activation) if not layer.data_reason else (layer.weight,):
            readers.setdefault(tensor, []).append(layer)
    operands = {}
    for tensor, layers in readers.items():
        is_weight = tensor in initializers
        value = initializers[tensor] if is_weight else values[tensor]
        reason = _fixed_reason(tensor, layers)
        operands[tensor] = Operand(
            tensor,
            "weight" if is_weight else "activation",
            unique(layer.name for layer in layers),
            element_count(shape_of(value)) if is_weight else count_of(value, setting.batch),
            signed=is_weight or value not in setting.flow.nonnegative,
            fixed_bits=FULL_BITS if reason else None,
            reason=reason,
        )
    for value, op in joined(steps, setting.flow):
        if name_of(value) not in operands:
            operands[name_of(value)] = Operand(
                name_of(value),
                "activation",
                (),
                count_of(value, setting.batch),
                signed=value not in setting.flow.nonnegative,
                fixed_bits=FULL_BITS,
                reason=f"read only by {op}, which runs at {FULL_BITS} bits",
            )
    return grouped(operands, steps, setting.flow)


def count_of(value: ir.Value, batch: int) -> int:
    """Gives the elements of an activation for one inference; 0 where it is empty or its shape is not known."""
    shape = known_shape(value)
    if shape is None or 0 in shape:
        return 0
    return max(1, element_count(shape) // batch)


def _fixed_reason(tensor: str, layers: Sequence[Layer]) -> str:
    """Gives the reason why an operand has 8 bits whatever is searched, or an empty string."""
    for layer in layers:
        if layer.op in RECURRENT:
            what = "the weights" if tensor == layer.weight else "the data"
            return f"{what} of {layer.op} '{layer.nodes[0]}' have {FULL_BITS} bits"
    return ""
