"""What all figures look like, and how they name layers and figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from haqc.passes.report.wording import quantity
from haqc.plaintext import visible

SETTINGS: Mapping[str, Any] = MappingProxyType(
    {
        "font.size": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        "axes.grid": True,
        "axes.grid.axis": "y",
        "grid.color": "#e3e7ec",
        "legend.frameon": False,
        "text.parse_math": False,  # names are no formulas
        "text.usetex": False,
        "svg.fonttype": "none",
        "svg.hashsalt": "haqc",
        "pdf.fonttype": 42,
    }
)
"""matplotlib's settings."""

WEIGHT, WEIGHT_DEPTHWISE = "#3b5bdb", "#9db0f5"
ACTIVATION, ACTIVATION_DEPTHWISE = "#d9630a", "#f5b682"
PARTS = (("compute", "arithmetic", "#0b7285"), ("on_chip", "on-chip memory", "#2fa59b"),
         ("off_chip", "off-chip memory", "#e8890c"), ("leakage", "leakage", "#a3adb8"))  # fmt: skip
INK, MUTED = "#17202b", "#6b7785"
ALLOCATORS = MappingProxyType(
    {
        "uniform": "#6b7785",
        "greedy": "#2b8a3e",
        "integer": "#9c36b5",
        "random": "#b08d4f",
        "ddpg": "#1c7ed6",
        "evolution": "#d6336c",
    }
)
"""Colours of allocators; those of the page."""

_NAMED_LAYERS = 24
_NAME = 22


def allocator_colour(name: str) -> str:
    """Gives the colour of an allocator, whatever follows its name."""
    return next((colour for known, colour in ALLOCATORS.items() if name.startswith(known)), "#0b7285")


def layer_axis(axes: Any, layers: Sequence[Mapping[str, Any]]) -> None:
    """Marks layers along the horizontal axis: a few by the end of their names, many by numbers."""
    axes.set_xlim(-0.7, len(layers) - 0.3)
    if len(layers) <= _NAMED_LAYERS:
        names = [visible(layer["name"]) for layer in layers]
        short = [name if len(name) <= _NAME else f"...{name[3 - _NAME :]}" for name in names]
        axes.set_xticks(range(len(layers)), short, rotation=40, ha="right", rotation_mode="anchor", fontsize=7)
    else:
        step = 5 if len(layers) <= 80 else 10
        axes.set_xticks(range(step - 1, len(layers), step), [str(n) for n in range(step, len(layers) + 1, step)])
        axes.set_xlabel("layer")


def quantities(axis: Any, unit: str) -> None:
    """Has an axis name its figures with prefixes and the unit."""
    axis.set_major_formatter(lambda value, _: quantity(value, unit))


def is_depthwise(layer: Mapping[str, Any]) -> bool:
    """Whether a layer is a depthwise convolution, which the paper's figures set apart."""
    return bool(layer["kind"] == "depthwise")
