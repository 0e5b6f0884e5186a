"""Checks what a compile left, or an emitted file alone: ``haqc verify``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import onnx_ir as ir

from haqc import data, onnxfile
from haqc.data import Dataset, Role
from haqc.dimensions import Shape
from haqc.errors import DataError, ModelError, VerificationError
from haqc.frontend import input_specs
from haqc.passes.bind import bind
from haqc.passes.report import SCHEMA
from haqc.passes.verify import verify, verify_alone
from haqc.probe import PROBES, Probe
from haqc.roles import roles
from haqc.runtime import Runtime
from haqc.score import percent, scoring_for

_LARGEST_REPORT_BYTES = 1 << 28
_PARTS = {
    **dict.fromkeys(("model", "target", "accuracy", "cost", "verification", "provenance"), dict),
    **dict.fromkeys(("allocators", "layers"), list),
}


class Listener(Protocol):
    """Where progress is said."""

    def say(self, text: str) -> None:
        """Says a line."""


def read_report(folder: Path) -> dict[str, Any]:
    """Reads the ``report.json`` of a compile.

    Raises:
        DataError: it is missing, too large, or no report.
    """
    path = folder / "report.json"
    try:
        if path.stat().st_size > _LARGEST_REPORT_BYTES:
            raise DataError(f"'{path}' is larger than any report; compile again")
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError(f"'{folder}' holds no report.json; name the output folder of 'haqc compile'") from error
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"'{path}' cannot be read as a report; compile again") from error
    if not isinstance(content, dict) or not all(isinstance(content.get(part), kind) for part, kind in _PARTS.items()):
        raise DataError(f"'{path}' is no report of haqc; name the output folder of 'haqc compile'")
    if content.get("schema") != SCHEMA:
        raise DataError(
            f"'{path}' has report schema {content.get('schema')!r}; this haqc reads {SCHEMA}: compile again"
        )
    return content


def check_folder_or_file(
    path: Path, source: str | None, listener: Listener, shapes: Mapping[str, Shape] | None = None
) -> dict[str, Any]:
    """Verifies a compile's folder against its probe, or a lone file against itself.

    Args:
        path: the folder, or an ``.onnx`` file.
        source: data to measure the accuracy on again, or ``None``.
        listener: told about what is not checked.
        shapes: shapes of inputs for one sample, where a lone file leaves them open and there are no data.

    Raises:
        VerificationError: something differs; the message names the first layer.
        ModelError: the file cannot be read, or was not emitted by haqc.
        DataError: the folder lacks what it needs, or the data do not fit.
    """
    if path.is_dir():
        model_path, report = path / "model.onnx", read_report(path)
        model = onnxfile.read(model_path)
        verification = verify(model, Probe.load(path / ".state" / "probe.npz"))
        expected = report["accuracy"].get("mirror")
    else:
        model_path, expected = path, None
        model = onnxfile.read(model_path)
        if onnxfile.read_annotations(model) is None:
            raise ModelError(f"'{path}' was not emitted by haqc; compile the model first")
        specs = input_specs(model, shapes)
        dataset = data.load(source, specs, model_path, roles=_roles(source, model, model_path, shapes))
        few = PROBES - PROBES % (dataset.train.samples_per_run or 1)
        samples = dataset.train.take(slice(0, max(few, dataset.train.samples_per_run or 1)))
        names = [spec.name for spec in specs]
        listener.say("a file alone: only the runtime's agreement with itself is checked; name the folder to check all")
        verification = verify_alone(model, dict(zip(names, samples.inputs(slice(None)), strict=True)))
    result: dict[str, Any] = {"file": model_path.name, **verification.to_json()}
    if not verification.ok:
        raise VerificationError(f"'{model_path}' does not match: {verification.first_difference}; compile again")
    if source is not None:
        dataset = data.load(source, input_specs(model), model_path)
        if dataset.reported.labels is None:
            listener.say(f"'{dataset.name}' has no labels, so no accuracy is measured")
        else:
            result["accuracy"] = _accuracy(model_path, dataset, expected)
    return result


def _roles(
    source: str | None, model: ir.Model, model_path: Path, shapes: Mapping[str, Shape] | None
) -> dict[str, Role] | None:
    """Gives what the inputs are read as, where they have to be made up."""
    return roles(bind(model, shapes)) if data.describe(source, model_path) is None else None


def _accuracy(model_path: Path, dataset: Dataset, expected: float | None) -> dict[str, Any]:
    """Measures the accuracy on the reported split again."""
    assert dataset.reported.labels is not None
    found = Runtime(model_path).first_output(dataset.reported)
    scoring = scoring_for(found.shape, True)
    data.check_labels(dataset, scoring.classes)
    scores = scoring.scores(found, dataset.reported.labels)
    return {"metric": scoring.metric, "count": len(scores), "emitted": percent(scores), "mirror": expected}
