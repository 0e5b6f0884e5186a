"""Cleans an ONNX graph up: one opset, constants folded, batch-norms folded, names unique.

ONNX-to-ONNX steps all have one type, so they are a list handed to onnx_ir's pass manager; the rewriting rules are
onnxscript's.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping

import numpy as np
import onnx_ir as ir
from onnx_ir.passes import common
from onnxscript import optimizer, rewriter, version_converter
from onnxscript.rewriter import pattern

from haqc.errors import ModelError

MIN_OPSET = 21
"""The opset of emitted files, unless the model's own is higher: the first with per-channel and 4-bit quantisers."""

MIN_IR_VERSION = 10
"""The file format that goes with this opset; before version 4 every initialiser had to be an input."""

_FOLD_LIMIT = 1 << 26
"""Constants of up to this many values are folded; exporters leave transposed weights behind that layers must see."""


def clean(model: ir.Model) -> ir.Model:
    """Gives the model in the form that all later passes work on; the model given is changed.

    Batch-norms behind a Conv, ConvTranspose or Gemm are folded, ``MatMul + Add`` of a constant vector becomes Gemm
    where both operands are of rank two, initialisers are no inputs, the opset is at least 21, every node has a unique
    name, and a batch size that the exporter froze is free again, unless the graph is built for that size alone.

    Raises:
        ModelError: the opset conversion or the folding failed; the message says where.
    """
    opset = model.opset_imports.get("", 0)
    model.ir_version = max(MIN_IR_VERSION, model.ir_version)
    try:
        common.RemoveInitializersFromInputsPass()(model)
        if opset < MIN_OPSET:
            _convert(model)
        _drop_absent_inputs(model)
        names, names_by_weight = {node: node.name for node in model.graph if node.name}, _names_by_weight(model)
        optimizer.optimize_ir(model, input_size_limit=_FOLD_LIMIT, output_size_limit=_FOLD_LIMIT, should_fold=_may_fold)
        rewriter.rewrite(model, pattern_rewrite_rules=[*_GEMM_RULE.commute()])
        ir.passes.Sequential(
            common.ClearMetadataAndDocStringPass(),
            common.TopologicalSortPass(),
            common.NameFixPass(),
        )(model)
    except ModelError:
        raise
    except Exception as error:  # third-party passes raise whatever their parts raise
        raise ModelError(
            f"the graph cannot be cleaned up ({_first_line(error)}); check it with 'onnx.checker'"
        ) from error
    _free_batch(model)
    _name_nodes(model, names, names_by_weight)
    _unshare_biases(model)
    return model


def _convert(model: ir.Model) -> None:
    """Converts to the lowest opset that haqc emits."""
    opset = model.opset_imports.get("", 0)
    # The converter announces its fallback as a warning; whether it worked is read off the result instead.
    logger = logging.getLogger("onnxscript.version_converter")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        version_converter.convert_version(model, MIN_OPSET, fallback=True)
    finally:
        logger.setLevel(level)
    if model.opset_imports.get("", 0) != MIN_OPSET:
        raise ModelError(
            f"the model's opset {opset} cannot be converted to {MIN_OPSET}; export it with opset 17 or later"
        )


def _may_fold(node: ir.Node) -> bool | None:
    """Refuses to fold a node whose output may be large: the limit on outputs is only read once they are computed.

    Gives ``None``, which leaves the decision to the folding's own rules, where every output is known to be small.
    """
    for value in node.outputs:
        extents = [] if value.shape is None else [extent for extent in value.shape if isinstance(extent, int)]
        if value.shape is None or len(extents) < len(value.shape) or math.prod(extents) > _FOLD_LIMIT:
            return False
    return None


def _drop_absent_inputs(model: ir.Model) -> None:
    """Drops optional inputs spelt out as absent at the end of a node; rewriting rules take them for values."""
    for node in model.graph.all_nodes():
        count = len(node.inputs)
        while count and node.inputs[count - 1] is None:
            count -= 1
        node.resize_inputs(count)


def _is_dense(context: object, x: ir.Value, weight: ir.Value, bias: ir.Value) -> bool:
    """Whether ``x @ weight + bias`` is a Gemm: matrices, and one constant a column."""
    del context
    ranks = [None if value.shape is None else len(value.shape) for value in (x, weight, bias)]
    return ranks == [2, 2, 1] and bias.const_value is not None


_GEMM_RULE = pattern.RewriteRule(
    lambda op, x, weight, bias: op.Add(op.MatMul(x, weight), bias),
    lambda op, x, weight, bias: op.Gemm(x, weight, bias),
    _is_dense,
)


def _free_batch(model: ir.Model) -> None:
    """Makes a static batch symbolic, so that data run in batches of any size.

    Reshapes that spell the batch out copy it instead. Where an output keeps its batch size nonetheless, because the
    graph has constants for every sample, everything stays static.
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
    common.ShapeInferencePass(strict_mode=False)(model)


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


def _names_by_weight(model: ir.Model) -> dict[str, str]:
    """Gives the names of nodes by the weights that they alone read; rewriting rules forget the names of nodes."""
    names: dict[str, str] = {}
    for value in model.graph.initializers.values():
        readers = [use.node for use in value.uses() if use.idx == 1]
        if len(readers) == 1 and len(value.uses()) == 1 and readers[0].name:
            names[str(value.name)] = readers[0].name
    return names


def _name_nodes(model: ir.Model, names: Mapping[ir.Node, str], names_by_weight: Mapping[str, str]) -> None:
    """Gives every node a unique name: the one it had when the model was read, or that of its first output."""
    seen: set[str] = set()
    for node in model.graph:
        weight = str(node.inputs[1].name) if len(node.inputs) > 1 and node.inputs[1] is not None else ""
        name = names.get(node) or names_by_weight.get(weight) or node.outputs[0].name or node.op_type
        unique, count = name, 1
        while unique in seen:
            unique, count = f"{name}_{count}", count + 1
        seen.add(unique)
        node.name = unique


def _unshare_biases(model: ir.Model) -> None:
    """Gives every layer a bias of its own: equal biases were merged, but their grids differ from layer to layer."""
    for node in model.graph:
        if node.op_type not in ("Conv", "ConvTranspose", "Gemm") or len(node.inputs) < 3:
            continue
        bias = node.inputs[2]
        if bias is None or bias.const_value is None or len(bias.uses()) == 1:
            continue
        name = f"{bias.name}_of_{node.name}"
        own = ir.Value(name=name, type=bias.type, shape=bias.shape, const_value=bias.const_value)
        model.graph.register_initializer(own)
        node.replace_input_with(2, own)


def _first_line(error: BaseException) -> str:
    """Gives the innermost cause in one line: the pass manager wraps what went wrong."""
    while error.__cause__ is not None:
        error = error.__cause__
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
