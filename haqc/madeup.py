"""The data of a compile without data: inputs made of the model itself."""

from __future__ import annotations

from collections.abc import Mapping

import onnx_ir as ir

from haqc import data
from haqc.data import Counts, Dataset
from haqc.dimensions import Shape
from haqc.effort import Effort
from haqc.frontend import Front
from haqc.mirror import Mirror
from haqc.passes.imagine import imagine
from haqc.roles import roles
from haqc.samples import telling

MEASURED = (
    "On four trained networks with real data to judge by, agreement on inputs made like these followed real accuracy "
    "with rank correlations of 0.64 to 0.95, and lay 5 to 20 points below real agreement on average: compare policies "
    "by it, and do not read it as accuracy"
)
"""What ``python -m benchmarks.agreement`` found; see ``docs/data-free.md``."""

UNMEASURED = (
    "No benchmark covers inputs like these, because their values are assumed or pick rows of a table: the figure may "
    "say nothing of real data"
)


def make_up(
    front: Front, bound: ir.Model, mirror: Mirror, effort: Effort, seed: int, shapes: Mapping[str, Shape] | None = None
) -> Dataset:
    """Makes the data of a compile of the model itself.

    Args:
        front: the model as it was read.
        bound: the model at fixed shapes.
        mirror: the float network.
        effort: how many samples are made, and with how much work.
        seed: of all draws.
        shapes: shapes of inputs that were given.

    Raises:
        DataError: an input has an open axis or a type that is no number, the samples would not fit into memory, or no
            output can be scored.
    """
    specs, counts = front.inputs(shapes), Counts(*effort.made_up)
    made = imagine(
        mirror, specs, roles(bound), front.stated, front.statistics, telling(front.model), counts, effort, seed
    )
    is_known = bool(made.recovered) and all(found.known != "assumed" for found in made.recovered.values())
    return data.synthetic(made.arrays, specs, counts, made.words, MEASURED if is_known else UNMEASURED)
