"""The ONNX project's own one-node cases, each at the tolerance it states itself (mostly 1e-3 relative)."""

from __future__ import annotations

import fnmatch
import warnings
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from haqc.errors import ModelError
from haqc.mirror.node import REGISTRY
from tests.mirror.one_node import node_of

pytestmark = pytest.mark.slow

KINDS = {np.dtype(kind) for kind in ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "?")}
"""Types that numpy has and torch computes with."""

WIDENED = {"Celu", "DepthToSpace", "Einsum", "OneHot", "ReduceLogSum", "ReduceLogSumExp"}
"""Operators that opsets 27 and 28 let take more types, and changed in nothing else."""

REFUSED = (
    "test_batchnorm_*_training_mode",
    "test_training_dropout*",
    "test_maxpool_with_argmax_2d_precomputed_strides",
    "test_resize_tf_crop_and_resize*",
    "test_resize_*_antialias",
    "test_resize_*_not_larger",
    "test_resize_*_not_smaller",
    "test_scatter_elements_with_reduction_m*",
    "test_scatternd_m*",
)
"""Cases of forms that the mirror refuses."""

LEFT_OUT = {
    "test_reduce_m*_empty_set*": "torch has no extreme of nothing",
    "test_resize_downsample_scales_*_align_corners": "onnxruntime, which the mirror follows, rounds the length first",
}


def known_cases() -> list[Any]:
    """Gives the cases of one node whose operator has a mirror."""
    with warnings.catch_warnings():
        # Making the cases overflows on purpose here and there.
        warnings.simplefilter("ignore")
        from onnx.backend.test import loader

        cases = loader.load_model_tests(kind="node")
    nodes = [(case, list(case.model.graph.node)) for case in cases if case.model is not None]
    known = REGISTRY.builders.keys() - {("", "If"), ("", "Loop"), ("", "Scan")}  # their bodies need a whole mirror
    return [case for case, one in nodes if len(one) == 1 and (one[0].domain, one[0].op_type) in known]


def versions() -> dict[str, set[int]]:
    """Gives, by operator, the versions that opsets 21 to 26 hold."""
    history: dict[str, set[int]] = {}
    for schema in onnx.defs.get_all_schemas_with_history():
        if schema.domain == "" and schema.since_version <= 26:
            history.setdefault(schema.name, set()).add(schema.since_version)
    return {
        name: {version for version in every if version >= max(v for v in every if v <= max(21, min(every)))}
        for name, every in history.items()
    }


VERSIONS = versions()


def reason_to_skip(case: Any) -> str:
    """Says why a case does not concern the mirror; empty when it does."""
    (node,), (opset,) = case.model.graph.node, case.model.opset_import
    version = onnx.defs.get_schema(node.op_type, opset.version).since_version
    if version not in VERSIONS[node.op_type] and not (version > 26 and node.op_type in WIDENED):
        return "the operator is not that of opsets 21 to 26"
    values = [value for inputs, outputs in case.data_sets for value in [*inputs, *outputs]]
    if any(not isinstance(value, np.ndarray | np.generic) or value.dtype not in KINDS for value in values):
        return "torch does not compute with the type"
    return next((why for pattern, why in LEFT_OUT.items() if fnmatch.fnmatch(case.name, pattern)), "")


def run(case: Any) -> None:
    """Runs a case with all inputs but the first known while building."""
    (node,) = case.model.graph.node
    for inputs, outputs in case.data_sets:
        given = iter(inputs)
        arrays = [np.asarray(next(given)) if name else None for name in node.input]
        opset = min(max(case.model.opset_import[0].version, 21), 26)
        function = REGISTRY.build(node_of(node, opset, [None, *arrays[1:]]))
        result = function(*(None if array is None else torch.from_numpy(array.copy()) for array in arrays))
        results = result if isinstance(result, tuple) else (result,)
        named = [tensor for tensor, name in zip(results, node.output, strict=True) if name]
        for tensor, expected in zip(named, outputs, strict=True):
            assert (tensor.numpy().dtype, tuple(tensor.shape)) == (expected.dtype, expected.shape)
            np.testing.assert_allclose(tensor.numpy(), expected, rtol=case.rtol, atol=case.atol)


@pytest.mark.parametrize("case", known_cases(), ids=lambda case: case.name)
def test_case(case: Any) -> None:
    reason = reason_to_skip(case)
    if reason:
        pytest.skip(reason)
    if any(fnmatch.fnmatch(case.name, pattern) for pattern in REFUSED):
        with pytest.raises(ModelError, match=f"^node '.*' \\({case.model.graph.node[0].op_type}, opset 2[1-6]\\) "):
            run(case)
    else:
        run(case)
