"""An ONNX node as the operator families see it: plain Python values, no onnx types."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from haqc.errors import ModelError, nearest

Function = Callable[..., "torch.Tensor | tuple[torch.Tensor, ...]"]
"""Takes one tensor per ONNX input (``None`` where an optional input is absent); gives the output or the outputs."""

Builder = Callable[["Node"], Function]


class Unmirrored(ModelError):
    """A node has no mirror.

    Attributes:
        what: the node, its operator with domain and opset, and what about it.
    """

    def __init__(self, what: str) -> None:
        super().__init__(f"{what}; rewrite it before compiling, or use 'haqc cost', which needs no mirror")
        self.what = what


@dataclass(frozen=True, slots=True)
class Node:
    """What an operator family needs to build a function.

    Attributes:
        op: ONNX operator name.
        domain: its domain; the default domain is the empty string.
        name: the node's name, for messages.
        opset: opset version of the domain.
        attributes: attribute values as Python numbers, strings, lists or numpy arrays.
        constants: one entry per input: its value when it is known while building, else ``None``.
        present: one entry per input: whether it is given at all.
        output_count: how many outputs the node has.
    """

    op: str
    name: str
    opset: int
    attributes: Mapping[str, Any]
    constants: tuple[np.ndarray | None, ...]
    present: tuple[bool, ...]
    output_count: int = 1
    domain: str = ""

    def attribute(self, name: str, default: Any = None) -> Any:
        """Gives an attribute, or the default that the operator's specification states."""
        return self.attributes.get(name, default)

    def constant(self, index: int) -> np.ndarray | None:
        """Gives the constant value of an input; ``None`` when the input is absent or only known at run time."""
        return self.constants[index] if index < len(self.constants) else None

    def has(self, index: int) -> bool:
        """Whether an input is given."""
        return index < len(self.present) and self.present[index]

    def refuse(self, reason: str) -> Unmirrored:
        """Makes the error for a form of the operator that the mirror lacks."""
        operator_ = f"{self.domain}.{self.op}" if self.domain else self.op
        return Unmirrored(f"node '{self.name}' ({operator_}, opset {self.opset}) {reason}")


@dataclass(frozen=True)
class Registry:
    """The operators the mirror knows, by (domain, name)."""

    builders: dict[tuple[str, str], Builder] = field(default_factory=dict)

    def operator(self, *names: str, domain: str = "") -> Callable[[Builder], Builder]:
        """Registers a builder for one or several operators."""

        def register(builder: Builder) -> Builder:
            for name in names:
                if (domain, name) in self.builders:
                    raise ValueError(f"operator {name} is registered twice")
                self.builders[(domain, name)] = builder
            return builder

        return register

    def build(self, node: Node) -> Function:
        """Builds the function of a node.

        Raises:
            Unmirrored: the operator, or this form of it, has no mirror; the message names node, operator and opset.
        """
        builder = self.builders.get((node.domain, node.op))
        if builder is None:
            known = [name for domain, name in self.builders if domain == node.domain]
            raise node.refuse(f"has no mirror{nearest(node.op, known)}")
        return builder(node)


REGISTRY = Registry()
operator = REGISTRY.operator
