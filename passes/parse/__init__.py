"""Parses a cleaned and bound ONNX graph into the layer IR."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from haqc.errors import ModelError
from haqc.graph import Graph, Operation
from haqc.passes.parse.flow import Flow
from haqc.passes.parse.kept import kept_in_float
from haqc.passes.parse.last import last_layers
from haqc.passes.parse.operands import count_of, operands_of
from haqc.passes.parse.reading import known_shape, name_of, static_batch, unique
from haqc.passes.parse.setting import Setting
from haqc.passes.parse.steps import Step, left_out, steps_of
from haqc.passes.parse.weights import Weights

__all__ = ["parse"]


def parse(model: ir.Model, name: str, keep_float: Sequence[str] = ()) -> Graph:
    """Turns a model into layers, operands and a schedule; the work grows with the number of nodes.

    Args:
        model: a model as :func:`haqc.passes.clean.clean` leaves it, with its shapes bound by
            :func:`haqc.passes.bind.bind`; it is not changed.
        name: the model's name (file stem).
        keep_float: names or patterns of layers (``fnmatch``) that stay in float.

    Raises:
        ModelError: the shape of what a layer reads or writes is not known, or two nodes have one name.
        PolicyError: a pattern matches no layer, or one whose weights another layer shares.
    """
    graph = model.graph
    flow, batch = Flow.of(graph), static_batch(model)
    setting = Setting(flow, Weights(flow), batch)
    steps = kept_in_float(tuple(steps_of(graph, setting)), keep_float)
    stored = [*graph.inputs, *(value for step in steps for value in step.writes)]
    unknown = frozenset(name_of(value) for value in stored if known_shape(value) is None)
    layers = tuple(layer for step in steps for layer in step.layers)
    if len({layer.name for layer in layers}) != len(layers):
        raise ModelError(f"two layers of '{name}' have one name; give its nodes names of their own")
    return Graph(
        name=name,
        layers=layers,
        operands=operands_of(graph, steps, setting),
        operations=tuple(map(_operation, steps)),
        tensor_values={name_of(value): count_of(value, batch) for value in stored if name_of(value) not in unknown},
        inputs=tuple(name_of(value) for value in graph.inputs),
        outputs=tuple(name_of(value) for value in graph.outputs),
        last_layers=last_layers(graph, layers),
        batch=batch,
        opset=model.opset_imports.get("", 0),
        left_out=tuple(left_out(graph, setting)),
        unknown_tensors=unknown,
    )


def _operation(step: Step) -> Operation:
    return Operation(
        name=str(step.node.name),
        op=step.node.op_type,
        reads=unique(map(name_of, step.reads)),
        writes=unique(map(name_of, step.writes)),
        layer=step.layers[0].name if step.layers else None,
    )
