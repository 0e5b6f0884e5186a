"""How far float32 is off: what a network computes between tensors that are known, again in double precision.

Torch and onnxruntime sum in different orders. Between two quantised tensors that mostly changes the last bits, but some
formulas enlarge it, as a variance that is computed as the mean square less the squared mean does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree

from haqc.mirror.module import Mirror, Quantiser


class Double(TorchFunctionMode):
    """While it is entered, every operator reads and gives float64 where it would float32."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Widens what a function is given, calls it, and widens what it gives."""
        args, kwargs = pytree.tree_map(_widened, (args, dict(kwargs or {})))
        return pytree.tree_map(_widened, func(*args, **kwargs))


def rounding_errors(
    mirror: Mirror, inputs: tuple[Tensor, ...], values: Mapping[str, Tensor], known: Mapping[str, Tensor]
) -> dict[str, float]:
    """Gives the largest errors that float32 made, each from exactly known tensors before it.

    Args:
        mirror: the network.
        inputs: its inputs.
        values: tensors as they were computed in float32, by name.
        known: what the readers of some tensors saw in float32, these among them, by name.

    Returns:
        The errors by name; none where an operator runs in float32 alone.
    """
    if any(step.gap for step in mirror.steps):  # onnxruntime runs it
        return {}
    errors: dict[str, float] = {}

    def compared(name: str, seen: Tensor) -> Quantiser:
        def quantiser(exact: Tensor) -> Tensor:
            if name in values and exact.numel():
                errors[name] = float((exact - values[name]).abs().max())
            return seen

        return quantiser

    mirror.quantisers = {name: compared(name, seen) for name, seen in known.items()}
    try:
        with Double(), torch.no_grad():
            mirror.run(inputs, mirror.outputs)
    except RuntimeError:  # an operator that takes no float64
        return {}
    finally:
        mirror.quantisers = {}
    return {name: error for name, error in errors.items() if math.isfinite(error)}


def _widened(value: Any) -> Any:
    return value.double() if isinstance(value, Tensor) and value.dtype == torch.float32 else value
