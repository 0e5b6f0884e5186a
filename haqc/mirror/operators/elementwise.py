"""Element-by-element arithmetic, comparison and logic; shapes broadcast as in NumPy."""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch
import torch.fx

from haqc.mirror.node import Function, Node, operator
from haqc.mirror.operators.constant import element_type, number

PLAIN: dict[str, Callable[..., torch.Tensor]] = {
    "Add": torch.add,
    "Sub": torch.sub,
    "Mul": torch.mul,
    "Neg": torch.neg,
    "Abs": torch.abs,
    "Sqrt": torch.sqrt,
    "Reciprocal": torch.reciprocal,
    "Exp": torch.exp,
    "Log": torch.log,
    "Floor": torch.floor,
    "Ceil": torch.ceil,
    "Round": torch.round,
    "Sign": torch.sign,
    "Erf": torch.erf,
    "Sin": torch.sin,
    "Cos": torch.cos,
    "Tan": torch.tan,
    "Asin": torch.asin,
    "Acos": torch.acos,
    "Atan": torch.atan,
    "Sinh": torch.sinh,
    "Cosh": torch.cosh,
    "Asinh": torch.asinh,
    "Acosh": torch.acosh,
    "Atanh": torch.atanh,
    "Where": torch.where,
    "Equal": torch.eq,
    "Greater": torch.gt,
    "GreaterOrEqual": torch.ge,
    "Less": torch.lt,
    "LessOrEqual": torch.le,
    "And": torch.logical_and,
    "Or": torch.logical_or,
    "Xor": torch.logical_xor,
    "Not": torch.logical_not,
    "IsNaN": torch.isnan,
}
"""Operators that are one torch function; torch.round, like ONNX, takes halves to even."""

VARIADIC: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "Min": torch.minimum,
    "Max": torch.maximum,
    "Sum": torch.add,
    "Mean": torch.add,
}
"""What joins two inputs of an operator with any number of them."""


@operator(*PLAIN)
def plain(node: Node) -> Function:
    """Builds an operator that is one torch function."""
    return PLAIN[node.op]


@operator(*VARIADIC)
def variadic(node: Node) -> Function:
    """Builds the minimum, maximum, sum or mean of any number of inputs."""
    join = VARIADIC[node.op]
    if node.op == "Mean":
        return lambda *inputs: functools.reduce(join, inputs) / len(inputs)
    return lambda *inputs: functools.reduce(join, inputs)


@operator("Div")
def div(node: Node) -> Function:
    """Builds a quotient; that of integers is cut off towards zero."""
    known = next((value for value in node.constants if value is not None), None)
    if known is not None:
        return truncate if known.dtype.kind in "iu" else torch.div

    def run(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return divide(a, b)

    return run


def truncate(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Divides integers and drops the fraction."""
    return torch.div(a, b, rounding_mode="trunc")


def divide(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Divides tensors whose type is only known at run time."""
    return torch.div(a, b) if a.is_floating_point() else truncate(a, b)


@operator("Pow")
def power(node: Node) -> Function:
    """Builds a power of the base's type; a known scalar exponent keeps gradients free of logarithms."""
    value = node.constant(1)
    if value is not None and value.ndim == 0:
        exponent = value.item()
        return lambda x, y: torch.pow(x, exponent).to(x.dtype)
    return lambda x, y: torch.pow(x, y).to(x.dtype)


@operator("Mod")
def mod(node: Node) -> Function:
    """Builds a remainder with the sign of the divisor, or of the dividend with ``fmod``."""
    return torch.fmod if node.attribute("fmod", 0) else torch.remainder


@operator("IsInf")
def is_inf(node: Node) -> Function:
    """Builds a test for infinities of one sign, of both, or of none."""
    positive, negative = node.attribute("detect_positive", 1), node.attribute("detect_negative", 1)
    if positive and negative:
        return torch.isinf
    if positive:
        return torch.isposinf
    return torch.isneginf if negative else lambda x: torch.zeros_like(x, dtype=torch.bool)


@operator("Cast")
def cast(node: Node) -> Function:
    """Builds a change of element type; fractions are cut off on the way to integers."""
    kind = element_type(node, node.attribute("to"))
    return lambda x: x.to(kind)


@operator("CastLike")
def cast_like(node: Node) -> Function:
    """Builds a change to the element type of the second input."""
    return lambda x, like: x.to(like.dtype)


@operator("Identity")
def identity(node: Node) -> Function:
    """Builds nothing: the input is the output."""
    return lambda x: x


@operator("Dropout")
def dropout(node: Node) -> Function:
    """Builds inference: the input as it is, and a mask that keeps everything.

    Raises:
        ModelError: the node drops values, or may at run time.
    """
    if node.has(2) and (number(node, 2) is None or number(node, 2)):
        raise node.refuse("is in training mode")
    if node.output_count == 1:
        return lambda x, *others: x
    return lambda x, *others: (x, torch.ones_like(x, dtype=torch.bool))


torch.fx.wrap("divide")
