"""The data of a compile, how they are scored, and what the float model makes of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx_ir as ir

from haqc.content import Content
from haqc.data.split import Dataset
from haqc.effort import Effort
from haqc.errors import DataError
from haqc.gap import bounding
from haqc.judge import Judge, Outputs, check_labels, rows_by_sample, rows_of
from haqc.measured import Measured
from haqc.metrics import Cosine, Metric, Rows, Shape, TopK, fitting
from haqc.mirror.quantised import QuantisedMirror
from haqc.passes.imagine import Telling
from haqc.passes.report.wording import figure
from haqc.result import SearchResult
from haqc.runtime import Runtime
from haqc.scored import before_softmax, is_embedding, scored_output
from haqc.train import runs
from haqc.tuned import Tuned
from haqc.ui import Ui


@dataclass(frozen=True)
class Samples:
    """The data, what networks are judged by, and what the float model makes of it.

    Attributes:
        dataset: the three splits.
        search: what the search judges networks by, on a part of the search split.
        logits: tensor that is trained (the scored output, or what goes into its Softmax).
        runtime: the original model.
        has_targets: whether labels, or the inputs of an autoencoder, say what the outputs should be, to train on.
    """

    dataset: Dataset
    search: Judge
    logits: str
    runtime: Runtime
    has_targets: bool

    @classmethod
    def judge(
        cls, dataset: Dataset, reference: Path | Content, model: ir.Model, effort: Effort, metric: Metric | None, ui: Ui
    ) -> Samples:
        """Sees what the float model makes of the data.

        Args:
            dataset: the data.
            reference: the original model, as a file or its content.
            model: the cleaned model.
            effort: says on how many samples policies are scored, and how many run together.
            metric: what networks are judged by; ``None`` for what fits the output and the labels.
            ui: told the float model's score, and loudly when it is no accuracy.

        Raises:
            DataError: the data do not fit the model or the metric, the float model fails on them, or there is no output
                to score.
        """
        runtime = Runtime(reference)
        output = scored_output(model)
        found = runtime.output(str(output.name), dataset.search.take(slice(0, 1)), 1)
        if metric is None:
            labels = dataset.search.labels if dataset.has_labels else None
            metric = fitting(found.shape, labels, is_embedding=is_embedding(output))
        check_labels(dataset, metric, found.shape)
        is_found = isinstance(metric, Cosine) and _is_found(output)
        metric = Cosine(least=SOMETHING) if is_found else metric
        _announce(dataset, metric, ui)
        split = dataset.search.take(slice(0, max(1, effort.search // metric.traits.group) * metric.traits.group))
        name = str(output.name)
        names = tuple(str(value.name) for value in model.graph.outputs) if metric.traits.needs_all else (name,)
        expected = runtime.output(name, split, effort.run) if metric.traits.is_agreement else None
        value = metric.value(rows_of(metric, split, runtime.runs(names, split, effort.run), expected))
        words = figure(value, metric.traits.unit)
        ui.say(f"float model on the search split ({len(split)} samples): {words} {metric.name}")
        _refuse_chance(metric, value, found.shape, dataset.name)
        if is_found and expected is not None:
            _check_found(name, expected, dataset, ui)
        one = split.take(slice(0, 1))
        has_targets = metric.targets(one.inputs(slice(0, 1)), one.labels, found.shape) is not None
        logits = str(before_softmax(output).name)
        return cls(dataset, Judge(metric, names, split, expected, value), logits, runtime, has_targets)

    def measure(
        self,
        network: QuantisedMirror,
        tuned: Tuned | None,
        tuned_float: Tuned | None,
        found: SearchResult,
        emitted: Content,
        run: int,
    ) -> Measured:
        """Reads the reported split, once, at the end: float model, both mirrors, and the emitted file at defaults.

        At most ``run`` samples run together.
        """
        split, metric, names = self.dataset.reported, self.search.metric, self.search.outputs
        reference = self.runtime.output(names[0], split, run) if metric.traits.is_agreement else None

        def rows(outputs: Outputs) -> Rows:
            return rows_by_sample(metric, split, outputs, reference)

        mirror = rows(runs(network, names, split, run))
        finetuned = None
        if tuned_float is not None:
            network.mirror.load(tuned_float.state.parameters)
            finetuned = rows(runs(network.mirror, names, split, run))
        quality = found.best.accuracy if tuned is None else tuned.accuracy
        return Measured(
            metric=metric,
            original=rows(self.runtime.runs(names, split, run)),
            finetuned=finetuned,
            mirror=mirror,
            emitted=rows(Runtime(emitted).runs(names, split, run)),
            search={
                "float": self.search.float_value,
                "float_finetuned": None if tuned_float is None else self.search.value_at(tuned_float.accuracy),
                "mirror": self.search.value_at(quality),
            },
            search_count=len(self.search.split),
        )


SOMETHING = 0.001
"""What a Sigmoid gives where a network has found something, at least; runtimes approximate what lies far below."""


def telling(model: ir.Model) -> Telling:
    """Gives what tells most of the inputs: the scored output, before a Softmax.

    Raises:
        DataError: no output is of floating-point numbers.
    """
    output = scored_output(model)
    is_row = output.shape is not None and len(output.shape) == 2 and output.shape[1] != 1
    return Telling(str(before_softmax(output).name), is_row and not is_embedding(output))


def _announce(dataset: Dataset, metric: Metric, ui: Ui) -> None:
    """Says loudly where figures are no accuracy, and what was made up."""
    if metric.traits.is_agreement:
        lacking = "No data: inputs are made up" if dataset.synthetic else "No labels"
        why = "Labels are not read" if dataset.has_labels else lacking
        ui.say(f"{why}; '{metric.name}' is agreement with the float model, not accuracy")
    for name, words in dataset.made_up.items():
        ui.say(f"made up for input '{name}': {words}")


def _refuse_chance(metric: Metric, value: float, shape: Shape, name: str) -> None:
    """Refuses data on which the float model is worth nothing.

    Raises:
        DataError: its value is not finite, or is what guessing reaches.
    """
    if not math.isfinite(value):
        raise DataError(
            f"the float model has no finite {metric.name} on the search split of '{name}'; check the scaling (scale, "
            "mean, std, layout in a data description) and the labels"
        )
    if isinstance(metric, TopK) and value < metric.floor(shape[1]):
        raise DataError(
            f"the float model reaches {value:.2f} % on the search split of '{name}', where guessing reaches "
            f"{metric.chance(shape[1]):.2f} %; check the scaling (scale, mean, std, layout in a data description) and "
            "the order of the labels"
        )


def _is_found(output: ir.Value) -> bool:
    """Whether an output tells at each place whether something is there: it comes from a Sigmoid."""
    function = bounding(output)
    return function is not None and function.op_type in ("Sigmoid", "HardSigmoid")


def _check_found(name: str, found: np.ndarray, dataset: Dataset, ui: Ui) -> None:
    """Says where the float model finds nothing in most samples: any network that finds nothing there agrees with it.

    Raises:
        DataError: it finds nothing in any.
    """
    largest = np.abs(found).reshape(len(found), -1).max(axis=1, initial=0.0)
    empty = int((largest < SOMETHING).sum())
    samples = "made up" if dataset.synthetic else f"of '{dataset.name}'"
    if empty == len(found):
        raise DataError(
            f"the float model finds nothing in the samples {samples}: its output '{name}' may reach 1 and is at most "
            f"{largest.max():.2g} on the search split, so there is nothing to agree with; give samples with --data in "
            "which it finds something"
        )
    if empty > len(found) / 2:
        ui.say(
            f"the float model finds nothing in {empty} of these {len(found)} samples, which agree at almost any "
            "widths; give samples with --data in which it finds something"
        )
