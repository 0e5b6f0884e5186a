"""Runs an emitted file in onnxruntime and compares it, layer by layer, with what the mirror computed.

Two runs, each on equal input codes, so that one flipped rounding does not travel on:

1. *Unoptimised against the mirror.* The emitted graph is cut at every code tensor; each piece gets the mirror's codes
   and must give the mirror's codes. A difference of one is allowed only within 0.001 step of a tie.
2. *Defaults against unoptimised.* The intact file runs at the runtime's defaults with its codes exposed; the cut graph,
   unoptimised, gets exactly those codes. Codes may differ by one on under 0.1 % of a tensor's values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir

from haqc import onnxfile
from haqc.errors import ModelError
from haqc.gap import gap_between
from haqc.probe import Probe, parts
from haqc.runtime import Runtime

DEFAULTS_SHARE = 1e-3
"""Share of a tensor's codes that may differ by one at the runtime's defaults."""

OUTPUT_TOLERANCE = 1e-4
"""Difference of float outputs, as a share of their largest magnitude, allowed between the mirror and the runtime."""

_GIVEN = "haqc.given."


@dataclass(frozen=True, slots=True)
class TensorDifference:
    """How one tensor of codes compares."""

    tensor: str
    values: int
    different: int
    largest: int
    ok: bool


@dataclass(frozen=True, slots=True)
class Consumer:
    """What one runtime, at one setting, made of the file.

    Attributes:
        name: the runtime and its setting.
        against: what it was compared with.
        ok: whether it is equal by the rule.
        tensors, values, different: how much was compared, and how many codes differ.
        worst: the tensor with the largest share of differences, or ``None``.
        first_difference: the first tensor that breaks the rule, in graph order, in words; ``None`` when none does.
    """

    name: str
    against: str
    ok: bool
    tensors: int
    values: int
    different: int
    worst: TensorDifference | None
    first_difference: str | None

    def to_json(self) -> dict[str, Any]:
        """Gives the consumer as in ``report.json``."""
        content = asdict(self)
        content["share"] = self.different / self.values if self.values else 0.0
        if self.worst is not None:
            share = self.worst.different / self.worst.values
            content["worst"] = {"tensor": self.worst.tensor, "share": share, "largest": self.worst.largest}
        return content


@dataclass(frozen=True, slots=True)
class Verification:
    """The verdict over one emitted file."""

    probes: int
    consumers: tuple[Consumer, ...]

    @property
    def ok(self) -> bool:
        """Whether every consumer is equal by the rule."""
        return all(consumer.ok for consumer in self.consumers)

    @property
    def first_difference(self) -> str:
        """The first difference that breaks the rule, in words; empty when there is none."""
        return next((f"{c.name}: {c.first_difference}" for c in self.consumers if c.first_difference), "")

    def to_json(self) -> dict[str, Any]:
        """Gives the verdict as in ``report.json``."""
        consumers = [consumer.to_json() for consumer in self.consumers]
        return {"checker": "passed", "probes": self.probes, "ok": self.ok, "consumers": consumers}


def verify(model: ir.Model, probe: Probe) -> Verification:
    """Checks an emitted model against the mirror's probe.

    Raises:
        ModelError: the ONNX checker or the runtime refuses the model.
    """
    check(model)
    pieces = _Cut.of(model)
    cut = Runtime(pieces.cut_model, optimised=False)
    differs = sorted({*pieces.codes} ^ {*probe.codes}) or sorted({*probe.outputs} - {*cut.outputs})
    if differs:
        raise ModelError(
            f"model and mirror differ in the quantiser or output at '{differs[0]}'; verify what one compile wrote"
        )
    return Verification(len(probe), (_unoptimised(pieces, cut, probe), _defaults(pieces, cut, probe.inputs)))


def verify_alone(model: ir.Model, inputs: Mapping[str, np.ndarray]) -> Verification:
    """Checks only that the runtime agrees with itself: defaults against unoptimised."""
    check(model)
    pieces = _Cut.of(model)
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


@dataclass(frozen=True)
class _Cut:
    """An emitted model in two forms.

    Attributes:
        codes: name of the code tensor by the activation tensor it stands for, in graph order.
        exposed_model: the intact model with every code tensor as an output as well.
        cut_model: every code tensor is an output, and its reader gets a given one instead.
    """

    codes: dict[str, str]
    exposed_model: bytes
    cut_model: bytes

    @classmethod
    def of(cls, model: ir.Model) -> _Cut:
        exposed, cut = model.clone(), model.clone()
        codes = _expose(exposed)
        _expose(cut)
        for node in list(cut.graph):
            value = node.inputs[0] if node.op_type == "DequantizeLinear" else None
            if value is not None and not _is_stored(value):
                given = ir.Value(name=_GIVEN + str(value.name), type=value.type, shape=value.shape)
                cut.graph.inputs.append(given)
                node.replace_input_with(0, given)
        return cls(codes, onnxfile.serialise(exposed), onnxfile.serialise(cut))


def _expose(model: ir.Model) -> dict[str, str]:
    """Makes every code tensor a graph output; gives their names by activation tensor."""
    codes = {}
    for node in model.graph:
        if node.op_type != "DequantizeLinear" or node.inputs[0] is None or _is_stored(node.inputs[0]):
            continue
        value = node.inputs[0]
        producer = value.producer()
        if producer is not None and producer.op_type == "Clip" and producer.inputs[0] is not None:
            producer = producer.inputs[0].producer()
        if producer is None or producer.op_type != "QuantizeLinear" or producer.inputs[0] is None:
            raise ModelError(f"node '{node.name}' dequantises something that no QuantizeLinear wrote; not a QCDQ model")
        codes[str(producer.inputs[0].name)] = str(value.name)
        if value not in model.graph.outputs:
            model.graph.outputs.append(value)
    return codes


def _is_stored(codes: ir.Value) -> bool:
    """Whether codes are weights: constants of the file, or rows looked up in one."""
    producer = codes.producer()
    table = producer.inputs[0] if producer is not None and producer.op_type == "Gather" else None
    return codes.const_value is not None or (table is not None and table.const_value is not None)


def _unoptimised(pieces: _Cut, cut: Runtime, probe: Probe) -> Consumer:
    differences: list[TensorDifference] = []
    given = {_GIVEN + name: probe.codes[tensor] for tensor, name in pieces.codes.items()}
    got = _run(cut, {**probe.inputs, **given})
    for tensor, name in pieces.codes.items():
        gap = np.abs(got[name].astype(np.int16) - probe.codes[tensor])
        ok = bool(((gap == 0) | ((gap == 1) & probe.near_tie[tensor])).all())
        differences.append(TensorDifference(tensor, gap.size, int((gap > 0).sum()), int(gap.max()), ok))
    output = _output_difference(got, probe.outputs)
    return _consumer("onnxruntime, unoptimised", "mirror", differences, output)


def _defaults(pieces: _Cut, cut: Runtime, inputs: Mapping[str, np.ndarray]) -> Consumer:
    got = _run(Runtime(pieces.exposed_model), inputs)
    given = {_GIVEN + name: got[name] for name in pieces.codes.values()}
    expected = _run(cut, {**inputs, **given})
    differences = []
    for tensor, name in pieces.codes.items():
        gap = np.abs(got[name].astype(np.int16) - expected[name])
        different = int((gap > 0).sum())
        ok = bool(gap.max() <= 1) and different < max(DEFAULTS_SHARE * gap.size, 1)
        differences.append(TensorDifference(tensor, gap.size, different, int(gap.max()), ok))
    outputs = {name: expected[name] for name in expected if name not in pieces.codes.values()}
    return _consumer("onnxruntime, defaults", "onnxruntime, unoptimised", differences, _output_difference(got, outputs))


def _consumer(name: str, against: str, differences: list[TensorDifference], output: str | None) -> Consumer:
    broken = next((d for d in differences if not d.ok), None)
    first = output
    if broken is not None:
        first = (
            f"the codes of tensor '{broken.tensor}' differ from {against} on {broken.different} of {broken.values} "
            f"values, by up to {broken.largest}"
        )
    return Consumer(
        name=name,
        against=against,
        ok=first is None,
        tensors=len(differences),
        values=sum(d.values for d in differences),
        different=sum(d.different for d in differences),
        worst=max(differences, key=lambda d: d.different / d.values, default=None),
        first_difference=first,
    )


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
