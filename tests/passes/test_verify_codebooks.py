"""Files with codebooks hold in onnxruntime layer by layer; one whose codebook or indices were changed does not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest

from haqc.errors import ModelError
from haqc.passes.verify import verify, verify_alone
from haqc.probe import Probe
from tests.passes.small_graphs import EVERY_GRAPH, GRAPHS, Prepared, Quantised


def quantised(name: str, seed: int = 0) -> Quantised:
    prepared = Prepared.of_codebooks(GRAPHS[name]())
    return prepared.quantise(prepared.random_policy(seed))


def changed(model: ir.Model, name: str, place: int) -> ir.Model:
    """Adds one to an element of an initialiser."""
    value = model.graph.initializers[name]
    assert value.const_value is not None
    array = value.const_value.numpy().copy()
    array.reshape(-1)[place] += 1
    value.const_value = ir.tensor(array, name=name)
    return model


@pytest.mark.parametrize("name", EVERY_GRAPH)
def test_emitted_files_hold(name: str, tmp_path: Path) -> None:
    found = quantised(name)
    found.network.probe(found.inputs()).save(tmp_path / "probe.npz")
    probe = Probe.load(tmp_path / "probe.npz")
    verification = verify(found.emit(), probe)
    assert verification.ok, verification.first_difference
    between, defaults, weights = verification.consumers
    assert (between.compared, weights.compared) == ("values", "weights")
    assert weights.values == sum(book.indices.size for book in found.codes.codebooks.values())
    assert weights.different == between.different == defaults.different == 0
    outputs = {layer.output for layer in found.prepared.graph.layers} - {*found.prepared.graph.outputs}
    assert between.tensors == len(outputs)
    assert verify_alone(found.emit(), probe.inputs).ok


@pytest.mark.parametrize("part", ["codebook", "packed"])
def test_a_changed_weight_is_found_and_named(part: str) -> None:
    found = quantised("residual", 2)
    name = found.prepared.graph.quantised_layers[1].weight
    probe = found.network.probe(found.inputs())
    place = list(found.codes.codebooks).index(name)
    verification = verify(changed(found.emit(), f"w{place}_{part}", 0), probe)
    weights = verification.consumers[2]
    assert not weights.ok and weights.first_difference is not None
    assert weights.first_difference.startswith(f"the weights of tensor '{name}' differ from mirror on")
    assert 0 < weights.different < weights.values


def test_a_layer_that_computes_something_else_is_found_and_named() -> None:
    found = quantised("residual", 2)
    layer = found.prepared.graph.quantised_layers[1]
    verification = verify(changed(found.emit(), layer.bias, 0), found.network.probe(found.inputs()))
    between = verification.consumers[0]
    assert not between.ok and between.first_difference is not None
    assert f"the values of tensor '{layer.output}' differ from mirror" in between.first_difference


def test_a_probe_of_another_model_is_refused() -> None:
    probe = quantised("residual").network.probe(quantised("residual").inputs())
    other = quantised("conv_relu")
    with pytest.raises(ModelError, match="verify what one compile wrote"):
        verify(other.emit(), Probe(**{**vars_of(probe), "inputs": dict(other.network.probe(other.inputs()).inputs)}))


def vars_of(probe: Probe) -> dict[str, dict[str, np.ndarray]]:
    groups = ("codes", "near_tie", "outputs", "floats", "weights")
    return {group: dict(getattr(probe, group)) for group in groups}
