"""Makes a batch size that an exporter froze free again, unless the graph is built for that size alone."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from haqc.onnxprocess import infer_shapes, lasting


def free_batch(model: ir.Model) -> None:
    """Makes a static batch symbolic, so that data run in batches of any size.

    Reshapes that spell the batch out copy it instead. Where an output keeps its batch size nonetheless, because the
    graph has constants for every sample, everything stays static.

    Raises:
        ModelError: ONNX's inference crashes on the graph, or does not end.
    """
    values = [*model.graph.inputs, *model.graph.outputs]
    extents = {value.shape[0] if value.shape is not None and len(value.shape) else None for value in values}
    batch = extents.pop() if len(extents) == 1 else None
    if not isinstance(batch, int):
        return
    _copy_batch_in_reshapes(model, batch)
    _infer_with_batch(model, "batch")
    if any(value.shape is not None and isinstance(value.shape[0], int) for value in model.graph.outputs):
        _infer_with_batch(model, batch)


def _infer_with_batch(model: ir.Model, batch: int | str) -> None:
    """Gives inputs and outputs a batch, and infers all shapes anew from it."""
    for node in model.graph:
        for value in node.outputs:
            value.shape = value.shape if value.is_graph_output() else None
    for value in (*model.graph.inputs, *model.graph.outputs):
        assert value.shape is not None
        value.shape = ir.Shape([batch, *list(value.shape)[1:]])
    infer_shapes(model, lasting())


def _copy_batch_in_reshapes(model: ir.Model, batch: int) -> None:
    for node in model.graph:
        data, target = (*node.inputs, None, None)[:2]
        if node.op_type != "Reshape" or target is None or target.const_value is None:
            continue
        shape = target.const_value.numpy()
        rows = data.shape[0] if data is not None and data.shape is not None and len(data.shape) else None
        if len(shape) and shape[0] == batch == rows and "allowzero" not in node.attributes:
            free = ir.tensor(np.concatenate([[0], shape[1:]]).astype(np.int64), name=f"{target.name}_of_{node.name}")
            value = ir.Value(
                name=free.name, const_value=free, shape=ir.Shape(shape.shape), type=ir.TensorType(free.dtype)
            )
            model.graph.register_initializer(value)
            node.replace_input_with(1, value)
