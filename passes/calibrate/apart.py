"""Sets steps apart whose ranges are one another's double: a tensor would lie on another's ties otherwise.

Where a gate in ``c + c * gate`` is 0, what is added is ``c``, which has been rounded to multiples of its step; the sum
reaches twice as far as ``c``, so its step may be exactly twice as large. Half of all codes of ``c`` then lie exactly
between two codes of the sum, and the last bit of a float decides, which no two runtimes round alike.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import replace

from haqc.calibration import ActivationGrid, Calibration
from haqc.quant import activation_range

APART = 2.0**-16
"""What a step is made smaller by for every doubling: hundreds of times what float32 rounds off, and far below what
calibration can tell."""

_PRECISION = 1 << 24
"""Ranges count as each other's double where their ratio is a power of two to this precision."""

Key = tuple[str, int]


def set_apart(calibration: Calibration) -> Calibration:
    """Gives the calibration with every range made smaller by 2^-16 for each time it is another tensor's doubled.

    Ranges and not steps are compared, for any two widths may meet: at 4 and at 8 bits the steps of two ranges of which
    one is the other's double are as 2 to 17, which lays codes on ties just as 1 to 2 does. Equal ranges stay equal:
    there, codes of one tensor are codes of the other.
    """
    alike: defaultdict[int, list[tuple[Key, int]]] = defaultdict(list)
    for (tensor, bits), grid in calibration.activations.items():
        doublings, rest = divmod(round(_PRECISION * math.log2(_reach(grid, bits))), _PRECISION)
        alike[rest].append(((tensor, bits), doublings))
    grids = dict(calibration.activations)
    for members in alike.values():
        least = min(doublings for _, doublings in members)
        if len({tensor for (tensor, _), _ in members}) > 1:
            for key, doublings in members:
                shrunk = grids[key].scale * (1 - APART * (doublings - least))
                grids[key] = ActivationGrid(shrunk, grids[key].zero_point)
    return replace(calibration, activations=grids)


def _reach(grid: ActivationGrid, bits: int) -> float:
    return grid.scale * activation_range(bits)[1]
