"""Bias correction, without labels: what quantisation adds to the mean of a channel is taken from its bias."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

import numpy as np
import torch
from torch import Tensor

from haqc.data.split import Split
from haqc.graph import Layer
from haqc.mirror.quantised import QuantisedMirror
from haqc.mirror.step import Step
from haqc.mirror.stretch import Stretch
from haqc.reconstruct.parts import Original, first_inputs, over, stretches

SAMPLES = 256
"""Samples whose means are taken, at most."""

LARGEST_CHANGE = 2.0
"""Where inputs are taken as constant, no bias of a layer may change by more than this many times itself."""


@torch.no_grad()
def correct(network: QuantisedMirror, original: Mapping[str, np.ndarray], logits: str, split: Split) -> None:
    """Moves the biases so that what a layer gives has the float network's mean in each channel, in place.

    Layers are corrected in order, each reading what the quantised and corrected ones before it give: the empirical form
    of bias correction (Nagel et al., ICCV 2019, appendix D). Biases that several layers read stay.

    Args:
        network: the quantised mirror.
        original: the float network's parameters, by name.
        logits: tensor at the end of the last layer that matters.
        split: samples, whose labels are not read.
    """
    teacher = _teacher(network, original, logits, split)
    each, actual = teacher.samples_per_run, teacher.given
    for part, exact, _ in teacher.walk():
        for layer, step in _biased(network, part.steps):
            inner = Stretch.of(network.mirror, part.given, step.outputs[0])
            found = over(inner, inner.start(actual), network.quantisers, each)
            _move(network, layer.bias, _means(teacher.run(inner, exact)) - _means(found))
        actual = teacher.behind(part, over(part, part.start(actual), network.quantisers, each))


@torch.no_grad()
def level(network: QuantisedMirror, original: Mapping[str, np.ndarray], logits: str, split: Split) -> None:
    """Moves the biases so that a layer gives the float network's mean where its inputs are constant, in place.

    Each quantised layer alone reads the float network's mean of each channel at every position, as in the fast bias
    correction of NNCF. Borders and whatever else varies over positions count as an error then too, so this changes a
    float network as well, and may be for the worse: only a score tells. Layers of which a bias would change by more
    than :data:`LARGEST_CHANGE` times itself stay as they are.

    Args:
        network: the quantised mirror.
        original: the float network's parameters, by name.
        logits: tensor at the end of the last layer that matters.
        split: samples, whose labels are not read.
    """
    mirror, quantisers = network.mirror, network.quantisers
    teacher = _teacher(network, original, logits, split)
    for part, exact, _ in teacher.walk():
        for layer, step in _biased(network, part.steps):
            values, wanted = (
                teacher.run(Stretch.of(mirror, part.given, name), exact) for name in (step.inputs[0], step.outputs[0])
            )
            constant = _means(values).reshape(1, -1, *[1] * (values.ndim - 2)).expand(1, *values.shape[1:])
            known = {step.inputs[0]: constant} | {name: mirror.value(name) for name in step.inputs[1:] if name}
            read = {name: quantisers[name](value) if name in quantisers else value for name, value in known.items()}
            change = _means(wanted) - _means(step.run(read)[0])
            if bool((change.abs() < LARGEST_CHANGE * mirror.value(layer.bias).abs()).all()):
                _move(network, layer.bias, change)


def _teacher(network: QuantisedMirror, original: Mapping[str, np.ndarray], logits: str, split: Split) -> Original:
    """Gives the float network on the first samples."""
    mirror = network.mirror
    parts = stretches(mirror, logits, {**network.weights, **network.codebooks}, split)
    return Original.of(mirror, original, parts, first_inputs(mirror, split, SAMPLES), split.samples_per_run)


def _biased(network: QuantisedMirror, steps: tuple[Step, ...]) -> Iterator[tuple[Layer, Step]]:
    """Gives the quantised layers among some steps whose bias is their own, in the order in which they run."""
    layers = network.policy.graph.quantised_layers
    shared = Counter(layer.bias for layer in layers)
    known = {layer.nodes[0]: layer for layer in layers if layer.bias and shared[layer.bias] == 1}
    for step in steps:
        layer = known.get(step.name)
        if layer is not None and step.inputs[2:3] == (layer.bias,):
            yield layer, step


def _move(network: QuantisedMirror, name: str, change: Tensor) -> None:
    """Changes a bias, as the runtime sees it: what it was rounded by is part of what was measured."""
    bias = network.mirror.value(name)
    seen = network.biases[name](bias) if name in network.biases else bias
    bias.copy_(seen + change)


def _means(value: Tensor) -> Tensor:
    """Gives the mean of each channel, of a tensor ``[samples, channels, ...]``."""
    return value.double().mean(dim=(0, *range(2, value.ndim))).float()
