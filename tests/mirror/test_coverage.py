"""The table of operators says what the code does, and every gradient is that of finite differences."""

from __future__ import annotations

import pytest

from haqc.mirror.node import REGISTRY
from tests.coverage.gradients import EXACT, NONE, Trial, gradients, trials
from tests.coverage.table import PATH, written

pytestmark = pytest.mark.slow


def test_the_table_is_up_to_date() -> None:
    assert PATH.read_text(encoding="utf-8") == written(), "run 'python -m tests.coverage'"


def test_every_operator_has_been_tried() -> None:
    assert not [operator for operator in REGISTRY.builders if not gradients(operator)]


def test_enough_trials() -> None:
    assert len(trials()) > 650


def test_a_wrong_gradient_is_found() -> None:
    import torch

    (trial,) = [trial for trial in trials() if trial.name == "test_tanh"]

    class Wrong(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return torch.tanh(x)

        @staticmethod
        def backward(ctx, gradient):
            return gradient

    class WrongTrial(Trial):
        def mirror(self):
            return lambda x: (Wrong.apply(x),)

    with pytest.raises(RuntimeError, match="Jacobian mismatch"):
        WrongTrial(trial.name, trial.operator, trial.model, trial.moving).gradient()


@pytest.mark.parametrize(("name", "kind"), [("Tanh", EXACT), ("Attention", EXACT), ("Equal", NONE), ("TopK", EXACT)])
def test_what_passes(name: str, kind: str) -> None:
    assert gradients(("", name)) == kind
