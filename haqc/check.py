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
from haqc.formats import FORMATS, MAIN_FILE, FormatName, model_file
from haqc.frontend import input_specs
from haqc.judge import check_labels, rows_of
from haqc.measured import finite
from haqc.metrics import Traits, fitting, named
from haqc.passes.bind import bind
from haqc.passes.report import SCHEMA
from haqc.passes.report.front import FRONT_SCHEMA
from haqc.passes.verify import verify_alone, verify_formats, verify_openvino
from haqc.probe import PROBES, Probe
from haqc.roles import roles
from haqc.runtime import Runtime
from haqc.scored import scored_output
from haqc.userfunction import is_function

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
    content = _read_json(path, _why_no_report(folder))
    if not isinstance(content, dict) or not all(isinstance(content.get(part), kind) for part, kind in _PARTS.items()):
        raise DataError(f"'{path}' is no report of haqc; name the output folder of 'haqc compile'")
    if content.get("schema") != SCHEMA:
        raise DataError(
            f"'{path}' has report schema {content.get('schema')!r}; this haqc reads {SCHEMA}: compile again"
        )
    return content


def _why_no_report(folder: Path) -> str:
    """Says what a folder lacks that has no ``report.json``, and what to do."""
    if is_swept(folder):
        return "is the folder of a sweep, which has no report of its own; name the folder of one of its points"
    if (folder / "search.jsonl").is_file():
        return "holds no report.json, for what was begun there has not ended; run it again with --resume"
    return "holds no report.json; name the output folder of 'haqc compile'"


def is_swept(folder: Path) -> bool:
    """Whether a folder is that of a sweep, and holds a front in place of a report."""
    return (folder / "front.json").is_file() and not (folder / "report.json").is_file()


def read_front(folder: Path) -> dict[str, Any]:
    """Reads the ``front.json`` of a sweep.

    Raises:
        DataError: it is missing, too large, or no front.
    """
    path = folder / "front.json"
    content = _read_json(path, "holds no front.json; name the output folder of 'haqc sweep'")
    if not isinstance(content, dict) or not isinstance(content.get("points"), list):
        raise DataError(f"'{path}' is no front of haqc; name the output folder of 'haqc sweep'")
    if content.get("schema") != FRONT_SCHEMA:
        raise DataError(
            f"'{path}' has front schema {content.get('schema')!r}; this haqc reads {FRONT_SCHEMA}: sweep again"
        )
    return content


def _read_json(path: Path, missing: str) -> Any:
    try:
        if path.stat().st_size > _LARGEST_REPORT_BYTES:
            raise DataError(f"'{path}' is larger than any report; compile again")
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError(f"'{path.parent}' {missing}") from error
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"'{path}' cannot be read as a report; compile again") from error


def check_folder_or_file(
    path: Path,
    source: str | None,
    listener: Listener,
    shapes: Mapping[str, Shape] | None = None,
    metric: str | None = None,
) -> dict[str, Any]:
    """Verifies a compile's folder against its probe, or a lone file against itself.

    Args:
        path: the folder, or an ``.onnx`` file.
        source: data to measure the accuracy on again, or ``None``.
        listener: told about what is not checked.
        shapes: shapes of inputs for one sample, where a lone file leaves them open and there are no data.
        metric: name of what is measured on the data; ``None`` for that of the compile, or what fits data and file.

    Raises:
        VerificationError: something differs; the message names the first layer.
        ModelError: the file cannot be read, or was not emitted by haqc.
        DataError: the folder lacks what it needs, or the data do not fit.
    """
    if not path.exists():
        raise ModelError(f"'{path}' does not exist; give the folder of a compile, or a file that it emitted")
    if path.is_dir():
        model_path, report = path / MAIN_FILE, read_report(path)
        files = _files(path, report)
        model = files[0][2]
        verification = verify_formats(files, Probe.load(path / ".state" / "probe.npz"))
    else:
        model_path, report = path, {}
        model = onnxfile.read(model_path)
        if onnxfile.read_annotations(model) is None:
            raise ModelError(f"'{path}' was not emitted by haqc; compile the model first")
        specs = input_specs(model, shapes)
        dataset = data.load(source, specs, model_path, roles=_roles(source, model, model_path, shapes))
        few = PROBES - PROBES % (dataset.train.samples_per_run or 1)
        samples = dataset.train.take(slice(0, max(few, dataset.train.samples_per_run or 1)))
        names = [spec.name for spec in specs]
        listener.say("a file alone: only the runtime's agreement with itself is checked; name the folder to check all")
        inputs = dict(zip(names, samples.inputs(slice(None)), strict=True))
        verification = verify_alone(model, inputs).with_consumers(*verify_openvino(model, inputs)).of_file(path.name)
    result: dict[str, Any] = {"file": model_path.name, **verification.to_json()}
    if not verification.ok:
        wrong = model_path.with_name(verification.first_file)
        raise VerificationError(f"'{wrong}' does not match: {verification.first_difference}; compile again")
    if source is not None:
        compiled = report.get("accuracy", {})
        name = metric if metric is not None else _metric(compiled, source, model_path)
        group = 1 if name is None or is_function(name) else named(name).traits.group
        dataset = data.load(source, input_specs(model), model_path, group=group)
        if metric is None and name is not None and not is_function(name) and named(name).traits.is_agreement:
            name = None if dataset.reported.labels is not None else name  # labels say more than the report could
        problem = _unmeasurable(dataset, name, metric is not None)
        if problem:
            listener.say(f"{problem}, so no accuracy is measured")
        else:
            result["accuracy"] = _accuracy(model_path, model, dataset, name, compiled)
            _require_accuracy(model_path, result["accuracy"], dataset, report)
    return result


def _files(folder: Path, report: Mapping[str, Any]) -> list[tuple[FormatName, str, ir.Model]]:
    """Reads the emitted models of a folder, ``model.onnx`` first, under the names that haqc gives them.

    Raises:
        ModelError: one cannot be read.
        DataError: the report lists formats that this haqc does not know.
    """
    listed = report.get("formats", [])
    named = [entry.get("format") for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else []
    names = [name for given in named for name in FORMATS if name == given]
    if len(names) != len(named) or not names:
        raise DataError(f"'{folder / 'report.json'}' lists no formats that this haqc knows; compile again")
    files = [(name, model_file(name, is_main=index == 0)) for index, name in enumerate(names)]
    return [(name, file, onnxfile.read(folder / file)) for name, file in files]


def _require_accuracy(path: Path, measured: Mapping[str, Any], dataset: Dataset, report: Mapping[str, Any]) -> None:
    """Refuses an accuracy that is not the mirror's, where it was measured on the data of the compile.

    Raises:
        VerificationError: it differs by more than the compile allows.
        DataError: the report holds no figures.
    """
    if not report or measured["metric"] != report["accuracy"].get("metric"):
        return
    try:
        if report["provenance"]["digests"]["data"] != dataset.digest:
            return
        tolerance, mirror = report["verification"]["accuracy"]["tolerance"], measured["mirror"]
        emitted = measured["emitted"]
        is_equal = emitted == mirror if emitted is None or mirror is None else abs(emitted - mirror) <= tolerance
    except (LookupError, TypeError) as error:
        raise DataError(
            f"'{path.with_name('report.json')}' lacks the figures to compare with; compile again"
        ) from error
    if not is_equal:
        raise VerificationError(
            f"'{path}' does not match: its {measured['metric']} is {emitted} where the mirror's was {mirror} "
            f"(allowed is a difference of {tolerance:.3g}); compile again"
        )


def _roles(
    source: str | None, model: ir.Model, model_path: Path, shapes: Mapping[str, Shape] | None
) -> dict[str, Role] | None:
    """Gives what the inputs are read as, where they have to be made up."""
    return roles(bind(model, shapes)) if data.describe(source, model_path) is None else None


def _metric(compiled: Mapping[str, Any], source: str, model_path: Path) -> str | None:
    """Gives the metric that a report names, if there is one, or else the description of the data."""
    if isinstance(name := compiled.get("metric"), str):
        return name
    description = data.describe(source, model_path)
    return None if description is None else description.metric


def _unmeasurable(dataset: Dataset, metric: str | None, is_users: bool) -> str:
    """Says why nothing is measured; an empty string where something is."""
    if metric is not None and is_function(metric) and not is_users:  # a report may come from anywhere
        return f"the metric was the function {metric}, which only --metric may name"
    traits = Traits(needs_labels=True) if metric is None else named(metric).traits
    if traits.needs_labels and dataset.reported.labels is None:
        return f"'{dataset.name}' has no labels"
    return f"'{metric}' compares with the float model, which is not here" if traits.is_agreement else ""


def _accuracy(
    path: Path, model: ir.Model, dataset: Dataset, name: str | None, compiled: Mapping[str, Any]
) -> dict[str, Any]:
    """Measures the accuracy on the reported split again."""
    runtime, split, output = Runtime(path), dataset.reported, str(scored_output(model).name)
    shape = runtime.output(output, split.take(slice(0, 1)), 1).shape
    metric = named(name) if name is not None else fitting(shape, split.labels, is_embedding=False)
    check_labels(dataset, metric, shape)
    names = runtime.outputs if metric.traits.needs_all else (output,)
    value = metric.value(rows_of(metric, split, runtime.runs(names, split), None))
    return {
        "metric": metric.name,
        "unit": metric.traits.unit,
        "count": len(split),
        "emitted": finite(value),
        "mirror": compiled.get("mirror") if compiled.get("metric") == metric.name else None,
    }
