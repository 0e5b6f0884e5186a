"""One time step of an LSTM, GRU or RNN, with the activation functions that ONNX allows in them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F

Tensor = torch.Tensor

DEFAULTS = {"LSTM": ("Sigmoid", "Tanh", "Tanh"), "GRU": ("Sigmoid", "Tanh"), "RNN": ("Tanh",)}
"""Activation functions of one direction."""

_PARAMETERS: dict[str, tuple[float | None, float | None]] = {
    "affine": (1.0, 0.0),
    "elu": (1.0, None),
    "hardsigmoid": (0.2, 0.5),
    "leakyrelu": (0.01, None),
    "relu": (None, None),
    "scaledtanh": (1.0, 1.0),
    "sigmoid": (None, None),
    "softplus": (None, None),
    "softsign": (None, None),
    "tanh": (None, None),
    "thresholdedrelu": (1.0, None),
}
"""Defaults of alpha and beta; ``None`` where a function has no such parameter."""


@dataclass(frozen=True, slots=True)
class Activation:
    """An activation function of a recurrent node, by its name in small letters."""

    name: str
    alpha: float
    beta: float

    def __call__(self, x: Tensor) -> Tensor:
        """Applies the function."""
        match self.name:
            case "tanh":
                return torch.tanh(x)
            case "sigmoid":
                return torch.sigmoid(x)
            case "relu":
                return torch.relu(x)
            case "affine":
                return self.alpha * x + self.beta
            case "elu":
                return F.elu(x, self.alpha)
            case "hardsigmoid":
                return torch.clamp(self.alpha * x + self.beta, 0, 1)
            case "leakyrelu":
                return F.leaky_relu(x, self.alpha)
            case "scaledtanh":
                return self.alpha * torch.tanh(self.beta * x)
            case "softplus":
                return F.softplus(x)
            case "softsign":
                return F.softsign(x)
            case _:
                return torch.where(x > self.alpha, x, torch.zeros_like(x))  # ThresholdedRelu


def activation(name: str, alphas: list[float], betas: list[float]) -> Activation | None:
    """Gives an activation function, with its parameters taken off the lists; ``None`` when there is none so called."""
    if name.lower() not in _PARAMETERS:
        return None
    alpha, beta = _PARAMETERS[name.lower()]
    alpha = alphas.pop(0) if alpha is not None and alphas else alpha
    beta = betas.pop(0) if beta is not None and betas else beta
    return Activation(name.lower(), alpha or 0.0, beta or 0.0)


@dataclass(frozen=True, slots=True)
class Cell:
    """What one direction of a recurrent node computes.

    Attributes:
        op: ``LSTM``, ``GRU`` or ``RNN``.
        functions: activation functions, in ONNX's order.
        clip: bound on what goes into them, but for an LSTM's last, as onnxruntime does it.
        is_coupled: whether the forget gate is one minus the input gate (``input_forget``).
        is_reset_after: whether the reset gate works on the product of the state (``linear_before_reset``).
    """

    op: str
    functions: tuple[Activation, ...]
    clip: float | None
    is_coupled: bool
    is_reset_after: bool

    def bounded(self, x: Tensor) -> Tensor:
        """Clips what goes into an activation function."""
        return x if self.clip is None else x.clamp(-self.clip, self.clip)


def advance(cell: Cell, x: Tensor, states: list[Tensor], r: Tensor, b: Tensor, peephole: Tensor | None) -> list[Tensor]:
    """Gives the states after one time step.

    Args:
        cell: which kind, and its form.
        x: the input's part of all gates, with its bias, shape ``[batch, gates * units]``.
        states: state, and for an LSTM cell state, each of shape ``[batch, units]``.
        r: weights of the state, shape ``[gates * units, units]``.
        b: their biases, shape ``[gates * units]``.
        peephole: weights of the cell state, shape ``[3 * units]``.
    """
    if cell.op == "LSTM":
        return _lstm(cell, x + states[0] @ r.t() + b, states[1], peephole)
    if cell.op == "GRU":
        return [_gru(cell, x, states[0], r, b)]
    return [cell.functions[0](cell.bounded(x + states[0] @ r.t() + b))]


def _lstm(cell: Cell, gates: Tensor, memory: Tensor, peephole: Tensor | None) -> list[Tensor]:
    f, g, h = cell.functions
    into, out, forget, fresh = gates.chunk(4, 1)
    own_in, own_out, own_forget = (None, None, None) if peephole is None else peephole.chunk(3)
    into = f(cell.bounded(into if own_in is None else into + own_in * memory))
    if cell.is_coupled:
        forget = 1 - into
    else:
        forget = f(cell.bounded(forget if own_forget is None else forget + own_forget * memory))
    memory = forget * memory + into * g(cell.bounded(fresh))
    out = f(cell.bounded(out if own_out is None else out + own_out * memory))
    return [out * h(memory), memory]


def _gru(cell: Cell, x: Tensor, state: Tensor, r: Tensor, b: Tensor) -> Tensor:
    f, g = cell.functions
    units = state.shape[1]
    x_gates, x_fresh = x[:, : 2 * units], x[:, 2 * units :]
    gates = f(cell.bounded(x_gates + state @ r[: 2 * units].t() + b[: 2 * units]))
    update, reset = gates.chunk(2, 1)
    if cell.is_reset_after:
        fresh = x_fresh + reset * (state @ r[2 * units :].t() + b[2 * units :])
    else:
        fresh = x_fresh + (reset * state) @ r[2 * units :].t() + b[2 * units :]
    fresh = g(cell.bounded(fresh))
    return (1 - update) * fresh + update * state
