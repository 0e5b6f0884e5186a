"""Folds constants: small ones at once, large ones when somebody reads them, and none that would fill the memory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import onnx
import onnx_ir as ir
from onnx import helper
from onnx.reference import ReferenceEvaluator
from onnxscript import optimizer

from haqc.errors import ModelError
from haqc.passes.clean.lazy import lazy_constant

SMALL = 1 << 19
"""Values of a constant that is computed at once; larger ones wait until somebody reads them."""

_ALLOWANCE = 1 << 26
"""Values read and written by all constants that are computed at once."""

_MOST_PARTS = 1024
"""Parts into which a sequence is split while it is folded."""

_HIDDEN = "haqc.hidden"
"""A domain that the library does not know, in which it leaves a node alone."""

_MOVING = frozenset(
    {"Cast", "Compress", "Concat", "ConstantOfShape", "DepthToSpace", "Expand", "EyeLike", "Flatten", "Gather",
     "GatherElements", "GatherND", "Identity", "NonZero", "OneHot", "Pad", "Range", "Reshape", "ReverseSequence",
     "ScatterElements", "ScatterND", "Shape", "Size", "Slice", "SpaceToDepth", "Split", "Squeeze", "Tile", "Transpose",
     "Trilu", "Unsqueeze", "Where"}
)  # fmt: skip
_ELEMENTWISE = frozenset(
    {"Abs", "Add", "And", "BitShift", "BitwiseAnd", "BitwiseNot", "BitwiseOr", "BitwiseXor", "Ceil", "Clip", "Cos",
     "CumSum", "Div", "Equal", "Exp", "Floor", "Greater", "GreaterOrEqual", "IsInf", "IsNaN", "Less", "LessOrEqual",
     "Log", "Max", "Mean", "Min", "Mod", "Mul", "Neg", "Not", "Or", "Pow", "Reciprocal", "Relu", "Round", "Sigmoid",
     "Sign", "Sin", "Sqrt", "Sub", "Sum", "Tanh", "Xor"}
)  # fmt: skip
_REDUCING = frozenset(
    {"ArgMax", "ArgMin", "ReduceL1", "ReduceL2", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum",
     "ReduceSumSquare"}
)  # fmt: skip
FOLDED = _MOVING | _ELEMENTWISE | _REDUCING | {"MatMul"}
"""Operators whose work grows with what they read and write alone. Others (a Conv may pad by terabytes) are not run."""

_BOUNDED_BY_INPUT = frozenset({"Compress", "NonZero"})
"""Operators whose extents follow from the values read: never more than a rank of indices for each."""


@dataclass
class Allowance:
    """Values that folding may still read and write; a hostile graph asks for more than any machine has."""

    left: int = _ALLOWANCE

    def may_fold(self, node: ir.Node) -> bool:
        """Whether a node of constants alone is folded at once; its values are taken off the allowance."""
        sizes = [size for size in map(_size, node.inputs) if size is not None]
        written = _written(node)
        if not _is_foldable(node) or written is None or len(node.outputs) != 1 or max([written, *sizes]) > SMALL:
            return False
        if node.op_type == "MatMul" and written * max(sizes) > SMALL:
            return False
        self.left -= written + sum(sizes)
        return self.left >= 0


class FoldPass(ir.passes.InPlacePass):
    """onnxscript's constant folding (shape arithmetic and constant Ifs too), within an allowance."""

    def __init__(self, allowance: Allowance) -> None:
        self._allowance = allowance

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Folds what the allowance allows."""
        hidden = [node for node in ir.traversal.RecursiveGraphIterator(model.graph) if _is_beyond_the_library(node)]
        for node in hidden:
            node.domain = _HIDDEN
        try:
            return optimizer.fold_constants_ir(
                model, onnx_shape_inference=True, input_size_limit=SMALL, output_size_limit=SMALL,
                should_fold=self._allowance.may_fold,
            )  # fmt: skip
        finally:
            for node in hidden:
                node.domain = ""


class FoldLargePass(ir.passes.InPlacePass):
    """Folds what is left of constants: the large ones, and operators of several outputs.

    Nothing is computed: the constant is, when it is read. None is larger than what it is computed from, or than
    everything that the model stores.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Replaces every node of constants by initialisers of the main graph."""
        stored = sum(_size(value) or 0 for value in model.graph.initializers.values())
        count = 0
        for node in ir.traversal.RecursiveGraphIterator(model.graph):
            if isinstance(node.graph, ir.Graph) and _may_wait(node, max(SMALL, stored)):
                _fold_later(model.graph, node.graph, node, model.opset_imports[""])
                count += 1
        return ir.passes.PassResult(model, bool(count))


def _is_beyond_the_library(node: ir.Node) -> bool:
    """Whether onnxscript would fail on a node, or make of it a node for each of very many parts."""
    if node.op_type != "SplitToSequence" or node.domain not in ("", "ai.onnx") or len(node.inputs) < 2:
        return False
    split, data = node.inputs[1], node.inputs[0]
    if split is None or split.const_value is None or split.const_value.size > _MOST_PARTS:
        return True
    if len(split.const_value.shape):
        return False
    axis = node.attributes.get_int("axis", 0)
    shape = [] if data is None or data.shape is None else list(data.shape)
    extent = shape[axis] if -len(shape) <= axis < len(shape) else None
    step = int(split.const_value.numpy())
    return not isinstance(extent, int) or step < 1 or extent > step * _MOST_PARTS


def _may_wait(node: ir.Node, limit: int) -> bool:
    if not _is_foldable(node) or node.op_type in ("MatMul", *_BOUNDED_BY_INPUT):
        return False
    if any(value is not None and value.const_value is None for value in node.inputs):
        return False
    if any(value.dtype in (None, ir.DataType.STRING) or value.is_graph_output() for value in node.outputs):
        return False
    read, written = sum(_size(value) or 0 for value in node.inputs), _written(node)
    return written is not None and written <= min(limit, max(SMALL, read)) and any(v.uses() for v in node.outputs)


def _fold_later(main: ir.Graph, graph: ir.Graph, node: ir.Node, opset: int) -> None:
    tensors = [None if value is None else value.const_value for value in node.inputs]
    proto = ir.to_proto(node)
    for index, output in enumerate(node.outputs):
        if not output.uses():
            continue
        assert output.shape is not None and output.dtype is not None and output.name
        name = _free_name(main, output.name)
        output.name = f"{output.name}_unfolded"  # the constant takes the name, so that it keeps it
        shape = [int(str(extent)) for extent in output.shape]
        constant = lazy_constant(name, output.dtype, shape, partial(_evaluate, proto, tensors, opset, index))
        main.register_initializer(constant)
        output.replace_all_uses_with(constant)
    graph.remove(node, safe=True)


def _free_name(graph: ir.Graph, name: str) -> str:
    return name if name not in graph.initializers else _free_name(graph, f"{name}_folded")


def _evaluate(node: onnx.NodeProto, tensors: Sequence[ir.TensorProtocol | None], opset: int, index: int) -> np.ndarray:
    """Runs one node in ONNX's reference implementation and gives one of its outputs.

    Raises:
        ModelError: the node does not take these constants.
    """
    try:
        feeds = {name: tensor.numpy() for name, tensor in zip(node.input, tensors, strict=True) if tensor is not None}
        function = helper.make_function(
            "haqc", "fold", list(feeds), list(node.output), [node], [helper.make_opsetid("", opset)]
        )
        outputs: Sequence[np.ndarray] = ReferenceEvaluator(function).run(None, feeds, {})  # type: ignore[assignment]
        return np.asarray(outputs[index])
    except ModelError:
        raise
    except Exception as error:  # the reference fails in many ways, and a chain of very many constants in one more
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        raise ModelError(
            f"{node.op_type} '{node.name}' cannot be computed from its constants ({reason}); export the model again"
        ) from error


def _is_foldable(node: ir.Node) -> bool:
    return node.domain in ("", "ai.onnx") and node.op_type in FOLDED and not _is_tied(node)


def _is_tied(node: ir.Node) -> bool:
    """Whether a Transpose turns a table, of which a Gather reads rows, into weights: both are to stay one constant."""
    table = node.inputs[0] if node.op_type == "Transpose" and node.inputs else None
    if table is None or not table.is_initializer():
        return False
    return any(use.node.op_type == "Gather" and use.idx == 0 and _size(use.node.inputs[1]) is None
               for use in table.uses())  # fmt: skip


def _size(value: ir.Value | None) -> int | None:
    """Gives how many values a constant has, ``None`` for anything else; nothing is read."""
    return None if value is None or value.const_value is None else value.const_value.size


def _written(node: ir.Node) -> int | None:
    """Gives how many values a node of constants writes, ``None`` if that is not known before it runs."""
    if node.op_type in _BOUNDED_BY_INPUT:
        values = [value for value in node.inputs if value is not None and value.const_value is not None]
        return sum(
            value.const_value.size * max(1, len(value.const_value.shape)) for value in values if value.const_value
        )
    total = 0
    for value in node.outputs:
        extents = [] if value.shape is None else [extent for extent in value.shape if isinstance(extent, int)]
        if value.shape is None or len(extents) < len(value.shape):
            return None
        total += math.prod(extents)
    return total
