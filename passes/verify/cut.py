"""An emitted model in pieces, so that each can be run on the mirror's own values."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from haqc.content import Content
from haqc.errors import ModelError
from haqc.gap import least_magnitudes

_CARRIERS = ("MaxPool",)
"""Operators that emitted files run on codes."""

GIVEN = "haqc.given."
"""Begins the names of the inputs that take the place of what was cut."""


@dataclass(frozen=True)
class Cut:
    """An emitted model in two forms.

    Attributes:
        codes: name of the code tensor by the activation tensor it stands for, in graph order.
        floats: names of the float tensors at which it is cut as well.
        exposed_model: the intact model with each of these tensors as an output as well.
        cut_model: each of these tensors is an output, and its readers get a given one instead.
        least: the magnitudes to assume of the model's outputs, see :mod:`haqc.gap`.
    """

    codes: dict[str, str]
    floats: tuple[str, ...]
    exposed_model: Content
    cut_model: Content
    least: dict[str, float]

    @classmethod
    def of(cls, model: ir.Model, floats: tuple[str, ...] = ()) -> Cut:
        """Cuts a model at its codes, and at some float tensors, which it must compute.

        Raises:
            ModelError: it is no QCDQ model, or computes no such tensor.
        """
        exposed, cut = model.clone(), model.clone()
        codes = _expose(exposed)
        _expose(cut)
        computed = {str(value.name): value for node in cut.graph for value in node.outputs}
        for name in codes.values():
            _hand_out(cut, computed[name])
        _cut_floats(cut, floats)
        return cls(codes, floats, Content.of(exposed), Content.of(cut), least_magnitudes(model))


def _expose(model: ir.Model) -> dict[str, str]:
    """Makes every code tensor a graph output; gives their names by activation tensor."""
    codes = {}
    for node in model.graph:
        if node.op_type != "DequantizeLinear" or node.inputs[0] is None or _is_stored(node.inputs[0]):
            continue
        value = node.inputs[0]
        producer = value.producer()
        while producer is not None and producer.op_type in _CARRIERS and producer.inputs[0] is not None:
            value = producer.inputs[0]
            producer = value.producer()
        if producer is not None and producer.op_type == "Clip" and producer.inputs[0] is not None:
            producer = producer.inputs[0].producer()
        if producer is None or producer.op_type != "QuantizeLinear" or producer.inputs[0] is None:
            raise ModelError(f"node '{node.name}' dequantises something that no QuantizeLinear wrote; not a QCDQ model")
        codes[str(producer.inputs[0].name)] = str(value.name)
        if value not in model.graph.outputs:
            model.graph.outputs.append(value)
    return codes


def _hand_out(model: ir.Model, value: ir.Value) -> None:
    """Gives the readers of a value a given one in its place."""
    readers = list(value.uses())
    given = ir.Value(name=GIVEN + str(value.name), type=value.type, shape=value.shape)
    model.graph.inputs.append(given)
    for node, place in readers:
        node.replace_input_with(place, given)


def _is_stored(codes: ir.Value) -> bool:
    """Whether codes are weights: constants of the file, or rows looked up in one."""
    producer = codes.producer()
    table = producer.inputs[0] if producer is not None and producer.op_type == "Gather" else None
    return codes.const_value is not None or (table is not None and table.const_value is not None)


def _cut_floats(model: ir.Model, names: tuple[str, ...]) -> None:
    """Makes tensors graph outputs, and hands their readers given ones."""
    computed = {str(value.name): value for node in model.graph for value in node.outputs}
    for name in names:
        if name not in computed:
            raise ModelError(f"the file computes no tensor '{name}' as the mirror does; verify what one compile wrote")
        value = computed[name]
        if value not in model.graph.outputs:
            model.graph.outputs.append(value)
        _hand_out(model, value)
