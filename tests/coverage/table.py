"""The table of operators in docs/operators.md, computed from the code that treats them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
from onnx import helper

from haqc.costmodel.network import STREAMED
from haqc.errors import ModelError
from haqc.graph import RECURRENT
from haqc.mirror.node import REGISTRY
from haqc.passes.clean.refuse import refuse_integer_arithmetic
from haqc.passes.parse.lookups import is_table
from haqc.passes.parse.operators import COMPUTE, JOINING, POOLING, RESHAPING, UNMODELLED
from tests.coverage.gradients import gradients
from tests.mirror.onnx_cases import KINDS_OF_CASES, LEFT_OUT, NEWEST, cases, first_match

PATH = Path(__file__).resolve().parents[2] / "docs" / "operators.md"

Operator = tuple[str, str]

_HEAD = """# Operators

What haqc does with each operator of ONNX's default domain, and with those of `com.microsoft` that the mirror knows.
`python -m tests.coverage` writes this page from the code, and a test compares it with the code.

- **Cost**: *layer* is priced by its products and its traffic, *traffic* by the bytes it moves, *free* only renames or
  reorders values, *listed* stands in the list of what is not modelled, and so does *unmodelled*, which multiplies and
  accumulates beside. *Refused*: the file computes with quantised numbers, and the float model it was made from is
  asked for.
- **Mirror**: whether the operator has a mirror in torch, in which `haqc compile` trains. One without runs in
  onnxruntime where that has a kernel for it, which suffices wherever no gradient must pass.
- **Gradient**: *exact* is that of finite differences, *zero* is zero, as those of a staircase are, *none* is none:
  nothing passes from the operator's outputs to its inputs. The word is the outcome of a comparison with finite
  differences in double precision, not a declaration.
- **Quantised**: which of its operands a compile quantises. Tensors that only joins and pooling read have 8 bits.

"""

_FORMS = """
## Forms without a mirror

The ONNX project's own models whose operators all have a mirror are run through the clean-up and compared with
onnxruntime, to 1e-5 of the largest value: {compared} of them are equal. These are left out:

| models | how many | reason |
|---|---|---|
"""


def written() -> str:
    """Gives what the page must say."""
    known = [("", name) for name in sorted(_default_operators())]
    known += sorted(operator for operator in REGISTRY.builders if operator[0])
    mirrored = sum(operator in REGISTRY.builders for operator in known)
    count = f"{mirrored} of these {len(known)} operators have a mirror.\n\n"
    head = "| operator | cost | mirror | gradient | quantised |\n|---|---|---|---|---|\n"
    return _HEAD + count + head + "".join(map(_row, known)) + "".join(_forms())


def _default_operators() -> set[str]:
    """Names the operators of ONNX's default domain, but those that it withdrew."""
    return {s.name for s in onnx.defs.get_all_schemas() if s.domain == "" and not s.deprecated}


def _row(operator: Operator) -> str:
    domain, name = operator
    label = f"{domain}.{name}" if domain else name
    if not domain and min(s.since_version for s in _history(name)) > NEWEST:
        label += f" (opset {min(s.since_version for s in _history(name))})"
    is_mirrored = operator in REGISTRY.builders
    gradient = gradients(operator) if is_mirrored else ""
    return f"| {label} | {_cost(operator)} | {'yes' if is_mirrored else 'no'} | {gradient} | {_quantised(operator)} |\n"


def _history(name: str) -> list[onnx.defs.OpSchema]:
    return [s for s in onnx.defs.get_all_schemas_with_history() if s.domain == "" and s.name == name]


def _cost(operator: Operator) -> str:
    domain, name = operator
    if domain:
        return "listed"
    if _is_refused(name):
        return "refused"
    if _is_table(name):
        return "layer where it reads a table, else listed"
    kinds = {"layer": COMPUTE, "free": RESHAPING, "traffic": STREAMED, "unmodelled": UNMODELLED}
    return next((kind for kind, names in kinds.items() if name in names), "listed")


def _is_refused(name: str) -> bool:
    node = helper.make_node(name, [], ["y"], name="node")
    graph = helper.make_graph([node], "one", [], [])
    try:
        refuse_integer_arithmetic(ir.from_proto(helper.make_model(graph)))
    except ModelError:
        return True
    return False


def _is_table(name: str) -> bool:
    """Whether an operator is a layer where it reads a constant matrix first."""
    table = ir.Value(name="table", const_value=ir.tensor(np.zeros((3, 2), np.float32)))
    return is_table(ir.node(name, [table, ir.Value(name="rows")]))


def _quantised(operator: Operator) -> str:
    domain, name = operator
    if not domain and name in COMPUTE:
        return "weights and data, 8 bits" if name in RECURRENT else "weights and activations"
    if not domain and _is_table(name):
        return "the table"
    return "activations, 8 bits" if not domain and name in JOINING | POOLING else ""


def _forms() -> Iterator[str]:
    """Lists what of the ONNX project's cases is left out, with the reasons."""
    names = (case.name for kind in KINDS_OF_CASES for case in cases(kind) if case.is_in_scope)
    found = Counter(first_match(name, LEFT_OUT) for name in names)
    yield _FORMS.format(compared=found.pop(""))
    for pattern, reason in LEFT_OUT.items():
        yield f"| `{pattern}` | {found[pattern]} | {reason} |\n"
