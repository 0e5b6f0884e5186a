"""The mirror at a policy: every operand behind its quantiser, step sizes learnable as logarithms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from haqc.calibration import ActivationGrid, Calibration, WeightGrid
from haqc.codes import ActivationCodes, BiasCodes, CodebookCodes, NetworkCodes, WeightCodes
from haqc.mirror.codebook import CodebookQuantiser
from haqc.mirror.double import rounding_errors
from haqc.mirror.module import Mirror, Quantiser
from haqc.policy import Policy
from haqc.probe import TIE_MARGIN, Probe, margin, parts
from haqc.quant import (
    activation_codes,
    along_axis,
    bias_codes,
    fake_activation,
    fake_bias,
    fake_weight,
    rounded_activation,
    weight_codes,
)


class ActivationQuantiser(nn.Module):
    """Quantises one activation tensor; the step is learned."""

    def __init__(self, grid: ActivationGrid, bits: int) -> None:
        super().__init__()
        self.bits, self.zero_point = bits, grid.zero_point
        self.log_scale = nn.Parameter(torch.tensor(grid.scale).log())

    @property
    def scale(self) -> Tensor:
        """The step, a scalar."""
        return self.log_scale.exp()

    def forward(self, x: Tensor) -> Tensor:
        """Gives ``x`` as the runtime will see it."""
        return fake_activation(x, self.scale, self.zero_point, self.bits)

    def fixed(self) -> Quantiser:
        """Gives the same function at the step as it is now, without a gradient."""
        scale, zero_point, bits = self.scale.detach(), self.zero_point, self.bits
        return lambda x: rounded_activation(x, scale, zero_point, bits)

    def codes(self, x: Tensor) -> Tensor:
        """Gives the codes the runtime computes, as floats."""
        return activation_codes(x, self.scale, self.zero_point, self.bits)


class WeightQuantiser(nn.Module):
    """Quantises one weight tensor with a learned step per output channel."""

    def __init__(self, grid: WeightGrid, bits: int) -> None:
        super().__init__()
        self.bits, self.axis = bits, grid.axis
        self.log_scale = nn.Parameter(torch.from_numpy(np.log(grid.scale)))

    @property
    def scale(self) -> Tensor:
        """The steps, shape ``[channels]``."""
        return self.log_scale.exp()

    def forward(self, weight: Tensor) -> Tensor:
        """Gives the weights as the runtime will see them."""
        return fake_weight(weight, along_axis(self.scale, self.axis, weight.ndim), self.bits)

    def codes(self, weight: Tensor) -> Tensor:
        """Gives the codes the runtime stores, as floats."""
        return weight_codes(weight, along_axis(self.scale, self.axis, weight.ndim), self.bits)


class BiasQuantiser(nn.Module):
    """Rounds a bias to the accumulator's grid, scale(activation) x scale(weight)."""

    def __init__(self, activation: ActivationQuantiser, weight: WeightQuantiser) -> None:
        super().__init__()
        # Held in a tuple: both are registered as modules elsewhere already.
        self._sources = (activation, weight)

    def scale(self, bias: Tensor) -> Tensor:
        """Gives the scale of every element of the bias."""
        activation, weight = self._sources
        scale: Tensor = activation.scale * weight.scale
        return scale.repeat(bias.numel() // scale.numel()).reshape(bias.shape)

    def forward(self, bias: Tensor) -> Tensor:
        """Gives the bias as the runtime will see it."""
        return fake_bias(bias, self.scale(bias))


class QuantisedMirror(nn.Module):
    """A mirror with the quantisers of one policy. Shares the mirror's parameters; makes its own step sizes."""

    def __init__(self, mirror: Mirror, policy: Policy, calibration: Calibration) -> None:
        super().__init__()
        self.mirror, self.policy = mirror, policy
        self.activations: dict[str, ActivationQuantiser] = {}
        self.weights: dict[str, WeightQuantiser] = {}
        self.codebooks: dict[str, CodebookQuantiser] = {}
        for operand in policy.graph.operands:
            tensor, bits = operand.tensor, policy.widths[operand.tensor]
            if (tensor, bits) in calibration.codebooks:
                centroids = calibration.codebooks[tensor, bits]
                self.codebooks[tensor] = CodebookQuantiser(centroids, mirror.value(tensor), bits)
            elif operand.kind == "weight":
                self.weights[tensor] = WeightQuantiser(calibration.weights[tensor, bits], bits)
            else:
                grid = calibration.activations[tensor, bits]
                self.activations[tensor] = ActivationQuantiser(grid, bits)
        self.biases = {
            layer.bias: BiasQuantiser(self.activations[layer.activation], self.weights[layer.weight])
            for layer in policy.graph.quantised_layers
            if layer.bias and layer.activation in self.activations
        }
        self.steps = nn.ModuleList([*self.activations.values(), *self.weights.values()]).to(mirror.device)
        self.steps.requires_grad_(calibration.learns)
        self._books = nn.ModuleList(self.codebooks.values()).to(mirror.device)

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Gives the graph's outputs for its inputs, each with the batch first."""
        return self.run(inputs, self.mirror.outputs)

    def run(self, inputs: tuple[Tensor, ...], wanted: tuple[str, ...]) -> tuple[Tensor, ...]:
        """Runs the graph under the policy and gives the tensors that are wanted, before their quantisers."""
        self.mirror.quantisers = self.quantisers
        try:
            return self.mirror.run(inputs, wanted)
        finally:
            self.mirror.quantisers = {}

    @property
    def quantisers(self) -> Mapping[str, Quantiser]:
        """What every reader of a tensor sees in its place, by the tensor's name."""
        return {**self.activations, **self.weights, **self.codebooks, **self.biases}

    def state(self) -> State:
        """Gives a copy of everything that training changes."""
        return State(
            {name: _array(self.mirror.value(name)) for name in self.mirror.layer_parameters(self.policy.graph)},
            {tensor: _array(step) for tensor, step in self._steps().items()},
            {tensor: _array(book.centroids) for tensor, book in self.codebooks.items()},
        )

    def load(self, state: State) -> None:
        """Takes parameters, steps and codebooks over from a state."""
        self.mirror.load(state.parameters)
        with torch.no_grad():
            for tensor, step in self._steps().items():
                step.copy_(torch.from_numpy(state.log_scales[tensor]))
            for tensor, book in self.codebooks.items():
                book.centroids.copy_(torch.from_numpy(state.centroids[tensor]))

    @torch.no_grad()
    def settle(self) -> None:
        """Draws every weight to the value that its code stands for; what the network computes stays the same."""
        for tensor, quantiser in self.weights.items():
            weight = self.mirror.value(tensor)
            weight.copy_(quantiser(weight))

    def _steps(self) -> dict[str, nn.Parameter]:
        steps = {tensor: quantiser.log_scale for tensor, quantiser in self.activations.items()}
        return steps | {tensor: quantiser.log_scale for tensor, quantiser in self.weights.items()}

    def probe(self, inputs: tuple[np.ndarray, ...], samples_per_run: int | None = None) -> Probe:
        """Runs the mirror on a few inputs and keeps every code it computed.

        Args:
            inputs: one array per graph input, samples first.
            samples_per_run: how many the model takes at a time, no more and no fewer; ``None`` for any number.
        """
        count = parts(len(inputs[0]), samples_per_run)
        pieces = list(zip(*(np.split(array, count) for array in inputs), strict=True))
        errors = [self._rounding_errors(piece) for piece in pieces]
        margins = {tensor: margin(max(each.get(tensor, 0.0) for each in errors)) for tensor in self.activations}
        return Probe.join([self._probe(piece, margins) for piece in pieces])

    @torch.no_grad()
    def _probe(self, inputs: tuple[np.ndarray, ...], margins: Mapping[str, float]) -> Probe:
        wanted = (*self.activations, *self.between, *self.mirror.outputs)
        values = self.run(self.mirror.tensors(inputs), tuple(dict.fromkeys(wanted)))
        value = dict(zip(dict.fromkeys(wanted), values, strict=True))
        codes, near_tie = {}, {}
        for tensor, quantiser in self.activations.items():
            codes[tensor] = _array(quantiser.codes(value[tensor])).astype(np.uint8)
            steps = value[tensor] / quantiser.scale
            near_tie[tensor] = _array(((steps - steps.floor()) - 0.5).abs() <= margins[tensor])
        return Probe(
            dict(zip(self.mirror.inputs, inputs, strict=True)),
            codes,
            near_tie,
            {name: _array(value[name]) for name in self.mirror.outputs},
            {name: _array(value[name]) for name in self.between},
            {name: _array(book(self.mirror.value(name))) for name, book in self.codebooks.items()},
            {tensor: steps for tensor, steps in margins.items() if steps > TIE_MARGIN},
        )

    @torch.no_grad()
    def _rounding_errors(self, inputs: tuple[np.ndarray, ...]) -> dict[str, float]:
        """Gives the largest errors, in steps, that float32 makes on activations, where they can be found."""
        if not self.activations:
            return {}
        tensors = self.mirror.tensors(inputs)
        value = dict(zip(self.activations, self.run(tensors, tuple(self.activations)), strict=True))
        known = {
            name: quantiser(value[name] if name in value else self.mirror.value(name))
            for name, quantiser in self.quantisers.items()
        }
        errors = rounding_errors(self.mirror, tensors, value, known)
        return {tensor: error / self.activations[tensor].scale.item() for tensor, error in errors.items()}

    @property
    def between(self) -> tuple[str, ...]:
        """The tensors that layers write, but for outputs; none where they have quantisers, which say more."""
        if not self.codebooks:
            return ()
        written = dict.fromkeys(layer.output for layer in self.policy.graph.layers)
        return tuple(name for name in written if name not in self.mirror.outputs)

    @torch.no_grad()
    def codes(self) -> NetworkCodes:
        """Gives what the network stores, exactly as :meth:`run` uses it."""
        value = self.mirror.value
        quantised = {*self.weights, *self.biases, *self.codebooks}
        return NetworkCodes(
            activations={
                tensor: ActivationCodes(np.float32(q.scale.item()), q.zero_point, q.bits)
                for tensor, q in self.activations.items()
            },
            weights={
                tensor: WeightCodes(_array(q.codes(value(tensor))).astype(np.int8), _array(q.scale), q.axis, q.bits)
                for tensor, q in self.weights.items()
            },
            biases={
                name: BiasCodes(
                    _array(bias_codes(value(name), q.scale(value(name)))).astype(np.int32), _array(q.scale(value(name)))
                )
                for name, q in self.biases.items()
            },
            floats={
                name: _array(value(name))
                for name in self.mirror.layer_parameters(self.policy.graph)
                if name not in quantised
            },
            codebooks={
                tensor: CodebookCodes(_array(q.indices).astype(np.uint8), _array(q.centroids), q.bits)
                for tensor, q in self.codebooks.items()
            },
        )


@dataclass(frozen=True, slots=True)
class State:
    """What training changes: parameters by initialiser, log step sizes and centroids by operand."""

    parameters: Mapping[str, np.ndarray]
    log_scales: Mapping[str, np.ndarray]
    centroids: Mapping[str, np.ndarray] = field(default_factory=dict)


def _array(tensor: Tensor) -> np.ndarray:
    return np.array(tensor.detach().cpu().numpy())
