"""What the mirror runs: steps in order, and the bodies of control flow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

Function = Callable[..., Any]
"""Takes one tensor per ONNX input (``None`` where an optional input is absent); gives the output or the outputs."""


@dataclass(frozen=True, slots=True)
class Step:
    """One node at run time.

    Attributes:
        name: of the node.
        function: what it computes.
        inputs: keys of the values it reads, in order; empty where an optional input is absent.
        outputs: keys of the values it writes; empty where nobody wants one.
        dead: keys of the values that nothing reads afterwards.
        gap: why no gradient passes: which node, and what about it; empty where it passes.
        is_anchored: whether the last input only says on which device tensors are to be made.
    """

    name: str
    function: Function
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    dead: tuple[str, ...] = ()
    gap: str = ""
    is_anchored: bool = False

    @property
    def operands(self) -> tuple[str, ...]:
        """The inputs that what it writes depends on."""
        return self.inputs[:-1] if self.is_anchored else self.inputs

    def run(self, values: dict[str, Any]) -> Sequence[Any]:
        """Gives the values of the outputs."""
        result = self.function(*[values[key] if key else None for key in self.inputs])
        return result if isinstance(result, tuple) else (result,)


@dataclass(frozen=True, slots=True)
class Body:
    """The graph inside a control-flow node, as a function.

    Attributes:
        inputs: keys of its own inputs.
        ranks: how many axes each of them is declared with; ``None`` where the model does not say.
        captured: keys, in the enclosing graph, of what it reads from outside; the enclosing step passes them on.
        outputs: keys of its outputs.
        shapes: extents of each output as declared, 0 where unknown; ``None`` where even the rank is.
        types: element type of each output as declared; ``None`` where the model does not say.
        steps: its nodes.
    """

    inputs: tuple[str, ...]
    ranks: tuple[int | None, ...]
    captured: tuple[str, ...]
    outputs: tuple[str, ...]
    shapes: tuple[tuple[int, ...] | None, ...]
    types: tuple[torch.dtype | None, ...]
    steps: tuple[Step, ...]

    def __call__(self, captured: Sequence[Any], inputs: Sequence[Any]) -> tuple[Any, ...]:
        """Runs once and gives the outputs; both arguments are in the order of the attributes."""
        values = {outer(key): value for key, value in zip(self.captured, captured, strict=True)}
        values.update(zip(self.inputs, inputs, strict=True))
        for step in self.steps:
            for key, value in zip(step.outputs, step.run(values), strict=False):
                if key:
                    values[key] = value
            for key in step.dead:
                del values[key]
        return tuple(values[key] for key in self.outputs)


def outer(key: str) -> str:
    """Gives the key under which a body knows a value of the graph around it; no ONNX name shadows it by accident."""
    return f"^{key}"
