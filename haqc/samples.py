"""The data of a compile, how they are scored, and what the float model makes of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx_ir as ir

from haqc import data, onnxfile
from haqc.data.split import Dataset, Split
from haqc.effort import Effort
from haqc.errors import DataError
from haqc.findings import Measured
from haqc.mirror.quantised import QuantisedMirror
from haqc.passes.imagine import Telling
from haqc.result import SearchResult
from haqc.runtime import Runtime
from haqc.score import Scoring, percent, scoring_for
from haqc.train import outputs
from haqc.ui import Ui
from haqc.workbench import Tuned

_RESHAPING = frozenset({"Cast", "Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose"})

_SCALING = frozenset({"Div", "LpNormalization", "LayerNormalization", "RMSNormalization", "Tanh"})
"""Operators that end an embedding, and no row of class scores."""


@dataclass(frozen=True)
class Samples:
    """The data, what they are scored by, and the float model's own outputs.

    Attributes:
        dataset: the three splits.
        scoring: what a score means.
        output: the graph output that is scored: the first of floating-point numbers.
        logits: tensor that is trained (the output, or what goes into its Softmax).
        runtime: the original model.
        search: the part of the search split that scores.
        search_reference: labels, or the float model's outputs, on that part.
        float_accuracy: the float model's score there, in percent.
    """

    dataset: Dataset
    scoring: Scoring
    output: str
    logits: str
    runtime: Runtime
    search: Split
    search_reference: np.ndarray
    float_accuracy: float

    @classmethod
    def judge(cls, dataset: Dataset, reference: Path | bytes, model: ir.Model, effort: Effort, ui: Ui) -> Samples:
        """Sees what the float model makes of the data.

        Args:
            dataset: the data.
            reference: the original model, as a file or its content.
            model: the cleaned model.
            effort: says on how many samples policies are scored, and how many run together.
            ui: told the float model's score, and loudly when it is no accuracy.

        Raises:
            DataError: the data do not fit the model, the float model fails on them, or there is no output to score.
        """
        runtime = Runtime(reference)
        search = dataset.search.take(slice(0, effort.search))
        output = _scored_output(model)
        found = runtime.output(str(output.name), search, effort.run)
        scoring = scoring_for(found.shape, dataset.has_labels, is_embedding=_is_embedding(output))
        if scoring.is_accuracy:
            data.check_labels(dataset, scoring.classes)
            assert search.labels is not None
        else:
            ui.say(
                f"{'No data: inputs are made up' if dataset.synthetic else 'No labels'}; "
                f"'{scoring.metric}' is agreement with the float model, not accuracy"
            )
        for name, words in dataset.made_up.items():
            ui.say(f"made up for input '{name}': {words}")
        expected = search.labels if scoring.is_accuracy and search.labels is not None else found
        accuracy = percent(scoring.scores(found, expected))
        ui.say(f"float model on the search split ({len(search)} samples): {accuracy:.2f} % {scoring.metric}")
        if accuracy < scoring.floor:
            raise DataError(
                f"the float model reaches {accuracy:.2f} % on the search split of '{dataset.name}', where guessing "
                f"reaches {scoring.chance:.2f} %; check the scaling (scale, mean, std, layout in a data description) "
                "and the order of the labels"
            )
        name, logits = str(output.name), str(_before_softmax(output).name)
        return cls(dataset, scoring, name, logits, runtime, search, expected, accuracy)

    def measure(
        self,
        network: QuantisedMirror,
        tuned: Tuned | None,
        tuned_float: Tuned | None,
        found: SearchResult,
        emitted: ir.Model,
        run: int,
    ) -> Measured:
        """Reads the reported split, once, at the end: float model, both mirrors, and the emitted file at defaults.

        At most ``run`` samples run together.
        """
        split, scoring, output = self.dataset.reported, self.scoring, self.output
        original = self.runtime.output(output, split, run)
        reference = split.labels if scoring.is_accuracy and split.labels is not None else original
        mirror = outputs(network, output, split, run)
        finetuned = None
        if tuned_float is not None:
            network.mirror.load(tuned_float.state.parameters)
            finetuned = outputs(network.mirror, output, split, run)
        return Measured(
            original=scoring.scores(original, reference),
            finetuned=None if finetuned is None else scoring.scores(finetuned, reference),
            mirror=scoring.scores(mirror, reference),
            emitted=scoring.scores(Runtime(onnxfile.serialise(emitted)).output(output, split, run), reference),
            search={
                "float": self.float_accuracy,
                "float_finetuned": None if tuned_float is None else tuned_float.accuracy,
                "mirror": found.best.accuracy if tuned is None else tuned.accuracy,
            },
            search_count=len(self.search),
        )


def telling(model: ir.Model) -> Telling:
    """Gives what tells most of the inputs: the scored output, before a Softmax.

    Raises:
        DataError: no output is of floating-point numbers.
    """
    output = _scored_output(model)
    is_row = output.shape is not None and len(output.shape) == 2 and output.shape[1] != 1
    return Telling(str(_before_softmax(output).name), is_row and not _is_embedding(output))


def _scored_output(model: ir.Model) -> ir.Value:
    """Gives the output that is scored.

    Raises:
        DataError: no output is of floating-point numbers.
    """
    for value in model.graph.outputs:
        if value.dtype is None or value.dtype.is_floating_point():
            return value
    raise DataError(
        "no output of the model is of floating-point numbers, so nothing can be scored; export what they are computed "
        "from as an output as well"
    )


def _before_softmax(value: ir.Value) -> ir.Value:
    """Gives the tensor that losses read: the output in 32 bits, or what goes into a final Softmax."""
    for passed in (("Cast",), ("Softmax", "LogSoftmax")):
        node = value.producer()
        source = None if node is None else node.inputs[0]
        if node is not None and source is not None and node.op_type in passed and source.dtype == ir.DataType.FLOAT:
            value = source
    return value


def _is_embedding(value: ir.Value) -> bool:
    """Whether an output is a direction rather than a row of classes: the last thing done to it is to scale it."""
    node = value.producer()
    while node is not None and node.op_type in _RESHAPING and node.inputs[0] is not None:
        node = node.inputs[0].producer()
    return node is not None and node.op_type in _SCALING
