"""Rewriting rules: onnxscript's, as far as they are exact and their cost grows with the graph's size, and our own."""

from __future__ import annotations

from collections.abc import Callable

import onnx_ir as ir
from onnxscript import rewriter
from onnxscript.rewriter import RewriteRule, pattern
from onnxscript.rewriter.rules import common


class RewriteRulesPass(ir.passes.InPlacePass):
    """Applies those rules whose operators the model holds."""

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Rewrites once from the first node to the last."""
        held = {node.op_type for node in ir.traversal.RecursiveGraphIterator(model.graph)}
        rules = [rule for operators, rule in _RULES if operators <= held]
        return rewriter.RewritePass(rules)(model) if rules else ir.passes.PassResult(model, False)


class GemmPass(ir.passes.InPlacePass):
    """Makes a Gemm of a MatMul of matrices and the constant vector that is added to it."""

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Rewrites once from the first node to the last."""
        return rewriter.RewritePass(_GEMM_RULES)(model)


def _is_dense(context: object, x: ir.Value, weight: ir.Value, bias: ir.Value) -> bool:
    """Whether ``x @ weight + bias`` is a Gemm: matrices, and one constant a column."""
    del context
    ranks = [None if value.shape is None else len(value.shape) for value in (x, weight, bias)]
    return (
        ranks == [2, 2, 1]
        and bias.const_value is not None
        and weight.shape is not None
        and (bias.shape is not None and (bias.shape[0] == weight.shape[1] or bias.shape[0] == 1))
    )


def _are_bounds(context: object, x: ir.Value, low: ir.Value, high: ir.Value) -> bool:
    """Whether a Min and a Max are a Clip: each with one constant scalar, the lower one first."""
    del context, x
    ends = []
    for value in (low, high):
        if value.const_value is None or len(value.const_value.shape):
            return False
        ends.append(value.const_value.numpy())
    return bool(ends[0] <= ends[1])


def _is_neutral(neutral: int) -> Callable[..., bool]:
    """Gives a check whether a constant is exactly the neutral element, and broadcasts nothing."""

    def check(context: object, x: ir.Value, k: ir.Value) -> bool:
        del context
        tensor = k.const_value
        if tensor is None or x.shape is None or tensor.size != 1 or len(tensor.shape) > len(x.shape):
            return False
        return bool(tensor.numpy().reshape(()) == neutral)

    return check


def _rule(find: Callable[..., object], make: Callable[..., object], check: Callable[..., bool]) -> list[RewriteRule]:
    """Gives a rule for every order of its commutative operators' operands."""
    return list(pattern.RewriteRule(find, make, check).commute())


def _operators(rule: RewriteRule) -> frozenset[str]:
    return frozenset(str(node.op) for node in rule._target_pattern)


_GEMM_RULES = _rule(
    lambda op, x, weight, bias: op.Add(op.MatMul(x, weight), bias),
    lambda op, x, weight, bias: op.Gemm(x, weight, bias),
    _is_dense,
)
_OWN_RULES = (
    *_rule(lambda op, x, k: op.Mul(x, k), lambda op, x, k: op.Identity(x), _is_neutral(1)),
    *_rule(lambda op, x, k: op.Add(x, k), lambda op, x, k: op.Identity(x), _is_neutral(0)),
    *_rule(lambda op, x, k: op.Sub(x, k), lambda op, x, k: op.Identity(x), _is_neutral(0)),
    *_rule(lambda op, x, k: op.Div(x, k), lambda op, x, k: op.Identity(x), _is_neutral(1)),
    *_rule(
        lambda op, x, low, high: op.Min(op.Max(x, low), high),
        lambda op, x, low, high: op.Clip(x, low, high),
        _are_bounds,
    ),
    *_rule(
        lambda op, x, low, high: op.Max(op.Min(x, high), low),
        lambda op, x, low, high: op.Clip(x, low, high),
        _are_bounds,
    ),
)
# Left out of onnxscript's: what compares all pairs of Slices, what takes 1e-12 for nothing, and what makes constants
# under names that may be taken.
_LIBRARY_RULES = (
    common.two_reshapes_matmul_reshape_rule, common.one_reshape_matmul_reshape_rule,
    common.cast_constant_of_shape_rule, common.cast_constant_of_shape_without_value_rule,
    common.collapse_slice_rule, common.collapse_slice2_rule, common.materialize_reshape_shape_rule,
    common.no_op_expand_rule, common.flatten_to_reshape_rule, common.reshape_reshape_rule,
    common.no_op_transpose_rule, common.transpose_transpose_rule, common.unsqueeze_unsqueeze_rule,
    common.squeeze_reshape_1d_rule, common.no_op_dynamic_scatter_nd_rule, common.no_op_static_scatter_nd_rule,
    common.normalize_pad_format_conv_rule, common.fuse_pad_into_conv_rule,
    common.remove_optional_bias_from_conv_rule, common.remove_optional_bias_from_conv_transpose_rule,
    common.remove_optional_bias_from_gemm_rule,
)  # fmt: skip
_RULES = tuple((_operators(rule), rule) for rule in (*_OWN_RULES, *_LIBRARY_RULES))
