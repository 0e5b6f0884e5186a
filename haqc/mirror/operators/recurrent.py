"""LSTM, GRU and RNN: torch's fast kernels where the form allows it, one time step after the other elsewhere.

Gate orders: ONNX LSTM i, o, f, c and torch's i, f, c, o; ONNX GRU z, r, h and torch's r, z, h.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.fx

from haqc.mirror.node import Function, Node, operator
from haqc.mirror.operators.gates import DEFAULTS, Activation, Cell, activation, advance

Tensor = torch.Tensor

_TORCH_ORDER = {"LSTM": (0, 2, 3, 1), "GRU": (1, 0, 2), "RNN": (0,)}
"""Where torch's gates stand among ONNX's."""


@dataclass(frozen=True, slots=True)
class Layer:
    """A recurrent node.

    Attributes:
        cells: what each direction computes.
        reversed_: whether each direction runs from the end.
        batch_first: whether the batch is the first axis (``layout``).
        fast: name of the torch kernel that computes the same where all sequences are whole; empty where none does.
    """

    cells: tuple[Cell, ...]
    reversed_: tuple[bool, ...]
    batch_first: bool
    fast: str


@operator("LSTM", "GRU", "RNN")
def recurrent(node: Node) -> Function:
    """Builds a recurrent layer; its outputs are all states, the last one, and for an LSTM the last cell state.

    Raises:
        ModelError: the node has an activation function or a direction that ONNX does not define.
    """
    turns = {"forward": (False,), "reverse": (True,), "bidirectional": (False, True)}
    direction = node.attribute("direction", "forward")
    if direction not in turns:
        raise node.refuse(f"has direction '{direction}', not one of {', '.join(turns)}")
    functions = _activations(node, len(turns[direction]))
    is_reset_after = bool(node.attribute("linear_before_reset", 0))
    is_coupled, clip = bool(node.attribute("input_forget", 0)), node.attribute("clip")
    count = len(functions) // len(turns[direction])
    cells = tuple(
        Cell(node.op, functions[at : at + count], clip, is_coupled, is_reset_after)
        for at in range(0, len(functions), count)
    )
    layer = Layer(cells, turns[direction], bool(node.attribute("layout", 0)), _kernel(node, cells))

    def run(
        x: Tensor,
        w: Tensor,
        r: Tensor,
        b: Tensor | None = None,
        lengths: Tensor | None = None,
        hidden: Tensor | None = None,
        memory: Tensor | None = None,
        peephole: Tensor | None = None,
    ) -> tuple[Tensor, ...]:
        results = through_time(x, w, r, b, lengths, hidden, memory, peephole, layer)
        return tuple(results[index] for index in range(node.output_count))

    return run


def _activations(node: Node, directions: int) -> tuple[Activation, ...]:
    """Gives the activation functions of all directions; each takes its alpha and beta off the lists, if it has any."""
    names = node.attribute("activations") or DEFAULTS[node.op] * directions
    alphas, betas = list(node.attribute("activation_alpha") or ()), list(node.attribute("activation_beta") or ())
    if len(names) != len(DEFAULTS[node.op]) * directions:
        raise node.refuse(f"names {len(names)} activation functions where it has {len(DEFAULTS[node.op]) * directions}")
    functions = [activation(str(name), alphas, betas) for name in names]
    for name, function in zip(names, functions, strict=True):
        if function is None:
            raise node.refuse(f"has activation function '{name}', which ONNX does not define")
    return tuple(function for function in functions if function is not None)


def _kernel(node: Node, cells: tuple[Cell, ...]) -> str:
    """Gives the name of torch's kernel for a node, as far as its attributes decide that; empty if there is none."""
    plain = {tuple(function.name for function in cell.functions) for cell in cells}
    if len(plain) > 1 or any(cell.clip is not None or cell.is_coupled for cell in cells):
        return ""
    (names,) = plain
    if node.op == "RNN":
        return {"tanh": "rnn_tanh", "relu": "rnn_relu"}.get(names[0], "")
    if names != tuple(name.lower() for name in DEFAULTS[node.op]) or node.has(7):
        return ""
    return "lstm" if node.op == "LSTM" else "gru" if cells[0].is_reset_after else ""


def through_time(
    x: Tensor,
    w: Tensor,
    r: Tensor,
    b: Tensor | None,
    lengths: Tensor | None,
    hidden: Tensor | None,
    memory: Tensor | None,
    peephole: Tensor | None,
    layer: Layer,
) -> tuple[Tensor, ...]:
    """Runs a recurrent layer.

    Args:
        x: the sequences, shape ``[time, batch, features]``, the first two swapped where the batch is first.
        w: weights of the input, shape ``[directions, gates * units, features]``.
        r: weights of the state, shape ``[directions, gates * units, units]``.
        b: biases of both, shape ``[directions, 2 * gates * units]``.
        lengths: length of each sequence, shape ``[batch]``; what is behind it is neither read nor written but as zero.
        hidden: initial state, shape ``[directions, batch, units]``, the first two swapped where the batch is first.
        memory: initial state of the cells, likewise.
        peephole: weights of the cells' own states (input, output, forget), shape ``[directions, 3 * units]``.
        layer: everything else.

    Returns:
        All states, shape ``[time, directions, batch, units]`` or ``[batch, time, directions, units]``, and the last
        states, shaped as the initial ones.
    """
    if layer.batch_first:
        x = x.transpose(0, 1)
        hidden = None if hidden is None else hidden.transpose(0, 1)
        memory = None if memory is None else memory.transpose(0, 1)
    shape = (len(layer.cells), x.shape[1], r.shape[2])
    states = [x.new_zeros(shape) if state is None else state for state in (hidden, memory)]
    states = states if layer.cells[0].op == "LSTM" else states[:1]
    if layer.fast and lengths is None and peephole is None and x.shape[0] > 0:
        every, last = _by_kernel(x, w, r, b, states, layer)
    else:
        every, last = _by_steps(x, w, r, b, lengths, states, peephole, layer)
    if layer.batch_first:
        return every.permute(2, 0, 1, 3), *(state.transpose(0, 1) for state in last)
    return every, *last


def _by_kernel(
    x: Tensor, w: Tensor, r: Tensor, b: Tensor | None, states: list[Tensor], layer: Layer
) -> tuple[Tensor, list[Tensor]]:
    """Runs torch's kernel, which knows forward and both ways; backward is forward on what is turned round."""
    order = _TORCH_ORDER[layer.cells[0].op]
    weights: list[Tensor] = []
    for direction in range(len(layer.cells)):
        parts = [w[direction], r[direction], *([] if b is None else b[direction].chunk(2))]
        weights += [_ordered(part, order) for part in parts]
    only_reversed = layer.reversed_ == (True,)
    source = x.flip(0) if only_reversed else x
    state = tuple(states) if layer.fast == "lstm" else states[0]
    kernel = getattr(torch, layer.fast)
    every, *last = kernel(source, state, weights, b is not None, 1, 0.0, False, len(layer.cells) > 1, False)
    every = every.reshape(*every.shape[:2], len(layer.cells), -1).transpose(1, 2)
    return (every.flip(0) if only_reversed else every), last


def _ordered(part: Tensor, order: tuple[int, ...]) -> Tensor:
    """Puts gates into another order."""
    if len(order) == 1:
        return part
    gates = part.chunk(len(order))
    return torch.cat([gates[index] for index in order])


def _by_steps(
    x: Tensor,
    w: Tensor,
    r: Tensor,
    b: Tensor | None,
    lengths: Tensor | None,
    states: list[Tensor],
    peephole: Tensor | None,
    layer: Layer,
) -> tuple[Tensor, list[Tensor]]:
    """Runs every direction one time step after the other."""
    every, last = [], []
    bias = x.new_zeros(*w.shape[:2], 2) if b is None else torch.stack(b.chunk(2, 1), 2)
    for direction, (cell, is_reversed) in enumerate(zip(layer.cells, layer.reversed_, strict=True)):
        held = [state[direction] for state in states]
        own = None if peephole is None else peephole[direction]
        projected = x @ w[direction].t() + bias[direction, :, 0]
        outputs: list[Tensor] = [held[0]] * x.shape[0]
        for time in reversed(range(x.shape[0])) if is_reversed else range(x.shape[0]):
            fresh = advance(cell, projected[time], held, r[direction], bias[direction, :, 1], own)
            outputs[time] = fresh[0]
            if lengths is not None:
                is_inside = (lengths > time).unsqueeze(1)
                outputs[time] = torch.where(is_inside, fresh[0], torch.zeros_like(fresh[0]))
                fresh = [torch.where(is_inside, new, old) for new, old in zip(fresh, held, strict=True)]
            held = fresh
        every.append(torch.stack(outputs) if outputs else x.new_zeros(0, x.shape[1], r.shape[2]))
        last.append(held)
    return torch.stack(every, 1), [torch.stack(state) for state in zip(*last, strict=True)]


torch.fx.wrap("through_time")
