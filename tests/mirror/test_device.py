"""The mirror computes where its parameters lie, forward and backward, and brings in no tensor of another device."""

from __future__ import annotations

import onnx
import onnx_ir as ir
import pytest
import torch

from haqc.mirror import Mirror, from_onnx
from haqc.mirror.inference import Inference
from haqc.passes.clean import clean
from tests.far import FAR, Far, PretendedDevice
from tests.mirror.onnx_cases import KINDS_OF_CASES, LEFT_OUT, Array, Case, cases, first_match, with_known_inputs
from tests.passes.small_graphs import EVERY_GRAPH, GRAPHS, Prepared, samples

PARTS = 4
"""The ONNX project's models are run in so many parts."""

LEAST = 1_000
"""At least so many of them are run."""

NO_GRADIENT = {"test_pow_types_float32_uint??": "torch adds no unsigned integers wider than a byte"}
"""Cases that only run forward, with the reason."""


def _trained(mirror: Mirror, inputs: tuple[torch.Tensor, ...], *, trains: bool) -> list[torch.Tensor]:
    """Gives the outputs, and what the sum of their squares passes back to the inputs, wherever they are."""
    given = [each.detach().requires_grad_(each.is_floating_point()) for each in inputs]
    outputs = mirror(*given)
    loss = sum(each.square().sum() for each in outputs if each.requires_grad and trains)
    if isinstance(loss, torch.Tensor):
        loss.backward()
    return [*(each.detach() for each in outputs), *(each.grad for each in given if each.grad is not None)]


def _assert_same(far: torch.Tensor, near: torch.Tensor) -> None:
    """Checks to 1e-5 of the largest value: the device may take other kernels, for an LSTM not the fused ones."""
    near = near.detach()
    largest = float(near[near.isfinite()].abs().max()) if near.is_floating_point() and near.isfinite().any() else 0.0
    torch.testing.assert_close(far.detach().cpu(), near, rtol=0, atol=1e-5 * largest, equal_nan=True)


def _difference(mirror: Mirror, inputs: tuple[torch.Tensor, ...], *, trains: bool) -> str:
    """Says what goes wrong on the pretended device; empty where nothing does."""
    try:
        expected = _trained(mirror, inputs, trains=trains)
        with PretendedDevice():
            found = _trained(mirror.to(FAR), tuple(each.to(FAR) for each in inputs), trains=trains)
            assert all(isinstance(each, Far) for each in found), "a result lies elsewhere"
            for mine, other in zip(found, expected, strict=True):
                _assert_same(mine, other)
    except Exception as error:  # whatever goes wrong is the finding
        return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
    return ""


def _ready(case: Case) -> tuple[Mirror, tuple[torch.Tensor, ...]]:
    """Builds a case's mirror, with all inputs but the first known where the model takes several."""
    arrays: list[Array] = case.data[0][0]
    is_whole = len(arrays) == len(case.model.graph.input) > 1
    model = onnx.ModelProto()
    model.CopyFrom(with_known_inputs(case, arrays) if is_whole else case.model)
    mirror = from_onnx(clean(ir.from_proto(model))).requires_grad_(False)
    values = dict(zip((value.name for value in case.model.graph.input), arrays, strict=False))
    return mirror, tuple(torch.from_numpy(values[name].copy()) for name in mirror.inputs)


def _all() -> list[Case]:
    """Gives the models but for those that write an operator out as others."""
    found = (case for kind in KINDS_OF_CASES for case in cases(kind) if "_expanded" not in case.name)
    return [case for case in found if case.is_in_scope and not first_match(case.name, LEFT_OUT)]


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_every_operator(part: int) -> None:
    chosen = _all()
    assert len(chosen) >= LEAST
    found = {
        case.name: _difference(*_ready(case), trains=not first_match(case.name, NO_GRADIENT))
        for case in chosen[part::PARTS]
    }
    assert {name: what for name, what in found.items() if what} == {}


@pytest.mark.parametrize("name", EVERY_GRAPH)
def test_quantised_networks(name: str) -> None:
    prepared = Prepared.of(GRAPHS[name]())
    policy = prepared.random_policy(3)
    network = prepared.quantise(policy).network
    inputs = samples(prepared.model, 5, seed=5)
    expected = network(*network.mirror.tensors(inputs))
    sum(each.square().sum() for each in expected).backward()
    state = network.state()
    with PretendedDevice():
        far = type(network)(from_onnx(prepared.model).to(FAR), policy, prepared.calibration)
        given = far.mirror.tensors(inputs)
        assert all(isinstance(each, Far) for each in given)
        found = far(*given)
        for mine, other in zip(found, expected, strict=True):
            _assert_same(mine, other)
        sum(each.square().sum() for each in found).backward()
        for mine, other in zip(far.parameters(), network.parameters(), strict=True):
            assert (mine.grad is None) == (other.grad is None)
            if mine.grad is not None:
                _assert_same(mine.grad, other.grad)
        again = Inference(far.mirror, far.quantisers, {}).run(
            dict(zip(far.mirror.inputs, given, strict=True)), far.mirror.outputs
        )
        for output, other in zip(far.mirror.outputs, expected, strict=True):
            _assert_same(again[output], other)
        far.load(state)
        kept = far.state()
    assert all((kept.parameters[each] == array).all() for each, array in state.parameters.items())
    assert all((kept.log_scales[each] == array).all() for each, array in state.log_scales.items())


def test_the_pretended_device_refuses_strangers() -> None:
    with PretendedDevice():
        there, here = torch.ones(3).to(FAR), torch.ones(3)
        with pytest.raises(RuntimeError, match="tensors of the processor and of the pretended device"):
            there + here
        with pytest.raises(RuntimeError, match="numpy"):
            there.numpy()
        assert (there + 2.0 * torch.ones(())).cpu().tolist() == [3.0, 3.0, 3.0]
        assert torch.equal(there[torch.tensor([2, 0])].cpu(), torch.ones(2))
        assert isinstance(torch.arange(3, device=there.device), Far)
        assert isinstance(torch.tensor([1.0], device=there.device), Far)
