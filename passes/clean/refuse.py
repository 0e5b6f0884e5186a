"""Refuses what clean-up cannot bring back to a float graph."""

from __future__ import annotations

import onnx_ir as ir

from haqc.errors import ModelError

_ON_INTEGERS = frozenset(
    {"ConvInteger", "DynamicQuantizeLinear", "MatMulInteger", "QLinearConv", "QLinearMatMul"}
)  # fmt: skip
_FROM_MICROSOFT = frozenset(
    {"AttnQ4", "DynamicQuantizeLSTM", "DynamicQuantizeMatMul", "GatherBlockQuantized", "MatMulBnb4", "MatMulFpQ4",
     "MatMulInteger16", "MatMulIntegerToFloat", "MatMulNBits", "MulInteger", "QAttention", "QEmbedLayerNormalization",
     "QGemm", "QMoE", "ReduceSumInteger"}
)  # fmt: skip
_MOST_INPUTS = 2048
"""Inputs of one node; the library's work grows with their square."""

_PREFIXES = ("QLinear", "QOrdered")


def refuse_integer_arithmetic(model: ir.Model) -> None:
    """Refuses a model whose layers are integer operators: their float weights are not in the file.

    Raises:
        ModelError: naming the first such node.
    """
    for node in ir.traversal.RecursiveGraphIterator(model.graph):
        if node.domain in ("", "ai.onnx"):
            found = node.op_type in _ON_INTEGERS
        else:
            found = node.domain == "com.microsoft" and (
                node.op_type in _FROM_MICROSOFT or node.op_type.startswith(_PREFIXES)
            )
        if found:
            name = node.name or (node.outputs[0].name if node.outputs else "")
            raise ModelError(
                f"node '{name}' ({node.op_type}) computes with quantised numbers, so the model was quantised already; "
                "give haqc the float model it was made from, or one that is quantised with QuantizeLinear and "
                "DequantizeLinear pairs"
            )


def refuse_training(model: ir.Model) -> None:
    """Refuses a model that normalises by the statistics of the batch at hand.

    Raises:
        ModelError: naming the first such node.
    """
    for node in ir.traversal.RecursiveGraphIterator(model.graph):
        if node.op_type != "BatchNormalization" or node.domain not in ("", "ai.onnx"):
            continue
        written = [value for value in node.outputs if value.name]
        if node.attributes.get_int("training_mode", 0) or len(written) > 1:
            raise ModelError(
                f"node '{node.name or node.outputs[0].name}' (BatchNormalization) is in training mode, so its results "
                "depend on the other samples of a batch; export the model in evaluation mode"
            )


def refuse_crowds(model: ir.Model) -> None:
    """Refuses a model in which one node reads more values than any network's does.

    Raises:
        ModelError: naming the first such node.
    """
    for node in ir.traversal.RecursiveGraphIterator(model.graph):
        if len(node.inputs) > _MOST_INPUTS:
            name = node.name or (node.outputs[0].name if node.outputs else "")
            raise ModelError(
                f"node '{name}' ({node.op_type}) reads {len(node.inputs)} values, and haqc takes {_MOST_INPUTS}; "
                "join them in several steps"
            )
