"""Every model of the ONNX project whose operators have a mirror: equal to onnxruntime, to 1e-5 of the largest value.

Each goes through the clean-up as a real model does, with its inputs as they are and with all but the first known.
What is left out stands in LEFT_OUT with its reason, and leaving out what would pass is a failure.
"""

from __future__ import annotations

import pytest

from tests.mirror.onnx_cases import LEFT_OUT, cases, failures, first_match

pytestmark = pytest.mark.slow

PARTS = 12
"""The one-node models are run in so many parts."""

LEAST = {"node": 1440, "simple": 7, "pytorch-converted": 79, "pytorch-operator": 30}
"""At least so many models of each kind are compared."""


@pytest.mark.parametrize("part", range(PARTS))
def test_node_models(part: int) -> None:
    _equal("node", part, PARTS)


@pytest.mark.parametrize("kind", ["simple", "pytorch-converted", "pytorch-operator"])
def test_models_of_several_nodes(kind: str) -> None:
    _equal(kind, 0, 1)


@pytest.mark.parametrize("kind", LEAST)
def test_enough_models_are_compared(kind: str) -> None:
    compared = [case for case in cases(kind) if case.is_in_scope and not first_match(case.name, LEFT_OUT)]
    assert len(compared) >= LEAST[kind]


def test_what_is_left_out_exists() -> None:
    names = [case.name for kind in LEAST for case in cases(kind)]
    unused = set(LEFT_OUT) - {first_match(name, LEFT_OUT) for name in names}
    assert not unused


def _equal(kind: str, part: int, parts: int) -> None:
    """Fails unless all cases of a part give what they should, and those left out do not."""
    wrong = []
    for case in cases(kind)[part::parts]:
        if not case.is_in_scope:
            continue
        found = list(failures(case))
        pattern = first_match(case.name, LEFT_OUT)
        if pattern and not found:
            wrong.append(f"{case.name} passes: '{pattern}' is left out in vain")
        elif not pattern:
            wrong += found
    assert not wrong, "\n".join(wrong)
