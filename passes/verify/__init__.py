"""Runs an emitted file in onnxruntime and compares it, layer by layer, with what the mirror computed.

Two runs, each on equal input codes, so that one flipped rounding does not travel on:

1. *Unoptimised against the mirror.* The emitted graph is cut at every code tensor; each piece gets the mirror's codes
   and must give the mirror's codes. A difference of one is allowed only within 0.001 step of a tie.
2. *Defaults against unoptimised.* The intact file runs at the runtime's defaults with its codes exposed; the cut graph,
   unoptimised, gets exactly those codes. Codes may differ by one on under 0.1 % of a tensor's values.

A file with codebooks has no codes. It is cut between its layers, where each piece gets the mirror's floats and must
give the mirror's floats to rounding; and the weights that the runtime unpacks must be the mirror's, bit for bit.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
import onnx_ir as ir

from haqc import onnxfile
from haqc.errors import ModelError
from haqc.gap import gap_between
from haqc.passes.verify.consumer import Compared, Consumer, TensorDifference, Verification, consumer
from haqc.passes.verify.cut import GIVEN, Cut
from haqc.passes.verify.weights import compare_weights
from haqc.probe import Probe, parts
from haqc.runtime import Runtime

__all__ = [
    "DEFAULTS_SHARE",
    "FLOAT_TOLERANCE",
    "OUTPUT_TOLERANCE",
    "Consumer",
    "TensorDifference",
    "Verification",
    "check",
    "verify",
    "verify_alone",
]

DEFAULTS_SHARE = 1e-3
"""Share of a tensor's codes that may differ by one at the runtime's defaults."""

OUTPUT_TOLERANCE = 1e-4
"""Difference of float outputs, as a share of their largest magnitude, allowed between the mirror and the runtime."""

FLOAT_TOLERANCE = 1e-5
"""Such a difference between two layers of a file with codebooks, where one layer's rounding is all there is."""


def verify(model: ir.Model, probe: Probe) -> Verification:
    """Checks an emitted model against the mirror's probe.

    Raises:
        ModelError: the ONNX checker or the runtime refuses the model.
    """
    check(model)
    pieces = Cut.of(model, tuple(probe.floats))
    cut = Runtime(pieces.cut_model, optimised=False)
    differs = sorted({*pieces.codes} ^ {*probe.codes}) or sorted({*probe.outputs} - {*cut.outputs})
    if differs:
        raise ModelError(
            f"model and mirror differ in the quantiser or output at '{differs[0]}'; verify what one compile wrote"
        )
    if not probe.weights:
        return Verification(len(probe), (_unoptimised(pieces, cut, probe), _defaults(pieces, cut, probe.inputs)))
    whole = Cut.of(model)
    defaults = _defaults(whole, Runtime(whole.cut_model, optimised=False), probe.inputs)
    return Verification(len(probe), (_unoptimised(pieces, cut, probe), defaults, compare_weights(model, probe.weights)))


def verify_alone(model: ir.Model, inputs: Mapping[str, np.ndarray]) -> Verification:
    """Checks only that the runtime agrees with itself: defaults against unoptimised."""
    check(model)
    pieces = Cut.of(model)
    cut = Runtime(pieces.cut_model, optimised=False)
    return Verification(len(next(iter(inputs.values()))), (_defaults(pieces, cut, inputs),))


def check(model: ir.Model) -> None:
    """Runs the ONNX checker over a model.

    Raises:
        ModelError: the checker refuses it.
    """
    try:
        # By itself the checker would look for external data in the current folder.
        onnx.checker.check_model(onnxfile.serialise(model), full_check=True)
    except ModelError:
        raise
    except Exception as error:  # the copy, the checker and shape inference raise kinds of their own
        raise ModelError(f"the ONNX checker refuses the model ({str(error).strip().splitlines()[0]})") from error


def _unoptimised(pieces: Cut, cut: Runtime, probe: Probe) -> Consumer:
    differences: list[TensorDifference] = []
    given = {GIVEN + name: probe.codes[tensor] for tensor, name in pieces.codes.items()}
    given |= {GIVEN + name: probe.floats[name] for name in pieces.floats}
    got = _run(cut, {**probe.inputs, **given})
    for tensor, name in pieces.codes.items():
        gap = np.abs(got[name].astype(np.int16) - probe.codes[tensor])
        ok = bool(((gap == 0) | ((gap == 1) & probe.near_tie[tensor])).all())
        differences.append(TensorDifference(tensor, gap.size, int((gap > 0).sum()), int(gap.max()), ok))
    for name in pieces.floats:
        gap = gap_between(got[name], probe.floats[name])
        ok = gap <= FLOAT_TOLERANCE
        differences.append(TensorDifference(name, got[name].size, 0 if ok else got[name].size, gap, ok))
    output = _output_difference(got, probe.outputs)
    compared: Compared = "values" if probe.weights else "codes"
    return consumer("onnxruntime, unoptimised", "mirror", compared, differences, output)


def _defaults(pieces: Cut, cut: Runtime, inputs: Mapping[str, np.ndarray]) -> Consumer:
    got = _run(Runtime(pieces.exposed_model), inputs)
    given = {GIVEN + name: got[name] for name in pieces.codes.values()}
    expected = _run(cut, {**inputs, **given})
    differences = []
    for tensor, name in pieces.codes.items():
        gap = np.abs(got[name].astype(np.int16) - expected[name])
        different = int((gap > 0).sum())
        ok = bool(gap.max() <= 1) and different < max(DEFAULTS_SHARE * gap.size, 1)
        differences.append(TensorDifference(tensor, gap.size, different, int(gap.max()), ok))
    outputs = {name: expected[name] for name in expected if name not in pieces.codes.values()}
    output = _output_difference(got, outputs)
    compared: Compared = "codes" if pieces.codes else "values"
    return consumer("onnxruntime, defaults", "onnxruntime, unoptimised", compared, differences, output)


def _output_difference(got: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray]) -> str | None:
    for name, reference in expected.items():
        gap = gap_between(got[name], reference)
        if not gap <= OUTPUT_TOLERANCE:
            return f"output '{name}' differs by {gap:.3g} of its largest magnitude"
    return None


def _run(runtime: Runtime, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Runs in the parts that the mirror's probes ran in; the first input has the batch first."""
    count = parts(len(next(iter(inputs.values()))), runtime.samples_per_run)
    pieces = zip(*(np.split(array, count) for array in inputs.values()), strict=True)
    results = [runtime.run(dict(zip(inputs, piece, strict=True))) for piece in pieces]
    return {name: np.concatenate([np.atleast_1d(result[name]) for result in results]) for name in results[0]}
