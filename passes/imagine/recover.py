"""Finds out which values an input takes, from nothing but the network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from haqc.data import InputSpec
from haqc.mirror import Mirror
from haqc.passes.imagine.picture import draw, draw_smooth
from haqc.passes.imagine.span import UNIT, Span, candidates, conventional
from haqc.passes.imagine.telling import Telling

_LEAST_GAIN = 0.05
"""Outputs that tell less than this, in nats or directions, do so by chance: the network was not trained."""


@dataclass(frozen=True, slots=True)
class Recovered:
    """The values of one input, and where they are known from.

    Attributes:
        span: the values.
        known: how: ``type``, ``graph``, ``outputs``, or ``assumed`` when nothing is known.
        gain: what the outputs tell at that span, see :class:`Telling`; 0 where it was not asked for.
        unit_gain: what they tell at the span that is assumed otherwise.
    """

    span: Span
    known: str
    gain: float = 0.0
    unit_gain: float = 0.0


def recover(
    mirror: Mirror,
    spec: InputSpec,
    fixed: Mapping[str, np.ndarray],
    telling: Telling,
    count: int,
    run: int,
    generator: np.random.Generator,
) -> Recovered:
    """Recovers the values of one input: those at which the outputs tell most about what was given.

    Inputs that are too small drown in the biases, so that all samples have one output; inputs that are too large
    saturate. Between them the outputs differ, and each is sure. Both pictures with edges and smooth ones are asked,
    and the lengths that people use are preferred to those that nobody does.

    Args:
        mirror: the float network.
        spec: the input.
        fixed: ``count`` samples of each other input, by name.
        telling: what is measured.
        count: samples that each span is tried with.
        run: samples that run together.
        generator: of all draws.
    """
    kinds = [draw(spec, count, generator), draw_smooth(spec, count, generator)]

    def gain(span: Span) -> float:
        total = 0.0
        for values in kinds:
            given = {**fixed, spec.name: span.place(values, spec.dtype)}
            total += telling.measure(mirror, tuple(given[name] for name in mirror.inputs), run)
        return total / len(kinds)

    gains = {span: gain(span) for span in candidates()}
    best = max(gains, key=lambda span: gains[span])
    if gains[best] < _LEAST_GAIN:
        return Recovered(UNIT, "assumed", gains[UNIT], gains[UNIT])
    return Recovered(conventional(best), "outputs", gains[best], gains[UNIT])
