"""Makes inputs of the model itself where there are no data: their values are recovered from what the network makes of
them, and their structure is that of natural images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from haqc.channelstatistics import ChannelStatistics
from haqc.data import Counts, InputSpec, Role
from haqc.data.span import Span
from haqc.data.synthetic import check_inputs, make_inputs, words_for
from haqc.effort import Effort
from haqc.mirror import Mirror
from haqc.passes.imagine.matching import Matching
from haqc.passes.imagine.picture import draw, structure
from haqc.passes.imagine.recover import Recovered, recover
from haqc.passes.imagine.span import UNIT, place
from haqc.passes.imagine.telling import Telling

__all__ = ["Imagined", "Recovered", "Telling", "imagine"]

_HOW = {
    "type": "which its type holds",
    "graph": "which the graph states",
    "outputs": "recovered from what the outputs tell",
    "statistics": "recovered from the statistics that batch-normalisations kept",
    "assumed": "assumed, because neither graph nor outputs tell",
}


@dataclass(frozen=True)
class Imagined:
    """Inputs that were made of the model.

    Attributes:
        arrays: samples by input, those to train first, then to search, then to report on.
        recovered: the values of each input that holds data.
        words: what was made for each input.
    """

    arrays: Mapping[str, np.ndarray]
    recovered: Mapping[str, Recovered]
    words: Mapping[str, str]


def imagine(
    mirror: Mirror,
    inputs: tuple[InputSpec, ...],
    roles: Mapping[str, Role],
    stated: Mapping[str, Span],
    statistics: tuple[ChannelStatistics, ...],
    telling: Telling,
    counts: Counts,
    effort: Effort,
    seed: int,
) -> Imagined:
    """Makes samples for every input.

    Args:
        mirror: the float network.
        inputs: the model's inputs.
        roles: what the model does with them; indices and masks are made as :mod:`haqc.data.synthetic` makes them.
        stated: the values of inputs that type or graph state.
        statistics: what the network kept of its training data; the values of the other inputs are recognised by them.
        telling: how they are recognised where there are none.
        counts: samples of each split.
        effort: how many samples try each span, and how many run together.
        seed: of all draws.

    Raises:
        DataError: an input has an open axis, or the samples would not fit into memory.
    """
    total = counts.train + counts.search + counts.reported
    data = [spec for spec in inputs if roles[spec.name].kind == "data"]
    others = tuple(spec for spec in inputs if spec not in data)
    check_inputs(inputs, total)
    made = make_inputs(others, seed, roles, counts)
    drawn = {spec.name: draw(spec, total, _generator(seed, spec.name, "draw")) for spec in data}
    each = inputs[0].shape[0]  # a model that takes a fixed number of samples gets no other
    probes = min(effort.probes, total)
    probes = probes if each is None else max(each, probes - probes % each)
    tried = {name: array[:probes] for name, array in made.items()}
    tried |= {spec.name: place(drawn[spec.name][:probes], (UNIT,), spec.dtype) for spec in data}
    evidence = Matching.of(mirror, statistics) or telling
    recovered = {}
    for spec in data:
        if spec.name in stated:
            found = Recovered((stated[spec.name],), "graph" if spec.dtype.kind == "f" else "type")
        else:
            generator = _generator(seed, spec.name, "recover")
            found = recover(mirror, spec, tried, evidence, probes, each or effort.run, generator)
        tried[spec.name] = place(drawn[spec.name][:probes], found.spans, spec.dtype)
        recovered[spec.name] = found
    arrays = made | {spec.name: place(drawn[spec.name], recovered[spec.name].spans, spec.dtype) for spec in data}
    arrays = {spec.name: arrays[spec.name] for spec in inputs}
    words = {spec.name: words_for(spec, roles[spec.name]) for spec in others}
    words |= {spec.name: _words(spec, recovered[spec.name]) for spec in data}
    return Imagined(arrays, recovered, {spec.name: words[spec.name] for spec in inputs})


def _words(spec: InputSpec, found: Recovered) -> str:
    spans = " or ".join(map(str, found.spans))
    return f"{structure(spec)}, values from {spans}, {_HOW[found.known]}"


def _generator(seed: int, name: str, purpose: str) -> np.random.Generator:
    """Gives draws of their own to every input and purpose."""
    return np.random.default_rng([seed, *f"{purpose} {name}".encode()])
