"""Whether gradients pass through an operator: its mirror's own, held against finite differences in double precision.

The cases are the ONNX project's, moved by a little noise away from the kinks and ties that people write examples at,
and the nodes of :mod:`tests.coverage.nodes` for operators that those do not reach.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import onnx
import onnx.parser
import onnx_ir as ir
import torch
from onnx import numpy_helper

from haqc.mirror import Mirror, from_onnx
from haqc.mirror.node import REGISTRY
from tests.coverage.nodes import CHOICE, NODES
from tests.mirror.one_node import OneNode
from tests.mirror.onnx_cases import LEFT_OUT, Case, cases, first_match

Array = np.ndarray
Operator = tuple[str, str]

EXACT, FLAT, NONE = "exact", "zero", "none"
"""What passes: the gradient of finite differences, which is somewhere not zero; zero, as they say; or nothing."""

NOISE = 1e-2
"""Standard deviation of what is added to the inputs of a case."""

LARGEST = 600
"""Cases of more values are left out; each value takes part in finite differences."""

FIXED = {
    "BatchNormalization": (3, 4),  # the stored statistics are data, not parameters: they get no gradient by design
    "DequantizeLinear": (0, 2),
    "QuantizeLinear": (2,),
}
"""Floating-point inputs that are held fixed, beside those that ONNX declares not differentiable."""

BEYOND = {
    "test_cast_FLOAT_to_FLOAT16": "finite differences need more than half precision",
    "test_bitcast_scalar_float32_to_int32": "the bits of a double are others",
    "test_castlike_FLOAT_to_FLOAT16": "finite differences need more than half precision",
    "test_castlike_FLOAT_to_FLOAT16_expanded": "finite differences need more than half precision",
}
"""Cases that finite differences cannot judge, with the reason."""


@dataclass(frozen=True)
class Trial:
    """One node with numbers: where gradients are asked for, and where not."""

    name: str
    operator: Operator
    model: onnx.ModelProto
    moving: tuple[Array, ...]

    def mirror(self) -> Mirror:
        """Builds the node in double precision; what does not move is a constant of the graph."""
        return from_onnx(ir.from_proto(self.model)).double().requires_grad_(False)

    def gradient(self) -> str:
        """Compares with finite differences and says what passes.

        Raises:
            RuntimeError: the two differ.
        """
        mirror = self.mirror()
        inputs = [torch.from_numpy(array.astype(np.float64)).requires_grad_() for array in self.moving]
        kept = [index for index, value in enumerate(mirror(*inputs)) if value.requires_grad]
        if not kept:
            return NONE

        def function(*values: torch.Tensor) -> tuple[torch.Tensor, ...]:
            results = mirror(*values)
            return tuple(results[index] for index in kept)

        torch.autograd.gradcheck(function, inputs, fast_mode=True)
        total = sum((value + value * value).sum() for value in function(*inputs))
        gradients = torch.autograd.grad(total, inputs, allow_unused=True)
        return EXACT if any(gradient is not None and gradient.any() for gradient in gradients) else FLAT


@functools.cache
def trials() -> tuple[Trial, ...]:
    """Gives all trials whose operator has a mirror."""
    from_cases = (trial for case in cases("node") if case.is_in_scope for trial in _of_case(case))
    return (*from_cases, *(trial for node in NODES for trial in _of_node(node)), _choice())


@functools.cache
def gradients(operator: Operator) -> str:
    """Gives the most that passes through an operator in any trial; empty where there is no trial."""
    found = {trial.gradient() for trial in trials() if trial.operator == operator}
    if not found and not _takes_and_gives_floats(operator):
        return NONE
    return next((kind for kind in (EXACT, FLAT, NONE) if kind in found), "")


def _takes_and_gives_floats(operator: Operator) -> bool:
    """Whether, by its specification, floating-point numbers may come in and go out."""
    schema = onnx.defs.get_schema(operator[1], operator[0])
    sides = ([formal.types for formal in side] for side in (schema.inputs, schema.outputs))
    return all(any("tensor(float)" in types for types in side) for side in sides)


def _of_case(case: Case) -> Iterator[Trial]:
    nodes = list(case.model.graph.node)
    if len(nodes) != 1 or case.name in BEYOND or first_match(case.name, LEFT_OUT) or not case.data:
        return
    values = dict(zip([value.name for value in case.model.graph.input], case.data[0][0], strict=True))
    yield from _trial(case.name, (nodes[0].domain, nodes[0].op_type), case.model, values)


def _choice() -> Trial:
    """Gives a trial of If, whose only input is a truth value: what its body reads moves."""
    model = onnx.parser.parse_model(CHOICE)
    return Trial("If of our own", ("", "If"), model, (np.linspace(0.5, 2.0, 4),))


def _of_node(node: OneNode) -> Iterator[Trial]:
    model = node.model()
    values = {name: value for name, value in zip(node.names, node.inputs, strict=True) if value is not None}
    known = {tensor.name for tensor in model.graph.initializer}
    moving = {name: value for name, value in values.items() if name not in known}
    yield from _trial(f"{node.op} of our own", (node.domain, node.op), model, moving)


def _trial(name: str, operator: Operator, model: onnx.ModelProto, values: dict[str, Array]) -> Iterator[Trial]:
    """Gives a trial unless the numbers are unfit for finite differences."""
    (node,) = model.graph.node
    if operator not in REGISTRY.builders:
        return
    fixed = _fixed(node, model)
    moving = [n for n, value in values.items() if value.dtype == np.float32 and n not in fixed]
    others = [value for n, value in values.items() if n not in moving]
    is_fit = all(value.size and np.isfinite(value).all() for n, value in values.items() if n in moving)
    is_plain = all(value.dtype.kind in "biuf" and value.dtype not in ("u2", "u4", "u8", "f2") for value in others)
    if not moving or not is_fit or not is_plain or sum(value.size for value in values.values()) > LARGEST:
        return
    known = onnx.ModelProto()
    known.CopyFrom(model)
    for value in list(known.graph.input):
        if value.name not in moving:
            known.graph.input.remove(value)
            known.graph.initializer.append(numpy_helper.from_array(values[value.name], value.name))
    random = np.random.default_rng(0)
    noisy = tuple(values[n] + NOISE * random.standard_normal(values[n].shape) for n in moving)
    yield Trial(name, operator, known, tuple(np.asarray(array) for array in noisy))


def _fixed(node: onnx.NodeProto, model: onnx.ModelProto) -> set[str]:
    """Gives the inputs that do not move: those that ONNX declares not differentiable, unless all are, and ours."""
    held = {node.input[index] for index in FIXED.get(node.op_type, ()) if index < len(node.input)}
    if node.domain:
        return held
    versions = {opset.domain: opset.version for opset in model.opset_import}
    formal = onnx.defs.get_schema(node.op_type, versions[""]).inputs
    none = onnx.defs.OpSchema.DifferentiationCategory.NonDifferentiable
    declared = {
        name
        for index, name in enumerate(node.input)
        if formal[min(index, len(formal) - 1)].differentiation_category == none
    }
    return held if declared >= set(node.input) else held | declared
