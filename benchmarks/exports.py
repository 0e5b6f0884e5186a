"""Exports the zoo with both of torch's exporters, and shows what haqc makes of each file.

``python -m benchmarks.exports [--only NAME ...] [--out build/zoo]``. For every file: ``haqc inspect``, ``haqc cost`` on
edge, the mirror against onnxruntime at two batches and lengths, and for classifiers and encoders a data-free
``haqc compile``. What was done already is kept and not done again, unless ``--again`` is given.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import onnxruntime
import torch

from benchmarks.zoo.catalogue import ZOO
from benchmarks.zoo.command import haqc
from benchmarks.zoo.exporters import EXPORTERS, export
from benchmarks.zoo.specimen import Specimen
from haqc import onnxfile
from haqc.errors import HaqcError
from haqc.mirror import from_onnx
from haqc.passes.clean import clean

STEPS = ("inspect", "cost", "mirror", "compile")
TOLERANCE = 1e-4
"""Largest difference between mirror and onnxruntime, relative to the largest output."""

SIZES = ({"batch": 2, "length": 16}, {"batch": 3, "length": 23})
COMPILED_LENGTH = 32
EVALUATIONS = 2


@dataclass(frozen=True, slots=True)
class Finding:
    """What one step found: whether it went well, and its figures or its reason."""

    ok: bool
    text: str


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=ZOO, default=list(ZOO))
    parser.add_argument("--exporter", nargs="+", choices=EXPORTERS, default=EXPORTERS)
    parser.add_argument("--steps", nargs="+", choices=STEPS, default=STEPS)
    parser.add_argument("--out", type=Path, default=Path("build/zoo"))
    parser.add_argument("--again", action="store_true", help="do the steps again that were done already")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for name in arguments.only:
        for exporter in arguments.exporter:
            path = arguments.out / exporter / f"{name}.onnx"
            if not path.exists():
                export(ZOO[name], exporter, path)
            notes = arguments.out / "findings" / exporter / f"{name}.json"
            for step in arguments.steps:
                if step == "compile" and not ZOO[name].scored:
                    continue
                found = _read(notes)
                if arguments.again or not found.get(step, Finding(False, "")).ok:
                    found[step] = _step(step, name, path)
                    _write(notes, found)
                    print(f"{name}, {exporter}, {step}: {_cell(found[step])}", flush=True)
    print(table(arguments.out))


def table(folder: Path) -> str:
    """Gives everything found so far as a table in Markdown."""
    lines = [f"| network | exporter | {' | '.join(STEPS)} |", "| --- " * (2 + len(STEPS)) + "|"]
    for name, specimen in ZOO.items():
        for exporter in EXPORTERS:
            found = _read(folder / "findings" / exporter / f"{name}.json")
            steps = STEPS if specimen.scored else STEPS[:-1]
            cells = [_cell(found[step]) if step in found else "not done" for step in steps]
            lines.append(f"| {' | '.join([name, exporter, *cells, *([] if specimen.scored else ['-'])])} |")
    return "\n".join(lines)


def shape_options(specimen: Specimen, length: int) -> list[str]:
    """Gives the options of the command line that bind a network's dynamic extents."""
    sizes = {"batch": 1, "length": length}
    options = []
    for each in specimen.inputs:
        if any(isinstance(extent, str) for extent in each.shape[1:]):
            shape = ",".join(str(extent if isinstance(extent, int) else sizes[extent]) for extent in each.shape)
            options += ["--shape", f"{each.name}={shape}"]
    return options


def mirror_error(specimen: Specimen, path: Path, sizes: dict[str, int]) -> float:
    """Gives the largest difference of the mirror from onnxruntime on the file as it was exported.

    It is relative to the largest value of that output, and the worst of all outputs.
    """
    inputs = specimen.sample(7, **sizes)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    feed = {each.name: value.numpy() for each, value in zip(specimen.inputs, inputs, strict=True)}
    expected = session.run(None, feed)
    with torch.no_grad():
        given = from_onnx(clean(onnxfile.read(path)))(*inputs)
    pairs = zip(given, expected, strict=True)
    return max(float(np.abs(one.numpy() - other).max() / np.abs(other).max()) for one, other in pairs)


def _step(step: str, name: str, path: Path) -> Finding:
    steps: dict[str, Callable[[Specimen, Path], Finding]] = {
        "inspect": _inspect, "cost": _cost, "mirror": _mirror, "compile": _compile
    }  # fmt: skip
    return steps[step](ZOO[name], path)


def _inspect(specimen: Specimen, path: Path) -> Finding:
    run = haqc("inspect", path, *shape_options(specimen, COMPILED_LENGTH))
    return Finding(run.code == 0, run.last_line if run.code else f"{run.cpu_s:.1f} s")


def _cost(specimen: Specimen, path: Path) -> Finding:
    run = haqc("cost", path, "--target", "edge", "--format", "json", *shape_options(specimen, COMPILED_LENGTH))
    if run.code:
        return Finding(False, run.last_line)
    report = json.loads(run.output)
    macs = sum(layer["macs"] for layer in report["layers"])
    return Finding(True, f"{len(report['layers'])} layers, {macs / 1e6:,.0f} M MACs, {run.cpu_s:.1f} s")


def _mirror(specimen: Specimen, path: Path) -> Finding:
    try:
        error = max(mirror_error(specimen, path, sizes) for sizes in SIZES)
    except HaqcError as mistake:
        return Finding(False, str(mistake))
    return Finding(error <= TOLERANCE, f"{error:.1e}")


def _compile(specimen: Specimen, path: Path) -> Finding:
    run = haqc(
        "compile", path, "--target", "edge", "--budget", "energy=0.5", "--evaluations", EVALUATIONS, "--json",
        "--jobs", 1, "--force", "--out", path.with_suffix(".haqc"), *shape_options(specimen, COMPILED_LENGTH),
    )  # fmt: skip
    if run.code:
        return Finding(False, run.last_line)
    accuracy = json.loads(run.output)["accuracy"]
    text = f"{accuracy['metric']} {accuracy['emitted']:.3f} of {accuracy['count']}, {run.cpu_s / 60:.1f} min"
    return Finding(True, text)


def _cell(finding: Finding) -> str:
    return finding.text if finding.ok else f"**fails**: {finding.text}"


def _read(notes: Path) -> dict[str, Finding]:
    if not notes.exists():
        return {}
    return {step: Finding(**found) for step, found in json.loads(notes.read_text(encoding="utf-8")).items()}


def _write(notes: Path, found: dict[str, Finding]) -> None:
    notes.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({step: asdict(finding) for step, finding in found.items()}, indent=1)
    notes.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
