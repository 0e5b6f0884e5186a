"""The data of a compile, how they are scored, and what the float model makes of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from haqc import data, onnxfile
from haqc.data.split import Dataset, Split
from haqc.errors import DataError, VerificationError
from haqc.findings import Measured
from haqc.frontend import input_specs
from haqc.mirror import Mirror
from haqc.mirror.quantised import QuantisedMirror
from haqc.request import Request
from haqc.result import SearchResult
from haqc.runtime import Runtime
from haqc.score import Scoring, percent, scoring_for
from haqc.train import outputs
from haqc.ui import Ui
from haqc.workbench import Tuned

SEARCH_SAMPLES = 2000
"""Samples of the search split that score a policy during the search."""

MIRROR_TOLERANCE = 1e-4
"""Largest difference between mirror and onnxruntime on the float graph, as a share of the largest output."""


@dataclass(frozen=True)
class Samples:
    """The data, what they are scored by, and the float model's own outputs.

    Attributes:
        dataset: the three splits.
        scoring: what a score means.
        logits: tensor that is trained and scored.
        runtime: the original model.
        search: the part of the search split that scores.
        search_reference: labels, or the float model's outputs, on that part.
        float_accuracy: the float model's score there, in percent.
    """

    dataset: Dataset
    scoring: Scoring
    logits: str
    runtime: Runtime
    search: Split
    search_reference: np.ndarray
    float_accuracy: float

    @classmethod
    def load(cls, request: Request, model: ir.Model, ui: Ui) -> Samples:
        """Loads the data and sees what the float model makes of them.

        Args:
            request: names the data and the original model.
            model: the cleaned model.
            ui: told the float model's score, and loudly when it is no accuracy.

        Raises:
            DataError: the data cannot be read, do not fit the model, or the float model fails on them.
        """
        dataset = data.load(request.data, input_specs(model), request.model, seed=request.seed)
        runtime = Runtime(request.model)
        search = dataset.search.take(slice(0, SEARCH_SAMPLES))
        found = runtime.first_output(search)
        scoring = scoring_for(found.shape, dataset.has_labels)
        if scoring.is_accuracy:
            data.check_labels(dataset, scoring.classes)
            assert search.labels is not None
        else:
            ui.say(
                f"{'No data: inputs are made up' if dataset.synthetic else 'No labels'}; "
                f"'{scoring.metric}' is agreement with the float model, not accuracy"
            )
        reference = search.labels if scoring.is_accuracy and search.labels is not None else found
        accuracy = percent(scoring.scores(found, reference))
        ui.say(f"float model on the search split ({len(search)} samples): {accuracy:.2f} % {scoring.metric}")
        if accuracy < scoring.floor:
            raise DataError(
                f"the float model reaches {accuracy:.2f} % on the search split of '{dataset.name}', where guessing "
                f"reaches {scoring.chance:.2f} %; check the scaling (scale, mean, std, layout in a data description) "
                "and the order of the labels"
            )
        return cls(dataset, scoring, _logits(model), runtime, search, reference, accuracy)

    def check_mirror(self, mirror: Mirror) -> None:
        """Refuses to go on when the mirror does not compute what the model computes.

        Raises:
            VerificationError: the outputs differ by more than rounding.
        """
        few = self.dataset.train.take(slice(0, 8))
        expected, found = self.runtime.first_output(few), outputs(mirror, mirror.outputs[0], few)
        largest = float(np.abs(expected).max()) or 1.0
        gap = float(np.abs(expected - found).max()) if expected.shape == found.shape else float("inf")
        if not gap <= MIRROR_TOLERANCE * largest:
            raise VerificationError(
                f"the mirror differs from the model at output '{mirror.outputs[0]}' by {gap:.3g} (largest magnitude "
                f"{largest:.3g}); please report this with the model"
            )

    def measure(
        self,
        network: QuantisedMirror,
        tuned: Tuned | None,
        tuned_float: Tuned | None,
        found: SearchResult,
        emitted: ir.Model,
    ) -> Measured:
        """Reads the reported split, once, at the end: float model, both mirrors, and the emitted file at defaults."""
        split, scoring = self.dataset.reported, self.scoring
        original = self.runtime.first_output(split)
        reference = split.labels if scoring.is_accuracy and split.labels is not None else original
        output = network.mirror.outputs[0]
        mirror = outputs(network, output, split)
        finetuned = None
        if tuned_float is not None:
            network.mirror.load(tuned_float.state.parameters)
            finetuned = outputs(network.mirror, output, split)
        return Measured(
            original=scoring.scores(original, reference),
            finetuned=None if finetuned is None else scoring.scores(finetuned, reference),
            mirror=scoring.scores(mirror, reference),
            emitted=scoring.scores(Runtime(onnxfile.serialise(emitted)).first_output(split), reference),
            search={
                "float": self.float_accuracy,
                "float_finetuned": None if tuned_float is None else tuned_float.accuracy,
                "mirror": found.best.accuracy if tuned is None else tuned.accuracy,
            },
            search_count=len(self.search),
        )


def _logits(model: ir.Model) -> str:
    """Gives the tensor that losses read: the first output, or what goes into a final Softmax."""
    value = model.graph.outputs[0]
    node = value.producer()
    if node is not None and node.op_type in ("Softmax", "LogSoftmax") and node.inputs[0] is not None:
        value = node.inputs[0]
    return str(value.name)
