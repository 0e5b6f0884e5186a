"""How far float32 is off, found in double precision, and what that makes of the margin at ties."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from haqc.mirror import quantised
from haqc.mirror.double import Double
from haqc.passes.emit import emit_qcdq
from haqc.passes.verify import Verification, verify
from haqc.probe import LARGEST_MARGIN, TIE_MARGIN
from tests.passes.small_graphs import GRAPHS, Prepared
from tests.small_model import draw, small_model

ENLARGING = """(float[N, 512] x) => (float[N, 4] y) {
    o = Add(x, offset) s = ReduceMean(o, last) p = Mul(o, o) e = ReduceMean(p, last) m = Mul(s, s) v = Sub(e, m)
    r = Sqrt(v) c = Sub(o, s) n = Div(c, r) y = MatMul(n, W) }"""
"""A normalisation whose variance is the mean square less the squared mean."""


def _enlarging(offset: float) -> Prepared:
    return Prepared.of(small_model(ENLARGING, {"offset": offset, "last": [1], "W": draw(512, 4)}))


def _verified(prepared: Prepared) -> Verification:
    made = prepared.quantise(prepared.space.uniform(8, 8))
    probe = made.network.probe(made.inputs(64))
    return verify(emit_qcdq(prepared.model, made.policy, made.network.codes(), {}), probe)


def test_everything_is_computed_in_double_precision() -> None:
    x = torch.full((3,), 0.1)
    with Double():
        made = torch.zeros(3)
        made[1:] = x[1:] * 3
        for found in (x + x, made, x.to(torch.float32), torch.cat([x, made])):
            assert found.dtype == torch.float64
        assert (x > 0).dtype == torch.bool
    assert (x + x).dtype == torch.float32
    assert made.tolist() == [0.0, *[float(np.float32(0.1)) * 3] * 2]


@pytest.mark.parametrize("name", ["conv_relu", "residual", "gemm", "two_inputs", "tokens_first"])
def test_of_usual_networks_the_margin_is_the_usual_one(name: str) -> None:
    prepared = Prepared.of(GRAPHS[name]())
    made = prepared.quantise(prepared.space.uniform(8, 8))
    found = made.network._rounding_errors(made.inputs(16))
    assert {*found} == {*made.network.activations}
    assert max(found.values()) < TIE_MARGIN / 3
    assert made.network.probe(made.inputs(16)).margins == {}


def test_a_formula_that_enlarges_rounding_errors_widens_its_tensors_margin(monkeypatch: pytest.MonkeyPatch) -> None:
    prepared = _enlarging(50.0)
    found = _verified(prepared)
    assert found.ok
    assert [entry["tensor"] for entry in found.to_json()["margins"]] == ["n"]
    assert TIE_MARGIN < found.margins["n"] <= LARGEST_MARGIN
    monkeypatch.setattr(quantised, "rounding_errors", lambda *_: {})
    before = _verified(prepared)
    assert not before.ok
    assert "the codes of tensor 'n' differ from mirror" in before.first_difference


def test_an_operator_that_knows_no_double_precision_leaves_the_usual_margin(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> Any:
        raise RuntimeError("expected Float, and not Double")

    prepared = _enlarging(50.0)
    made = prepared.quantise(prepared.space.uniform(8, 8))
    monkeypatch.setattr(Double, "__torch_function__", refuse)
    probe = made.network.probe(made.inputs(16))
    assert probe.margins == {}
    assert made.network.mirror.quantisers == {}


def test_what_onnxruntime_runs_leaves_the_usual_margin(without: Callable[..., None]) -> None:
    without("Softsign")
    text = "(float[N, 8] x) => (float[N, 4] y) { h = MatMul(x, W) y = Softsign(h) }"
    prepared = Prepared.of(small_model(text, {"W": draw(8, 4)}))
    made = prepared.quantise(prepared.space.uniform(8, 8))
    assert made.network._rounding_errors(made.inputs(4)) == {}
