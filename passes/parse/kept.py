"""Layers that stay in float because the user says so."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from dataclasses import replace

from haqc.errors import PolicyError, nearest
from haqc.graph import Layer
from haqc.passes.parse.steps import Step

OPTION = "--keep-float"
"""What the command line calls it, for messages."""


def kept_in_float(steps: Sequence[Step], patterns: Sequence[str]) -> tuple[Step, ...]:
    """Gives the steps with the layers that patterns match in float; both layers of a recurrent node stay together.

    Raises:
        PolicyError: a pattern matches no layer, or one whose stored weights a quantised layer shares.
    """
    layers = [layer for step in steps for layer in step.layers]
    pattern_of: dict[str, str] = {}
    for pattern in patterns:
        matched = [layer for layer in layers if fnmatch.fnmatchcase(layer.name, pattern)]
        if not matched:
            hint = nearest(pattern, [layer.name for layer in layers])
            raise PolicyError(f"{OPTION} '{pattern}' matches no layer{hint}; 'haqc cost' lists the layers' names")
        for layer in matched:
            pattern_of.setdefault(layer.nodes[0], pattern)
    kept = [layer for layer in layers if layer.nodes[0] in pattern_of]
    _require_own_weights(kept, [layer for layer in layers if layer.nodes[0] not in pattern_of])
    return tuple(
        replace(step, layers=tuple(_in_float(layer, pattern_of) for layer in step.layers)) if step.layers else step
        for step in steps
    )


def _in_float(layer: Layer, pattern_of: dict[str, str]) -> Layer:
    pattern = pattern_of.get(layer.nodes[0])
    if pattern is None or layer.float_reason:
        return layer
    return replace(layer, float_reason=f"kept in float by '{pattern}'", data_reason="")


def _require_own_weights(kept: Sequence[Layer], others: Sequence[Layer]) -> None:
    """Refuses a layer whose weights would be quantised for another layer that shares them."""
    readers = {layer.weight: layer for layer in reversed(others) if not layer.float_reason}  # where weights count
    for layer in kept:
        other = readers.get(layer.weight)
        if other is not None and layer.weight_values + other.weight_values:  # else what both read is no stored weight
            raise PolicyError(
                f"{OPTION} keeps '{layer.name}' in float, whose weights '{layer.weight}' are also those of "
                f"'{other.name}', which is quantised; keep both in float, or neither"
            )
