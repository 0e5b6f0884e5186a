"""Bits of each layer, as the paper draws its policies (HAQ, figures 3 and 4): weights up, activations down."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from haqc.figures.style import (
    ACTIVATION,
    ACTIVATION_DEPTHWISE,
    INK,
    WEIGHT,
    WEIGHT_DEPTHWISE,
    is_depthwise,
    layer_axis,
)
from haqc.graph import FULL_BITS


def draw_policy(axes: Any, content: Mapping[str, Any]) -> None:
    """Draws the widths of every layer.

    Args:
        axes: matplotlib's axes.
        content: the report (``docs/report-schema.md``).
    """
    layers = content["layers"]
    for is_light, (weight, activation), words in (
        (False, (WEIGHT, ACTIVATION), ""),
        (True, (WEIGHT_DEPTHWISE, ACTIVATION_DEPTHWISE), ", depthwise"),
    ):
        places = [place for place, layer in enumerate(layers) if is_depthwise(layer) == is_light]
        if places:
            up = [layers[place]["weight_bits"] for place in places]
            # Data in float are as wide as the figure.
            down = [-min(FULL_BITS, layers[place]["activation_bits"]) for place in places]
            axes.bar(places, up, 0.75, color=weight, label=f"weights{words}")
            axes.bar(places, down, 0.75, color=activation, label=f"activations{words}")
    axes.axhline(0, color=INK, linewidth=0.8)
    axes.set_ylim(-FULL_BITS - 0.3, FULL_BITS + 0.3)
    axes.set_yticks(range(-FULL_BITS, FULL_BITS + 1, 2), [str(abs(n)) for n in range(-FULL_BITS, FULL_BITS + 1, 2)])
    axes.set_ylabel("activations, weights (bits)")
    layer_axis(axes, layers)
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=4, fontsize=8)
