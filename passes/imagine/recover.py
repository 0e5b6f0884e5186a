"""Finds out which values an input takes, from nothing but the network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from haqc.data import InputSpec
from haqc.data.span import Span
from haqc.mirror import Mirror
from haqc.passes.imagine.picture import draw, draw_smooth
from haqc.passes.imagine.span import UNIT, candidates, conventional


class Evidence(Protocol):
    """Says of samples how likely they are to be of the kind that the network was trained on."""

    @property
    def known(self) -> str:
        """The name of the evidence."""

    @property
    def least(self) -> float:
        """Evidence below this is none."""

    def close(self, best: float) -> float:
        """Gives what is hardly less than the best evidence."""

    def measure(self, mirror: Mirror, inputs: tuple[np.ndarray, ...], run: int) -> float:
        """Gives the evidence: the more, the likelier."""


@dataclass(frozen=True, slots=True)
class Recovered:
    """The values of one input, and where they are known from.

    Attributes:
        spans: the values; two spans where there is hardly less evidence for one than for the other.
        known: how: ``type``, ``graph``, ``outputs``, ``statistics``, or ``assumed`` when nothing is known.
        gain: the evidence for the first; 0 where there was no need of any.
        unit_gain: the evidence for the span that is assumed otherwise.
    """

    spans: tuple[Span, ...]
    known: str
    gain: float = 0.0
    unit_gain: float = 0.0


def recover(
    mirror: Mirror,
    spec: InputSpec,
    fixed: Mapping[str, np.ndarray],
    evidence: Evidence,
    count: int,
    run: int,
    generator: np.random.Generator,
) -> Recovered:
    """Recovers the values of one input: those for which there is most evidence.

    Without statistics, that is what the outputs tell about what was given. Inputs that are too small drown in the
    biases, so that all samples have one output; inputs that are too large saturate. Between them the outputs differ,
    and each is sure. Pictures with edges and smooth ones are asked, and lengths that people use are preferred to those
    that nobody does. Whether values begin at zero or lie about it often cannot be told; then both are kept.

    Args:
        mirror: the float network.
        spec: the input.
        fixed: ``count`` samples of each other input, by name.
        evidence: what is measured.
        count: samples that each span is tried with.
        run: samples that run together.
        generator: of all draws.
    """
    kinds = [draw(spec, count, generator), draw_smooth(spec, count, generator)]

    def gain(span: Span) -> float:
        total = 0.0
        for values in kinds:
            given = {**fixed, spec.name: span.place(values, spec.dtype)}
            total += evidence.measure(mirror, tuple(given[name] for name in mirror.inputs), run)
        return total / len(kinds)

    gains = {span: gain(span) for span in candidates()}
    best = max(gains, key=lambda span: gains[span])
    if gains[best] < evidence.least:
        return Recovered((UNIT,), "assumed", gains[UNIT], gains[UNIT])
    others = [span for span in gains if span.is_centred != best.is_centred]
    second = max(others, key=lambda span: gains[span])
    is_close = gains[second] >= evidence.close(gains[best])
    spans = (conventional(best), conventional(second)) if is_close else (conventional(best),)
    return Recovered(spans, evidence.known, gains[best], gains[UNIT])
