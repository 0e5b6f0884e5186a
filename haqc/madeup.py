"""The data of a compile without data: inputs made of the model itself."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import onnx_ir as ir

from haqc import data
from haqc.content import Content
from haqc.data import Counts, Dataset
from haqc.data.synthetic import make_inputs
from haqc.dimensions import Shape
from haqc.effort import Effort
from haqc.equality import require_equal
from haqc.frontend import Front
from haqc.mirror import Mirror
from haqc.passes.imagine import imagine
from haqc.roles import roles
from haqc.runtime import Runtime
from haqc.samples import telling
from haqc.scored import scored_output

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
    front: Front,
    bound: ir.Model,
    mirror: Mirror,
    reference: Path | Content,
    effort: Effort,
    seed: int,
    shapes: Mapping[str, Shape] | None = None,
) -> Dataset:
    """Makes the data of a compile of the model itself.

    Args:
        front: the model as it was read.
        bound: the model at fixed shapes.
        mirror: the float network.
        reference: the original model, as a file or its content.
        effort: how many samples are made, and with how much work.
        seed: of all draws.
        shapes: shapes of inputs that were given.

    Raises:
        DataError: an input has an open axis or a type that is no number, the samples would not fit into memory, or no
            output can be scored.
        ModelError: onnxruntime refuses the model, or fails on it.
        VerificationError: the mirror does not compute what the model computes.
    """
    specs, counts, kinds = front.inputs(shapes), Counts(*effort.made_up), roles(bound)
    _try(front, mirror, reference, data.synthetic(make_inputs(specs, seed, kinds, counts), specs, counts, {}), effort)
    made = imagine(mirror, specs, kinds, front.stated, front.statistics, telling(front.model), counts, effort, seed)
    is_known = bool(made.recovered) and all(found.known != "assumed" for found in made.recovered.values())
    return data.synthetic(made.arrays, specs, counts, made.words, MEASURED if is_known else UNMEASURED)


def _try(front: Front, mirror: Mirror, reference: Path | Content, dataset: Dataset, effort: Effort) -> None:
    """Runs the model on plain noise first: what cannot run at all is refused in onnxruntime's words."""
    runtime, few = Runtime(reference), dataset.train.take(slice(0, effort.probes))
    runtime.output(str(scored_output(front.model).name), few, effort.run)
    require_equal(mirror, front, runtime, few)
