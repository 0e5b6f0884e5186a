"""Runs policies by one compiled graph: widths are tensors in it, so that what is compiled once serves all of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch._dynamo.exc import TorchDynamoException

from haqc.data.split import Split
from haqc.errors import ModelError
from haqc.mirror.inference import Inference
from haqc.mirror.module import Mirror
from haqc.mirror.quantised import ActivationQuantiser, QuantisedMirror
from haqc.quant import activation_range, rounded_between


class Fused:
    """A network's forward pass at any policy; it is compiled when the first one runs."""

    def __init__(self, mirror: Mirror, outputs: tuple[str, ...], split: Split, run: int) -> None:
        """Takes what all policies share.

        Args:
            mirror: the network; whenever something is run, its parameters are those it has now.
            outputs: what is wanted of every run.
            split: the samples that every policy runs on.
            run: samples that run together.
        """
        self._mirror, self._outputs = mirror, outputs
        self._split = replace(split, samples_per_run=split.samples_per_run or min(run, len(split)))
        options: dict[str, Any] = {"compile_threads": 1}  # a worker process may have no children
        self._graph = torch.compile(self._forward, fullgraph=True, dynamic=False, options=options)

    def runs(self, network: QuantisedMirror) -> Iterator[tuple[np.ndarray, ...]]:
        """Yields the outputs for run after run of the samples, in order, shapes ``[samples, ...]``.

        The graph takes one number of samples, so the last run is filled up with the last sample.

        Raises:
            ModelError: torch cannot compile the network.
        """
        stored = Inference(self._mirror, network.quantisers, {}).stored
        grids = torch.tensor([_grid(quantiser) for quantiser in network.activations.values()])
        for inputs, count in self._split.runs(len(self._split)):
            found = self._compiled(stored, dict(zip(network.activations, grids, strict=True)), inputs)
            yield tuple(value.numpy()[:count] for value in found)

    def _compiled(
        self, stored: Mapping[str, Any], grids: Mapping[str, Tensor], inputs: tuple[np.ndarray, ...]
    ) -> Sequence[Tensor]:
        try:
            with torch.inference_mode():
                found: Sequence[Tensor] = self._graph(stored, grids, self._mirror.tensors(inputs))
        except TorchDynamoException as error:
            why = str(error).strip().partition("\n")[0]
            raise ModelError(
                f"torch cannot compile the network ({why}); leave --torch-compile out, which changes no result"
            ) from error
        return found

    def _forward(
        self, stored: Mapping[str, Any], grids: Mapping[str, Tensor], inputs: tuple[Tensor, ...]
    ) -> tuple[Tensor, ...]:
        """Gives the outputs, before their quantisers, from what readers of stored tensors see."""
        values: dict[str, Any] = dict(stored)
        kept: dict[str, Tensor] = {}

        def write(name: str, value: Any) -> None:
            if name in self._outputs:
                kept[name] = value
            grid = grids.get(name)
            values[name] = value if grid is None else rounded_between(value, *grid.unbind())

        for name, value in zip(self._mirror.inputs, inputs, strict=True):
            write(name, value)
        for step in self._mirror.steps:
            for name, value in zip(step.outputs, step.run(values), strict=False):
                if name:
                    write(name, value)
            for name in step.dead:
                del values[name]
        return tuple(kept[name] for name in self._outputs)


def _grid(quantiser: ActivationQuantiser) -> tuple[float, float, float]:
    """Gives the step of an activation, and its lowest and highest code, counted from the zero point."""
    low, high = activation_range(quantiser.bits)
    return quantiser.scale.item(), low - quantiser.zero_point, high - quantiser.zero_point
