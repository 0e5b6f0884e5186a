"""Every model of the ONNX project whose operators have a mirror: equal to onnxruntime, to 1e-5 of the largest value.

Each goes through the clean-up as a real model does, with its inputs as they are and with all but the first known.
What is left out stands below with its reason, and leaving out what would pass is a failure.
"""

from __future__ import annotations

import pytest

from tests.mirror.onnx_cases import cases, failures, first_match

pytestmark = pytest.mark.slow

PARTS = 12
"""The one-node models are run in so many parts."""

UNSIGNED = "torch has no arithmetic of unsigned integers wider than a byte"
RANGE = "doubles become 32-bit floats inside, and these lie beyond their range"
TRAINING = "the node trains, and the mirror holds what is deployed"

LEFT_OUT = {
    "test_PReLU_?d_multiparam": "opset 6 broadcasts along the channels; haqc takes opsets from 7 on",
    "test_operator_add_*broadcast": RANGE,
    "test_operator_addconstant": RANGE,
    "test_bitcast_*float64*": "doubles become 32-bit floats inside, of other bits",
    "test_scan_sum": "before opset 9 a Scan runs over a batch; the clean-up refuses it",
    "test_batchnorm_*_training_mode": TRAINING,
    "test_training_dropout*": TRAINING,
    "test_add_uint[136]?": UNSIGNED,
    "test_sub_uint[136]?": UNSIGNED,
    "test_div_uint[136]?": UNSIGNED,
    "test_mod_uint[136]?": UNSIGNED,
    "test_max_uint[136]?": UNSIGNED,
    "test_min_uint[136]?": UNSIGNED,
    "test_greater_*uint[136]?*": UNSIGNED,
    "test_less_*uint[136]?*": UNSIGNED,
    "test_bitshift_*_uint[136]?": UNSIGNED,
    "test_bitwise_not_3d": UNSIGNED,
    "test_maxpool_with_argmax_2d_precomputed_strides": "the mirror counts positions in row-major order",
    "test_resize_tf_crop_and_resize*": "the mirror does not crop while it resizes",
    "test_resize_*_antialias": "the mirror does not smooth before it shrinks",
    "test_resize_*_not_larger": "the mirror takes sizes as they are",
    "test_resize_*_not_smaller": "the mirror takes sizes as they are",
}
"""Cases whose operators have a mirror that lacks this form, with the reason."""

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
