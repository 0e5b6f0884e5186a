"""The ONNX project's own models as cases: through the clean-up and the mirror, judged by onnxruntime.

Where onnxruntime cannot run a model (a type or a version without a kernel), the outputs that the ONNX project stored
with it are the judge.
"""

from __future__ import annotations

import fnmatch
import functools
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort
import torch
from onnx import numpy_helper

from haqc.errors import ModelError
from haqc.mirror import from_onnx
from haqc.mirror.foreign import Foreign
from haqc.mirror.node import REGISTRY
from haqc.passes.clean import clean

Array = np.ndarray

KINDS_OF_CASES = ("node", "simple", "pytorch-converted", "pytorch-operator")
"""The kinds of models that ship with the onnx package."""

NEWEST = 26
"""The newest opset that haqc takes; cases of a newer one are run at this where their operators changed in nothing."""

TOLERANCE = {np.dtype(np.float64): 1e-5, np.dtype(np.float32): 1e-5, np.dtype(np.float16): 2**-10}
"""Largest difference relative to the largest magnitude of the reference, by type; that of halves is one step."""

KINDS = {*TOLERANCE, *(np.dtype(kind) for kind in ("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?"))}
"""Element types that numpy has and the mirror computes with."""


_UNSIGNED = "torch has no arithmetic of unsigned integers wider than a byte"
_TRAINING = "the node trains, and the mirror holds what is deployed"

LEFT_OUT = {
    "test_PReLU_?d_multiparam": "opset 6 broadcasts along the channels; haqc takes opsets from 7 on",
    "test_scan_sum": "before opset 9 a Scan runs over a batch; the clean-up refuses it",
    "test_batchnorm_*_training_mode": _TRAINING,
    "test_training_dropout*": _TRAINING,
    "test_add_uint[136]?": _UNSIGNED,
    "test_sub_uint[136]?": _UNSIGNED,
    "test_div_uint[136]?": _UNSIGNED,
    "test_mod_uint[136]?": _UNSIGNED,
    "test_max_uint[136]?": _UNSIGNED,
    "test_min_uint[136]?": _UNSIGNED,
    "test_greater_*uint[136]?*": _UNSIGNED,
    "test_less_*uint[136]?*": _UNSIGNED,
    "test_bitshift_*_uint[136]?": _UNSIGNED,
    "test_bitwise_not_3d": _UNSIGNED,
    "test_maxpool_with_argmax_2d_precomputed_strides": "the mirror counts positions in row-major order",
    "test_resize_tf_crop_and_resize*": "the mirror does not crop while it resizes",
    "test_resize_*_antialias": "the mirror does not smooth before it shrinks",
    "test_resize_*_not_larger": "the mirror takes sizes as they are",
    "test_resize_*_not_smaller": "the mirror takes sizes as they are",
}
"""Cases whose operators have a mirror that lacks this form, with the reason."""

STORED_JUDGES = {
    "test_attention_4d_with_past_and_present_qk_matmul_bias_?d_mask_causal": (
        "onnxruntime writes the lowest number where the score is minus infinity"
    ),
}
"""Cases judged by their stored outputs although onnxruntime runs them, with the reason."""

FACTORS = {"test_roialign_aligned_false": 10.0, "test_roialign_aligned_true": 10.0}
"""Factors of the tolerance: these outputs, which onnxruntime cannot run, are stored with four digits."""


@dataclass(frozen=True)
class Case:
    """A model with inputs and the outputs that belong to them, one pair per data set."""

    name: str
    model: onnx.ModelProto
    data: tuple[tuple[list[Array], list[Array]], ...]

    @property
    def operators(self) -> set[tuple[str, str]]:
        """The operators of the graph, by (domain, name)."""
        return {("" if n.domain == "ai.onnx" else n.domain, n.op_type) for n in self.model.graph.node}

    @property
    def is_in_scope(self) -> bool:
        """Whether every operator has a mirror, and every value is a tensor of a type that the mirror has."""
        values = [value for inputs, outputs in self.data for value in (*inputs, *outputs)]
        are_tensors = all(isinstance(value, np.ndarray) and value.dtype in KINDS for value in values)
        return are_tensors and self.operators <= REGISTRY.builders.keys()


@functools.cache
def cases(kind: str) -> tuple[Case, ...]:
    """Gives the models of a kind that ship with the onnx package, those with values in scope or not."""
    with warnings.catch_warnings():
        # Making the cases overflows on purpose here and there.
        warnings.simplefilter("ignore")
        from onnx.backend.test import loader

        found = loader.load_model_tests(kind=kind)
    return tuple(_case(case) for case in found)


def first_match(name: str, patterns: Mapping[str, str]) -> str:
    """Gives the first pattern that a name matches; empty where it matches none."""
    return next((pattern for pattern in patterns if fnmatch.fnmatchcase(name, pattern)), "")


def _case(case: Any) -> Case:
    if case.model is not None:
        data = [([_array(v) for v in inputs], [_array(v) for v in outputs]) for inputs, outputs in case.data_sets]
        return Case(case.name, _at_known_opset(case.model), tuple(data))
    folder = Path(case.model_dir)
    model = onnx.load(folder / "model.onnx")
    sets = sorted(folder.glob("test_data_set_*"))
    return Case(
        case.name,
        _at_known_opset(model),
        tuple(
            (_stored(path, "input", model.graph.input), _stored(path, "output", model.graph.output)) for path in sets
        ),
    )


def _stored(folder: Path, kind: str, values: Sequence[onnx.ValueInfoProto]) -> list[Any]:
    """Reads stored tensors; what is none comes as ``None``."""
    given = []
    for index, value in enumerate(values):
        path = folder / f"{kind}_{index}.pb"
        if path.exists():
            is_tensor = value.type.HasField("tensor_type")
            given.append(_array(onnx.TensorProto.FromString(path.read_bytes())) if is_tensor else None)
    return given


def _array(value: Any) -> Any:
    if isinstance(value, onnx.TensorProto):
        return numpy_helper.to_array(value)
    return np.asarray(value) if isinstance(value, np.ndarray | np.generic) else value


def _at_known_opset(model: onnx.ModelProto) -> onnx.ModelProto:
    """Gives a copy at the newest known opset where the model is written at a newer one."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for opset in copy.opset_import:
        if opset.domain == "":
            opset.version = min(opset.version, NEWEST)
    copy.ir_version = min(copy.ir_version, 11)
    return copy


def reference(case: Case) -> list[list[Array]]:
    """Gives onnxruntime's results, unoptimised and on one thread, or the stored ones where it cannot judge."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    stored = [outputs for _, outputs in case.data]
    if first_match(case.name, STORED_JUDGES):
        return stored
    try:
        session = ort.InferenceSession(case.model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        names = [value.name for value in case.model.graph.input]
        return [session.run(None, dict(zip(names, inputs, strict=False))) for inputs, _ in case.data]
    except Exception:  # onnxruntime's errors share no type
        return stored


def with_known_inputs(case: Case, inputs: Sequence[Array]) -> onnx.ModelProto:
    """Gives the model with every input but the first as a constant, as exporters write axes, shapes and weights."""
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    first, *others = case.model.graph.input
    del model.graph.input[:]
    model.graph.input.append(first)
    given = {value.name for value in model.graph.initializer}
    for value, array in zip(others, inputs[1:], strict=False):
        if value.name not in given:
            model.graph.initializer.append(numpy_helper.from_array(array, value.name))
    return model


def mirrored(model: onnx.ModelProto, values: Mapping[str, Array]) -> list[Array]:
    """Gives what the mirror of the cleaned model gives.

    Raises:
        ModelError: a node has no mirror; onnxruntime, which could run it, cannot be compared with itself.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    mirror = from_onnx(clean(ir.from_proto(copy)))
    gap = next((step.gap for step in mirror.steps if step.gap), "")
    gap = gap or next((step.function.gap for step in mirror.steps if isinstance(step.function, Foreign)), "")
    if gap:
        raise ModelError(gap)
    with torch.no_grad():
        results = mirror(*(torch.from_numpy(values[name].copy()) for name in mirror.inputs))
    return [result.detach().numpy() for result in results]


def gap(given: Sequence[Array], expected: Sequence[Array], factor: float = 1.0) -> str:
    """Says what differs by more than ``factor`` times the tolerance; empty where nothing does."""
    for index, (left, right) in enumerate(zip(given, expected, strict=True)):
        if (left.dtype, left.shape) != (right.dtype, right.shape):
            return f"output {index} is {left.dtype}{left.shape}, not {right.dtype}{right.shape}"
        bound = TOLERANCE.get(right.dtype)
        if bound is None:
            if not np.array_equal(left, right):
                return f"output {index} differs"
            continue
        a, b = left.astype(np.float64), right.astype(np.float64)
        largest = np.abs(b[np.isfinite(b)]).max(initial=0.0)
        if not np.allclose(a, b, rtol=0, atol=factor * bound * largest, equal_nan=True):
            return f"output {index} differs by {np.nanmax(np.abs(a - b)):.3g}, its largest value being {largest:.3g}"
    return ""


def failures(case: Case) -> Iterator[str]:
    """Says what is wrong with a case: with its inputs as they are, and with all but the first known."""
    factor = FACTORS.get(case.name, 1.0)
    for (inputs, _), expected in zip(case.data, reference(case), strict=True):
        values = dict(zip([value.name for value in case.model.graph.input], inputs, strict=False))
        forms = {"as it is": case.model}
        if len(inputs) > 1 and len(inputs) == len(case.model.graph.input):
            forms["with known inputs"] = with_known_inputs(case, inputs)
        for form, model in forms.items():
            try:
                what = gap(mirrored(model, values), expected, factor)
            except Exception as error:  # whatever goes wrong is the finding
                what = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
            if what:
                yield f"{case.name} {form}: {what}"
