"""Figures of a report or a front for papers and slides, drawn by matplotlib, which comes with ``haqc[plot]``."""

from __future__ import annotations

import importlib.util
import io
import warnings
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from haqc.errors import OutputError
from haqc.figures.cost import draw_cost
from haqc.figures.front import draw_front
from haqc.figures.policy import draw_policy
from haqc.figures.roofline import draw_roofline
from haqc.figures.style import SETTINGS
from haqc.figures.swept import draw_swept

__all__ = ["FORMATS", "KINDS", "draw", "draw_sweep"]

FORMATS: Mapping[str, Mapping[str, str | None]] = MappingProxyType(
    {"svg": {"Date": None}, "png": {}, "pdf": {"CreationDate": None}}
)
"""File formats, with what has to be left out of each so that the same report gives the same bytes."""

KINDS: Mapping[str, Callable[[Any, Mapping[str, Any]], None]] = MappingProxyType(
    {"policy": draw_policy, "roofline": draw_roofline, "front": draw_front, "cost": draw_cost}
)
"""The kinds of figures: each draws a report into matplotlib's axes."""

_HEIGHT_INCHES = 3.2
_DOTS_PER_INCH = 200


def draw(content: Mapping[str, Any], kind: str, file_format: str) -> bytes:
    """Draws a figure of a report; the same report gives the same bytes with the same matplotlib.

    Args:
        content: the report (``docs/report-schema.md``).
        kind: one of :data:`KINDS`.
        file_format: one of :data:`FORMATS`.

    Raises:
        OutputError: matplotlib is not installed.
        DataError: the report lacks what the figure shows.
    """
    width_inches = max(6.4, min(16.0, 1.6 + 0.13 * len(content["layers"]))) if kind in ("policy", "cost") else 4.8
    return _drawn(KINDS[kind], content, width_inches, file_format)  # bars of layers need room


def draw_sweep(content: Mapping[str, Any], file_format: str) -> bytes:
    """Draws the front of a sweep, otherwise like :func:`draw`.

    Args:
        content: the front (``docs/sweep.md``).
        file_format: one of :data:`FORMATS`.

    Raises:
        OutputError: matplotlib is not installed.
        DataError: no point has a file that was measured.
    """
    return _drawn(draw_swept, content, 4.8, file_format)


def _drawn(
    drawing: Callable[[Any, Mapping[str, Any]], None], content: Mapping[str, Any], width_inches: float, file_format: str
) -> bytes:
    if importlib.util.find_spec("matplotlib") is None:
        raise OutputError("figures need matplotlib, which is not installed; install it with pip install 'haqc[plot]'")
    import matplotlib as mpl  # noqa: PLC0415 (optional, and slow to load)
    from matplotlib.figure import Figure  # noqa: PLC0415

    settings: Any = dict(SETTINGS)  # matplotlib's own type lists every setting by name
    with mpl.rc_context(settings), warnings.catch_warnings():
        # A name may hold characters that no font here has; they are drawn as boxes.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure = Figure(figsize=(width_inches, _HEIGHT_INCHES), layout="constrained")
        drawing(figure.add_subplot(), content)
        stream = io.BytesIO()
        metadata = dict(FORMATS[file_format])
        figure.savefig(stream, format=file_format, dpi=_DOTS_PER_INCH, metadata=metadata)
    return stream.getvalue()
