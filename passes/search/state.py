"""What the agent sees and does: HAQ's ten features per step, and the way from an action to a width and back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from haqc.graph import Layer
from haqc.policy import Choice, Space
from haqc.replay import Array

STATE_SIZE = 10
FIRST_ACTION = 1.0
"""What stands as the previous action before the first step: as if a layer before had its full width."""


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One decision of an episode: the width of one operand.

    Attributes:
        choice: what may be decided.
        features: the first nine features of the state, in [0, 1]; the tenth is the previous action.
    """

    choice: Choice
    features: Array

    def state(self, previous_action: float) -> Array:
        """Gives the state in which this step is decided, shape ``[10]``."""
        return np.append(self.features, np.float32(previous_action)).astype(np.float32)


def plan_steps(space: Space) -> tuple[Step, ...]:
    """Gives the steps of one episode: layers in graph order, weights before data, free operands only.

    A tensor that several layers read, or a group of tensors, is decided at the first of them. A free operand that no
    layer reads comes last, with the features of the last layer.
    """
    layers = space.graph.quantised_layers
    free = {choice.operand.tensor: choice for choice in space.free}
    features = layer_features(layers)
    steps: dict[str, Step] = {}
    for row, layer in zip(features, layers, strict=True):
        for flag, tensor in ((0.0, space.graph.leader(layer.weight)), (1.0, space.graph.leader(layer.activation))):
            if tensor in free and tensor not in steps:
                steps[tensor] = Step(free[tensor], np.append(row, np.float32(flag)))
    unread = np.append(features[-1], np.float32(1.0)) if layers else np.ones(STATE_SIZE - 1, np.float32)
    return tuple(steps.values()) + tuple(Step(free[tensor], unread) for tensor in free if tensor not in steps)


def layer_features(layers: tuple[Layer, ...]) -> Array:
    """Gives eight features per layer, each scaled to [0, 1] over the layers of this network (HAQ, section 3.1).

    They are: position, input channels, output channels, kernel, stride, input size, number of weights, and whether
    the layer is depthwise. A feature that is equal for all layers is 0.

    Returns:
        Shape ``[layers, 8]``.
    """
    rows = [
        (
            index,
            layer.in_channels,
            layer.out_channels,
            layer.kernel[0] if layer.kernel else 1,
            layer.stride[0] if layer.stride else 0,
            layer.feature_size,
            layer.weight_values,
            layer.is_depthwise,
        )
        for index, layer in enumerate(layers)
    ]
    table = np.asarray(rows, np.float64).reshape(len(layers), STATE_SIZE - 2)
    if not layers:
        return table.astype(np.float32)
    low, high = table.min(axis=0), table.max(axis=0)
    scaled: Array = ((table - low) / np.where(high > low, high - low, 1.0)).astype(np.float32)
    return scaled


def width_of(action: float, widths: tuple[int, ...]) -> int:
    """Gives the width that an action in [0, 1] stands for.

    HAQ's equation 3, round(b_min - 1/2 + a (b_max - b_min + 1)), over the places of the allowed widths: the same
    where these are consecutive, and equal shares of [0, 1] where they are not.

    >>> [width_of(a, (2, 3, 4, 5, 6, 7, 8)) for a in (0.0, 0.1, 0.2, 0.5, 1.0)]
    [2, 2, 3, 5, 8]
    >>> [width_of(a, (2, 4, 8)) for a in (0.3, 0.4, 0.7)]
    [2, 4, 8]
    """
    place = round(-0.5 + action * len(widths))
    return widths[min(max(place, 0), len(widths) - 1)]


def action_of(width: int, widths: tuple[int, ...]) -> float:
    """Gives the action in the middle of those that stand for a width.

    >>> action_of(4, (2, 4, 8))
    0.5
    """
    return (widths.index(width) + 0.5) / len(widths)
