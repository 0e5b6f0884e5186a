"""Cleans an ONNX graph up: one opset, constants folded, batch-norms folded, names unique.

ONNX-to-ONNX steps all have one type, so they are a list handed to onnx_ir's pass manager; the rewriting rules are
onnxscript's.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

import numpy as np
import onnx_ir as ir
from onnx_ir.passes import common
from onnxscript import optimizer, rewriter, version_converter
from onnxscript.rewriter.rules.common import matmul_add_to_gemm_rule

from haqc.errors import ModelError

MIN_OPSET = 21
"""The opset of emitted files, unless the model's own is higher: the first with per-channel and 4-bit quantisers."""

_FOLD_LIMIT = 1 << 26
"""Constants of up to this many bytes are folded; exporters leave transposed weights behind that layers must see."""


def clean(model: ir.Model) -> ir.Model:
    """Gives the model in the form that all later passes work on; the model given is changed.

    Batch-norms behind a Conv, ConvTranspose or Gemm are folded, ``MatMul + Add`` becomes Gemm where both are of rank
    two, initialisers are no inputs, the opset is at least 21, every node has a unique name, and a batch size that the
    exporter froze is free again.

    Raises:
        ModelError: the opset conversion or the folding failed; the message says where.
    """
    opset = model.opset_imports.get("", 0)
    names = _names_by_weight(model)
    try:
        common.RemoveInitializersFromInputsPass()(model)
        if opset < MIN_OPSET:
            _convert(model)
        optimizer.optimize(model, input_size_limit=_FOLD_LIMIT, output_size_limit=_FOLD_LIMIT)
        rewriter.rewrite(model, pattern_rewrite_rules=[matmul_add_to_gemm_rule])
        ir.passes.Sequential(
            common.ClearMetadataAndDocStringPass(),
            common.TopologicalSortPass(),
            common.NameFixPass(),
        )(model)
    except ModelError:
        raise
    except Exception as error:  # third-party passes raise whatever their parts raise
        raise ModelError(f"the graph cannot be cleaned up ({_first_line(error)}); check it with 'onnx.checker'") from error
    _free_batch(model)
    _name_nodes(model, names)
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
        raise ModelError(f"the model's opset {opset} cannot be converted to {MIN_OPSET}; export it with opset 17 or later")


def _free_batch(model: ir.Model) -> None:
    """Makes a static batch symbolic, so that data run in batches of any size.

    Reshapes that spell the batch out copy it instead. Where that is not enough the mirror differs from the model, which
    the compiler checks before it starts.
    """
    values = [*model.graph.inputs, *model.graph.outputs]
    extents = {value.shape[0] if value.shape is not None and len(value.shape) else None for value in values}
    batch = extents.pop()
    if extents or not isinstance(batch, int):
        return
    for node in model.graph:
        data, target = (*node.inputs, None, None)[:2]
        if node.op_type != "Reshape" or target is None or target.const_value is None:
            continue
        shape = target.const_value.numpy()
        rows = data.shape[0] if data is not None and data.shape is not None and len(data.shape) else None
        if len(shape) and shape[0] == batch == rows and "allowzero" not in node.attributes:
            free = ir.tensor(np.concatenate([[0], shape[1:]]).astype(np.int64), name=f"{target.name}_of_{node.name}")
            value = ir.Value(name=free.name, const_value=free, shape=free.shape, type=ir.TensorType(free.dtype))
            model.graph.register_initializer(value)
            node.replace_input_with(1, value)
    for node in model.graph:
        for value in node.outputs:
            value.shape = value.shape if value.is_graph_output() else None
    for value in values:
        assert value.shape is not None
        value.shape = ir.Shape(["batch", *list(value.shape)[1:]])
    common.ShapeInferencePass()(model)


def _names_by_weight(model: ir.Model) -> dict[str, str]:
    """Gives the names of nodes by the weights that they alone read; rewriting rules forget the names of nodes."""
    names: dict[str, str] = {}
    for value in model.graph.initializers.values():
        readers = [use.node for use in value.uses() if use.idx == 1]
        if len(readers) == 1 and len(value.uses()) == 1 and readers[0].name:
            names[str(value.name)] = readers[0].name
    return names


def _name_nodes(model: ir.Model, names: Mapping[str, str]) -> None:
    """Gives every node a unique name: the one it had when the model was read, its own, or that of its first output."""
    seen: set[str] = set()
    for node in model.graph:
        weight = str(node.inputs[1].name) if len(node.inputs) > 1 and node.inputs[1] is not None else ""
        name = names.get(weight) or node.name or node.outputs[0].name or node.op_type
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
