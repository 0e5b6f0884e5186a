"""Whether QONNX's executor computes what the mirror computes, where it is installed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx_ir as ir

from haqc.content import Content
from haqc.errors import ModelError
from haqc.gap import least_magnitudes
from haqc.passes.verify.compare import against_mirror, output_difference
from haqc.passes.verify.consumer import Consumer, consumer
from haqc.passes.verify.cut import GIVEN
from haqc.passes.verify.outside import OutsideRuntime, RuntimeRefuses
from haqc.probe import Probe, parts

NAME = "QONNX executor"

QONNX = OutsideRuntime("qonnx", Path(__file__).with_name("run_qonnx.py"))


def verify_qonnx(model: ir.Model, probe: Probe) -> Consumer:
    """Compares QONNX's executor with the mirror, every layer on the mirror's codes, by the rule without optimisation.

    Args:
        model: an emitted QONNX model.
        probe: what the mirror computed.

    Raises:
        ModelError: the model quantises other activations than the mirror.
    """
    quants = {quant.tensor: quant for quant in map(_Quant.of, _activation_quants(model))}
    differs = sorted({*quants} ^ {*probe.codes})
    if differs:
        raise ModelError(f"model and mirror differ in the quantiser at '{differs[0]}'; verify what one compile wrote")
    line = Consumer(NAME, "", "absent", "mirror", "codes")
    interpreter = QONNX.interpreter
    if interpreter is None:
        return line
    given = {GIVEN + quant.output: quant.values(probe.codes[tensor]) for tensor, quant in quants.items()}
    outputs = [*probe.outputs, *(quant.output for quant in quants.values())]
    cut, inputs = _cut(model), {**probe.inputs, **given}
    count = parts(len(probe), _samples_per_run(model))
    try:
        answer = QONNX.run(interpreter, cut, inputs, outputs, count)
    except RuntimeRefuses as error:
        return replace(line, status="refused", first_difference=str(error))
    differences = [
        against_mirror(tensor, quant.codes(answer.outputs[quant.output]), probe) for tensor, quant in quants.items()
    ]
    output = output_difference(answer.outputs, probe.outputs, least_magnitudes(model))
    return consumer(NAME, answer.version, "mirror", "codes", differences, output)


@dataclass(frozen=True, slots=True)
class _Quant:
    """One activation's quantiser, and how its floats are codes of the mirror, which are unsigned."""

    tensor: str
    output: str
    scale: np.float32
    zero_point: int

    @classmethod
    def of(cls, node: ir.Node) -> _Quant:
        tensor, *parameters = node.inputs
        numbers = [value.const_value.numpy() for value in parameters if value is not None and value.const_value]
        if tensor is None or len(numbers) != 3 or any(number.size != 1 for number in numbers):
            raise ModelError(f"node '{node.name}' is no quantiser as haqc writes them; verify what one compile wrote")
        scale, zero_point, bits = (number.reshape(()) for number in numbers)
        shift = 1 << (int(bits) - 1) if node.attributes.get_int("signed", 1) else 0
        return cls(str(tensor.name), str(node.outputs[0].name), np.float32(scale), int(zero_point) + shift)

    def values(self, codes: np.ndarray) -> np.ndarray:
        """Gives the floats that codes stand for."""
        return np.asarray((codes.astype(np.float32) - self.zero_point) * self.scale, np.float32)

    def codes(self, values: np.ndarray) -> np.ndarray:
        """Gives the codes that floats stand for."""
        return np.asarray(np.rint(values / self.scale) + self.zero_point)


def _activation_quants(model: ir.Model) -> list[ir.Node]:
    return [node for node in model.graph if node.op_type == "Quant" and node.inputs[0] and not _is_stored(node)]


def _is_stored(node: ir.Node) -> bool:
    value = node.inputs[0]
    return value is not None and value.const_value is not None


def _cut(model: ir.Model) -> Content:
    """Gives the model with every activation's quantiser as an output, whose readers get a given tensor instead."""
    cut = model.clone()
    for node in _activation_quants(cut):
        value = node.outputs[0]
        readers = list(value.uses())
        given = ir.Value(name=GIVEN + str(value.name), type=value.type, shape=value.shape)
        cut.graph.inputs.append(given)
        for reader, place in readers:
            reader.replace_input_with(place, given)
        if value not in cut.graph.outputs:
            cut.graph.outputs.append(value)
    return Content.of(cut)


def _samples_per_run(model: ir.Model) -> int | None:
    shape = model.graph.inputs[0].shape
    extent = None if shape is None else shape[0]
    return extent if isinstance(extent, int) else None
