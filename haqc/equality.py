"""Whether mirror, cleaned model and original model compute the same, before anything is quantised."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx_ir as ir
import torch

from haqc.content import Content
from haqc.data.split import Split
from haqc.errors import VerificationError
from haqc.frontend import Front
from haqc.gap import bounded_input, gap_between, least_magnitude, least_magnitudes
from haqc.mirror import Mirror
from haqc.runtime import Runtime

MIRROR_TOLERANCE = 1e-4
"""Largest difference of floats, as a share of the largest magnitude of their tensor."""

HALF_TOLERANCE = 0.05
"""Such a share between cleaned and original model where the original rounds to 16 bits, and the cleaned does not.

A float16 has 11 bits, and what a network of them rounds adds up; what this finds is a graph gone wrong.
"""

SAMPLES = 8


def require_equal(mirror: Mirror, front: Front, original: Runtime, split: Split) -> None:
    """Refuses to go on when the mirror does not compute what the model computes, in all of its outputs.

    Args:
        mirror: the float mirror.
        front: the cleaned model, which the mirror must equal to rounding.
        original: the model as it was given, which the cleaned model must equal: to rounding, or where it computes in
            16 bits, within :data:`HALF_TOLERANCE`; of a file that was quantised already, its float graph.
        split: samples, of which the first few run.

    Raises:
        VerificationError: an output differs; the message names it, and the first tensor that does.
    """
    few = split.take(slice(0, split.samples_per_run or SAMPLES))
    inputs, _ = next(few.runs(SAMPLES))
    given = dict(zip(mirror.inputs, inputs, strict=True))
    exposed = _with_logits(front.model)
    expected = Runtime(Content.of(exposed)).run(given)
    least = least_magnitudes(exposed)
    for name, found in zip(least, _values(mirror, inputs, tuple(least)), strict=True):
        gap = gap_between(found, expected[name], least[name])
        if not gap <= MIRROR_TOLERANCE:
            first = _first_difference(mirror, front, given)
            kind = "output" if name in mirror.outputs else "tensor"
            raise VerificationError(
                f"the mirror differs from the model at {kind} '{name}' by {gap:.3g} of its largest magnitude{first}; "
                "please report this with the model"
            )
    tolerance = HALF_TOLERANCE if front.is_half else MIRROR_TOLERANCE
    if original.samples_per_run not in (None, len(inputs[0])):
        given = _filled(given, original.samples_per_run)
        expected = Runtime(Content.of(front.model)).run(given)
    for name, array in original.run(given).items():
        gap = gap_between(expected[name], array, least.get(name, 0.0))
        if not gap <= tolerance:
            raise VerificationError(
                f"the cleaned model differs from the original at output '{name}' by {gap:.3g} of its largest "
                f"magnitude, where {tolerance:g} is allowed; please report this with the model"
            )


def _with_logits(model: ir.Model) -> ir.Model:
    """Gives a copy that also puts out what a bounded function reads: outputs that are all near 0 or 1 say little."""
    copy = model.clone()
    read = [bounded_input(output) for output in copy.graph.outputs]
    logits = [value for value in read if value is not None and value.producer() is not None and value.type is not None]
    copy.graph.outputs.extend(value for value in dict.fromkeys(logits) if value not in copy.graph.outputs)
    return copy


def _values(mirror: Mirror, inputs: tuple[np.ndarray, ...], wanted: tuple[str, ...]) -> list[np.ndarray]:
    with torch.no_grad():
        values = mirror.run(mirror.tensors(inputs), tuple(dict.fromkeys(wanted)))
    found = dict(zip(dict.fromkeys(wanted), values, strict=True))
    return [found[name].detach().cpu().numpy() for name in wanted]  # an output may be a parameter itself


def _filled(given: Mapping[str, np.ndarray], count: int | None) -> dict[str, np.ndarray]:
    """Gives exactly ``count`` samples: the first ones, the last of them repeated."""
    return {name: array[np.minimum(np.arange(count or 1), len(array) - 1)] for name, array in given.items()}


def _first_difference(mirror: Mirror, front: Front, given: Mapping[str, np.ndarray]) -> str:
    """Names the first tensor, in the order of the graph, in which mirror and cleaned model differ."""
    exposed = front.model.clone()
    exposed.graph.outputs[:] = [
        value for node in exposed.graph for value in node.outputs if value.name and value.type is not None
    ]
    expected = Runtime(Content.of(exposed), optimised=False).run(given)
    for value in exposed.graph.outputs:
        name, node = str(value.name), value.producer()
        (found,) = _values(mirror, tuple(given.values()), (name,))
        gap = gap_between(found, expected[name], least_magnitude(value))
        if node is not None and not gap <= MIRROR_TOLERANCE:
            return f", first at tensor '{name}' of {node.op_type} '{node.name}'"
    return ""
