"""The winner of a search, and its way into a verified folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from haqc import onnxfile
from haqc.case import Case
from haqc.clock import Clock
from haqc.data import Split
from haqc.effect import Effect
from haqc.emitted import Emitted
from haqc.errors import VerificationError
from haqc.findings import Findings, notes
from haqc.folder import OutputFolder
from haqc.mirror import from_onnx
from haqc.mirror.quantised import QuantisedMirror
from haqc.passes.emit import at_opset
from haqc.passes.report import report
from haqc.passes.verify import kernels, verify_formats
from haqc.policy import Policy
from haqc.probe import LARGEST_BYTES, PROBES, Probe
from haqc.quantisation import Quantisation
from haqc.result import SearchResult
from haqc.tuned import Tuned
from haqc.workbench import Bench


@dataclass(frozen=True)
class Winner:
    """What a search came to, and what became of its best trial.

    Attributes:
        case: what was searched, with the budget that the winner holds.
        effects: what each free operand alone does at each width.
        found: the search.
        tuned: the best trial's network after the long fine-tune or a reconstruction; ``None`` where there is neither.
        tuned_float: the float network after the same fine-tune; ``None`` where nothing is learned from labels.
    """

    case: Case
    effects: Mapping[tuple[str, int], Effect]
    found: SearchResult
    tuned: Tuned | None
    tuned_float: Tuned | None

    @property
    def quality(self) -> float:
        """Its quality on the search split, in points."""
        return self.found.best.accuracy if self.tuned is None else self.tuned.accuracy

    @property
    def policy(self) -> Policy:
        """Its widths."""
        return self.found.best.policy


def deliver(winner: Winner, bench: Bench, folder: OutputFolder, clock: Clock) -> dict[str, Any]:
    """Emits a winner, verifies and measures the file, and writes the folder; gives the report.

    Raises:
        VerificationError: the emitted file differs from the mirror; nothing is written then.
    """
    case, policy, found = winner.case, winner.policy, winner.found
    request, problem, quantisation = case.request, case.problem, Quantisation.of(case.request)
    with clock.part("emit"):
        mirror = from_onnx(problem.model)
        mirror.load(bench.start)
        network = QuantisedMirror(mirror, policy, bench.calibration)
        if winner.tuned is not None:
            network.load(winner.tuned.state)
        carried = notes(problem.target, problem.table, problem.budget, policy, case.fingerprint, quantisation)
        codes, names = network.codes(), request.settled_formats
        model = problem.model if request.opset is None else at_opset(problem.model, request.opset)
        written = [Emitted.of(name, model, policy, codes, carried, is_main=name == names[0]) for name in names]
        main = written[0]
    with clock.part("verify"):
        probe = _probe(network, case.samples.dataset.train)
        verification = verify_formats([(each.name, each.file, each.model) for each in written], probe)
        if not verification.ok:
            raise _mismatch(verification.first_difference)
        executed = kernels(main.model, problem.graph)
    with clock.part("measure"):
        measured = case.samples.measure(
            network, winner.tuned, winner.tuned_float, found, main.content, case.plan.effort.run
        )
        if not measured.agrees:
            raise _mismatch(
                f"its {measured.metric.name} is {measured.value(measured.emitted):.6g} where the mirror's is "
                f"{measured.value(measured.mirror):.6g} (allowed is a difference of {measured.tolerance:.3g})"
            )
    findings = Findings(
        graph=problem.graph,
        model_file=request.model.name,
        target=problem.target,
        table=problem.table,
        space=problem.space,
        budget=problem.budget,
        policy=policy,
        search=found,
        measured=measured,
        judge=case.samples.search,
        dataset=case.samples.dataset,
        verification=verification.to_json(),
        effects=winner.effects,
        fingerprint=case.fingerprint,
        formats=[emitted.to_json() for emitted in written],
        initialiser_bytes=onnxfile.stored_bytes(main.model),
        kernels={layer: kernel.to_json() for layer, kernel in executed.items()},
        seconds=clock.seconds,
        recovery=None if winner.tuned is None else winner.tuned.recovery,
    )
    folder.write_formats({name: content for emitted in written for name, content in emitted.files.items()})
    folder.write("policy.json", (json.dumps(carried["policy"], indent=1) + "\n").encode())
    folder.save_probe(probe)
    found_all = findings.to_json()
    report(found_all, folder.path)
    return found_all


def _probe(network: QuantisedMirror, train: Split) -> Probe:
    """Keeps what the mirror computes on a few samples, as many as fit the memory set aside for them."""
    graph = network.policy.graph
    values = sum(graph.operand[tensor].values for tensor in network.activations)
    values += sum(4 * graph.tensor_values.get(tensor, 0) for tensor in network.between)
    count, each = max(1, min(PROBES, LARGEST_BYTES // max(1, values), len(train))), train.samples_per_run or 1
    return network.probe(train.inputs(slice(0, max(each, count - count % each))), train.samples_per_run)


def _mismatch(difference: str) -> VerificationError:
    return VerificationError(
        f"the emitted file does not match the mirror: {difference}; nothing was emitted: "
        "please report this with the model"
    )
