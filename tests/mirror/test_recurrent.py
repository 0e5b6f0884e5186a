"""LSTM, GRU and RNN in every form equal onnxruntime to 1e-5, and their gradients those of finite differences.

onnxruntime lacks ``layout=1``; that form is compared with the other one, whose axes are swapped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from haqc.errors import ModelError
from tests.mirror.one_node import OneNode, agree

GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
FUNCTIONS = {"LSTM": 3, "GRU": 2, "RNN": 1}
DIRECTIONS = {"forward": 1, "reverse": 1, "bidirectional": 2}
TIME, BATCH, FEATURES, UNITS = 5, 3, 4, 6

Array = np.ndarray


def _case(op: str, attributes: Mapping[str, object], parts: Sequence[str], seed: int = 0) -> OneNode:
    """Makes a node with the optional inputs that ``parts`` names: bias, lengths, hidden, memory, peephole."""
    source = np.random.default_rng(seed)
    directions, gates = DIRECTIONS[str(attributes.get("direction", "forward"))], GATES[op]

    def draw(*shape: int) -> Array:
        return (source.standard_normal(shape) * 0.6).astype(np.float32)

    inputs: list[Array | None] = [
        draw(TIME, BATCH, FEATURES),
        draw(directions, gates * UNITS, FEATURES),
        draw(directions, gates * UNITS, UNITS),
        draw(directions, 2 * gates * UNITS) if "bias" in parts else None,
        np.array([5, 1, 3], np.int32) if "lengths" in parts else None,
        draw(directions, BATCH, UNITS) if "hidden" in parts else None,
    ]
    if op == "LSTM":
        inputs += [
            draw(directions, BATCH, UNITS) if "memory" in parts else None,
            draw(directions, 3 * UNITS) if "peephole" in parts else None,
        ]
    while inputs[-1] is None:
        inputs.pop()
    return OneNode(op, inputs, {"hidden_size": UNITS, **attributes}, outputs=3 if op == "LSTM" else 2)


def _agrees(case: OneNode) -> None:
    agree(case.function()(*case.tensors()), case.reference(), 1e-5)


ALL = ("bias", "lengths", "hidden", "memory", "peephole")


@pytest.mark.parametrize("op", GATES)
@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("parts", [(), ("bias",), ("bias", "hidden", "memory"), ("lengths",), ALL], ids="-".join)
def test_inputs_and_directions(op: str, direction: str, parts: tuple[str, ...]) -> None:
    _agrees(_case(op, {"direction": direction}, parts))


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("parts", [("bias",), ("bias", "hidden"), ("bias", "lengths")], ids="-".join)
def test_gru_with_the_reset_gate_behind_the_product(direction: str, parts: tuple[str, ...]) -> None:
    _agrees(_case("GRU", {"direction": direction, "linear_before_reset": 1}, parts))


PARAMETERS = {
    "Relu": (None, None),
    "Tanh": (None, None),
    "Sigmoid": (None, None),
    "Softsign": (None, None),
    "Softplus": (None, None),
    "Affine": (0.7, 0.1),
    "LeakyRelu": (0.3, None),
    "ThresholdedRelu": (0.2, None),
    "ScaledTanh": (0.8, 1.2),
    "HardSigmoid": (0.25, 0.4),
    "Elu": (0.5, None),
}


@pytest.mark.parametrize("op", GATES)
@pytest.mark.parametrize("name", PARAMETERS)
def test_activation_functions(op: str, name: str) -> None:
    alpha, beta = PARAMETERS[name]
    attributes: dict[str, object] = {"activations": [name] * FUNCTIONS[op]}
    if name == "Softplus":
        attributes["clip"] = 1.0  # gates above one make states grow until onnxruntime's softplus overflows
    if alpha is not None:
        attributes["activation_alpha"] = [alpha] * FUNCTIONS[op]
    if beta is not None:
        attributes["activation_beta"] = [beta] * FUNCTIONS[op]
    _agrees(_case(op, attributes, ("bias", "hidden")))


def test_directions_with_functions_of_their_own() -> None:
    names = ["Sigmoid", "Tanh", "Relu", "HardSigmoid", "Softsign", "Tanh"]
    attributes = {"direction": "bidirectional", "activations": names}
    _agrees(_case("LSTM", {**attributes, "activation_alpha": [0.3], "activation_beta": [0.6]}, ("bias",)))


@pytest.mark.parametrize("op", GATES)
@pytest.mark.parametrize("clip", [0.1, 0.5, 10.0])
def test_clipping(op: str, clip: float) -> None:
    _agrees(_case(op, {"clip": clip}, ("bias", "hidden", "memory")))


def test_coupled_gates() -> None:
    _agrees(_case("LSTM", {"input_forget": 1}, ("bias", "hidden", "memory", "peephole")))


@pytest.mark.parametrize("op", GATES)
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_the_batch_may_come_first(op: str, direction: str) -> None:
    plain = _case(op, {"direction": direction}, ALL)
    turned = [
        np.ascontiguousarray(np.swapaxes(value, 0, 1)) if index in (0, 5, 6) and value is not None else value
        for index, value in enumerate(plain.inputs)
    ]
    attributes = {**plain.attributes, "layout": 1}
    every, *last = OneNode(op, turned, attributes, outputs=plain.outputs).function()(
        *(None if value is None else torch.from_numpy(value) for value in turned)
    )
    expected, *ends = plain.function()(*plain.tensors())
    torch.testing.assert_close(every, expected.permute(2, 0, 1, 3), rtol=0, atol=1e-6)
    for given_, end in zip(last, ends, strict=True):
        torch.testing.assert_close(given_, end.transpose(0, 1), rtol=0, atol=1e-6)


@pytest.mark.parametrize("op", GATES)
def test_one_step_of_one_sequence(op: str) -> None:
    case = _case(op, {}, ("bias",))
    assert case.inputs[0] is not None
    _agrees(OneNode(op, [case.inputs[0][:1, :1], *case.inputs[1:]], case.attributes, outputs=case.outputs))


@pytest.mark.parametrize("op", GATES)
@pytest.mark.parametrize("parts", [("bias", "hidden", "memory"), ALL], ids=["kernel", "steps"])
def test_gradients(op: str, parts: tuple[str, ...]) -> None:
    case = _case(op, {"direction": "bidirectional", "linear_before_reset": 1} if op == "GRU" else {}, parts)
    function, small = case.function(), [None if value is None else value.copy() for value in case.inputs]
    assert small[0] is not None
    tensors = [
        None if v is None else torch.from_numpy(v) if v.dtype == np.int32 else torch.from_numpy(v).double()
        for v in small
    ]
    floats = [index for index, value in enumerate(tensors) if value is not None and value.is_floating_point()]

    def run(*given_: torch.Tensor) -> tuple[torch.Tensor, ...]:
        inputs = list(tensors)
        for index, value in zip(floats, given_, strict=True):
            inputs[index] = value
        outputs: tuple[torch.Tensor, ...] = function(*inputs)
        return outputs

    leaves = [value.requires_grad_() for value in tensors if value is not None and value.is_floating_point()]
    assert torch.autograd.gradcheck(run, leaves, fast_mode=True)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    op=st.sampled_from(sorted(GATES)),
    direction=st.sampled_from(sorted(DIRECTIONS)),
    parts=st.sets(st.sampled_from(ALL)),
    clip=st.sampled_from([None, 0.3]),
    after=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_combinations(op: str, direction: str, parts: set[str], clip: float | None, after: bool, seed: int) -> None:
    attributes: dict[str, object] = {"direction": direction}
    if clip is not None:
        attributes["clip"] = clip
    if op == "GRU":
        attributes["linear_before_reset"] = int(after)
    _agrees(_case(op, attributes, sorted(parts), seed))


def test_what_onnx_does_not_define_is_refused() -> None:
    with pytest.raises(ModelError, match=r"node 'node' \(RNN, opset 21\) has activation function 'Swish'"):
        _case("RNN", {"activations": ["Swish"]}, ()).function()
    with pytest.raises(ModelError, match=r"names 1 activation functions where it has 3"):
        _case("LSTM", {"activations": ["Tanh"]}, ()).function()


def test_fx_traces_it(one: type[OneNode]) -> None:
    case = _case("LSTM", {"direction": "bidirectional"}, ("bias",))
    function = case.function()

    def root(x: torch.Tensor, w: torch.Tensor, r: torch.Tensor, b: torch.Tensor) -> Callable[..., object]:
        result: Callable[..., object] = function(x, w, r, b)
        return result

    traced = torch.fx.symbolic_trace(root)
    for again, once in zip(traced(*case.tensors()), function(*case.tensors()), strict=True):
        assert torch.equal(again, once)
