"""Runs an emitted file in onnxruntime and compares it, layer by layer, with what the mirror computed.

Two runs, each on equal input codes, so that one flipped rounding does not travel on:

1. *Unoptimised against the mirror.* The emitted graph is cut at every code tensor; each piece gets the mirror's codes
   and must give the mirror's codes. A difference of one is allowed only near a tie, see :mod:`haqc.probe`.
2. *Defaults against unoptimised.* The intact file runs at the runtime's defaults with its codes exposed; the cut graph,
   unoptimised, gets exactly those codes. Codes may differ by one on under 0.1 % of a tensor's values.

A file with codebooks has no codes. It is cut between its layers, where each piece gets the mirror's floats and must
give the mirror's floats to rounding; and the weights that the runtime unpacks must be the mirror's, bit for bit.

Other runtimes read the files where they are installed, each in a process of its own: OpenVINO what onnxruntime runs,
QONNX's executor what is written for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx_ir as ir

from haqc.content import Content
from haqc.errors import ModelError
from haqc.formats import RUNNABLE, FormatName
from haqc.gap import gap_between
from haqc.onnxprocess import check_model, lasting
from haqc.passes.verify.compare import (
    DEFAULTS_SHARE,
    OUTPUT_TOLERANCE,
    against_mirror,
    against_unoptimised,
    output_difference,
    run_in_parts,
)
from haqc.passes.verify.consumer import Compared, Consumer, TensorDifference, Verification, consumer
from haqc.passes.verify.cut import GIVEN, Cut
from haqc.passes.verify.kernels import Kernel, kernels
from haqc.passes.verify.openvino import verify_openvino
from haqc.passes.verify.qonnx import verify_qonnx
from haqc.passes.verify.weights import compare_weights
from haqc.probe import Probe
from haqc.runtime import VERSION, Runtime

__all__ = [
    "DEFAULTS_SHARE",
    "FLOAT_TOLERANCE",
    "OUTPUT_TOLERANCE",
    "Consumer",
    "Kernel",
    "TensorDifference",
    "Verification",
    "check",
    "kernels",
    "verify",
    "verify_alone",
    "verify_formats",
    "verify_openvino",
    "verify_qonnx",
]

FLOAT_TOLERANCE = 1e-5
"""Such a difference between two layers of a file with codebooks, where one layer's rounding is all there is."""


def verify_formats(files: Sequence[tuple[FormatName, str, ir.Model]], probe: Probe) -> Verification:
    """Checks a network in all its formats against the mirror's probe, by every consumer that is there.

    Args:
        files: format, name of the file and model.
        probe: what the mirror computed.

    Raises:
        ModelError: the ONNX checker or onnxruntime refuses a model.
    """
    consumers: list[Consumer] = []
    for name, file, model in files:
        found = Verification(len(probe), ())
        if name in RUNNABLE:
            found = verify(model, probe).with_consumers(*verify_openvino(model, probe.inputs))
        elif name == "qonnx":
            found = found.with_consumers(verify_qonnx(model, probe))
        consumers += found.of_file(file).consumers
    return Verification(len(probe), tuple(consumers), probe.margins)


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
        found = _unoptimised(pieces, cut, probe), _defaults(pieces, cut, probe.inputs)
        return Verification(len(probe), found, probe.margins)
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
        content = Content.of(model).checkable()
    except ModelError:
        raise
    except Exception as error:  # the copy raises kinds of its own
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise ModelError(f"the ONNX checker cannot be given the model ({reason}); export it again") from error
    check_model(content, lasting())


def _unoptimised(pieces: Cut, cut: Runtime, probe: Probe) -> Consumer:
    given = {GIVEN + name: probe.codes[tensor] for tensor, name in pieces.codes.items()}
    given |= {GIVEN + name: probe.floats[name] for name in pieces.floats}
    got = run_in_parts(cut, {**probe.inputs, **given})
    differences = [against_mirror(tensor, got[name], probe) for tensor, name in pieces.codes.items()]
    for name in pieces.floats:
        gap = gap_between(got[name], probe.floats[name])
        ok = gap <= FLOAT_TOLERANCE
        differences.append(TensorDifference(name, got[name].size, 0 if ok else got[name].size, gap, ok))
    output = output_difference(got, probe.outputs, pieces.least)
    compared: Compared = "values" if probe.weights else "codes"
    return consumer("onnxruntime, unoptimised", VERSION, "mirror", compared, differences, output)


def _defaults(pieces: Cut, cut: Runtime, inputs: Mapping[str, np.ndarray]) -> Consumer:
    got = run_in_parts(Runtime(pieces.exposed_model), inputs)
    return against_unoptimised("onnxruntime, defaults", VERSION, got, pieces, cut, inputs)
