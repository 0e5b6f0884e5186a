"""Cleans an ONNX graph up: one opset, constants folded, batch-norms folded, names unique.

ONNX-to-ONNX steps all have one type, so they are a list handed to onnx_ir's pass manager; what onnx_ir and onnxscript
have is theirs, the rest is one short file a step.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

import onnx_ir as ir
from onnx_ir.passes import common

from haqc.errors import ModelError
from haqc.onnxfile import METADATA_KEY
from haqc.passes.clean.batch import free_batch
from haqc.passes.clean.batchnorm import FoldBatchNormPass
from haqc.passes.clean.bias import unshare_biases
from haqc.passes.clean.convert import MIN_OPSET, convert
from haqc.passes.clean.dequantise import RestoreWeightsPass, restore_weights
from haqc.passes.clean.floats import unify_floats
from haqc.passes.clean.fold import Allowance, FoldLargePass, FoldPass
from haqc.passes.clean.inline import inline
from haqc.passes.clean.merge import MergeInitialisersPass, MergeNodesPass
from haqc.passes.clean.name import NodeNames, restore_outputs
from haqc.passes.clean.pair import remove_pairs
from haqc.passes.clean.qonnx import remove_qonnx
from haqc.passes.clean.refuse import refuse_crowds, refuse_integer_arithmetic, refuse_training
from haqc.passes.clean.remark import remark, remarks
from haqc.passes.clean.rules import GemmPass, RewriteRulesPass

__all__ = ["MIN_OPSET", "clean", "remarks"]

_MIN_IR_VERSION = 10
"""The file format that goes with this opset; before version 4 every initialiser had to be an input."""

_ROUNDS = 3
"""Times that folding and rewriting feed each other at most."""


def clean(model: ir.Model) -> ir.Model:
    """Gives the model in the form that all later passes work on; the model given is changed.

    Batch-norms beside a Conv, ConvTranspose, Gemm or MatMul are folded where that is exact, ``MatMul + Add`` of a
    constant vector becomes Gemm where both operands are of rank two, quantisers are undone, floats have 32 bits,
    initialisers are no inputs, the opset is at least 21, every node has a unique name, and a batch size that the
    exporter froze is free again, unless the graph is built for that size alone. Large constants are not read: those
    computed from them are computed when somebody reads them. What people should know of the changes, :func:`remarks`
    gives.

    Raises:
        ModelError: the model cannot be brought into this form; the message says where and why.
    """
    model.ir_version = max(_MIN_IR_VERSION, model.ir_version)
    try:
        with _quiet_libraries():
            names = _restructure(model)
    except ModelError:
        raise
    except Exception as error:  # third-party passes raise whatever their parts raise
        if isinstance(error.__cause__, ModelError):  # of a pass of ours, in a row of passes
            raise error.__cause__ from None
        raise ModelError(
            f"the graph cannot be cleaned up ({_first_line(error)}); check it with 'onnx.checker'"
        ) from error
    with _quiet_libraries():
        free_batch(model)
    names.assign(model)
    unshare_biases(model)
    return model


def _restructure(model: ir.Model) -> NodeNames:
    """Runs all steps that change the graph's structure; gives the names that nodes had before the rewriting."""
    common.RemoveInitializersFromInputsPass()(model)
    outputs = [str(value.name) for value in model.graph.outputs]
    inline(model)
    refuse_crowds(model)
    ir.passes.Sequential(
        common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0),
        common.LiftSubgraphInitializersToMainGraphPass(),
    )(model)
    refuse_training(model)
    convert(model)
    _drop_absent_inputs(model)
    names = NodeNames.of(model)
    _restore_floats(model)
    ir.passes.PassManager(
        [FoldPass(Allowance()), RewriteRulesPass(), common.RemoveUnusedNodesPass()], steps=_ROUNDS, early_stop=True
    )(model)
    ir.passes.Sequential(
        FoldLargePass(),
        RestoreWeightsPass(),
        GemmPass(),
        MergeInitialisersPass(),
        FoldBatchNormPass(),
        common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0),
        common.LiftSubgraphInitializersToMainGraphPass(),
        common.IdentityEliminationPass(),
        MergeInitialisersPass(),
        MergeNodesPass(),
        common.RemoveUnusedNodesPass(),
        common.RemoveUnusedOpsetsPass(),
        common.OutputFixPass(),
    )(model)
    restore_outputs(model, outputs)
    ir.passes.Sequential(
        common.ClearMetadataAndDocStringPass(),
        common.TopologicalSortPass(),
        common.NameFixPass(),
    )(model)
    return names


def _restore_floats(model: ir.Model) -> None:
    """Makes a float32 network of what was quantised or stored otherwise, and remarks on it."""
    refuse_integer_arithmetic(model)
    foreign = METADATA_KEY not in model.metadata_props  # haqc leaves every Relu where it is
    pairs = remove_pairs(model, rectify=foreign) + remove_qonnx(model)
    weights = restore_weights(model)
    if pairs or weights:
        remark(
            model,
            "the file was quantised already; its float graph was restored "
            f"({pairs} quantisers removed, {weights} tensors of codes made floats again)",
        )
    floats = unify_floats(model)
    if floats:
        remark(model, floats)


def _drop_absent_inputs(model: ir.Model) -> None:
    """Drops optional inputs spelt out as absent at the end of a node; rewriting rules take them for values."""
    for node in model.graph.all_nodes():
        count = len(node.inputs)
        while count and node.inputs[count - 1] is None:
            count -= 1
        node.resize_inputs(count)


@contextlib.contextmanager
def _quiet_libraries() -> Iterator[None]:
    """Keeps third-party passes from telling people what they did; what matters is read off the result."""
    loggers = [logging.getLogger(name) for name in ("onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _first_line(error: BaseException) -> str:
    """Gives the innermost cause in one line: the pass manager wraps what went wrong."""
    while error.__cause__ is not None:
        error = error.__cause__
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
