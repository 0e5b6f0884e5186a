"""Compares the ways to choose ranges, without training: accuracy on 2,000 samples of the search split.

    python -m benchmarks.ranges [--only resnet8]

One row for each rule of ``--ranges``, and one for ``--quantizer haq``; one column for each pair of widths, the first
and last layers at 8/8 as the command line pins them. Grids come from 512 training images. The reported split is not
read.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from benchmarks.evaluations import prepared
from benchmarks.networks import real_networks
from haqc import data
from haqc.calibration import RANGES, QuantiserName, Ranges
from haqc.frontend import Front
from haqc.mirror import from_onnx
from haqc.passes.calibrate import calibrate
from haqc.preparation import Batches
from haqc.workbench import Worker

WIDTHS = ((8, 8), (6, 6), (4, 8), (4, 4), (3, 3))
METHODS: tuple[tuple[str, Ranges, QuantiserName], ...] = (
    *((rule, rule, "lsq") for rule in RANGES),
    ("haq", "kl", "haq"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", help="resnet8 or fashion")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print("| network | ranges |", *(f"W{weight}A{activation} |" for weight, activation in WIDTHS))
    print("|---" * (len(WIDTHS) + 2) + "|")
    with TemporaryDirectory() as folder:
        for network in real_networks(Path(folder)):
            if arguments.only in (None, network.name):
                rows(network.name, network.model, str(network.data))


def rows(name: str, path: Path, source: str) -> None:
    """Prints the rows of one network."""
    bench, space = prepared(path, source)
    front = Front.read(path)
    dataset = data.load(source, front.inputs({}), path, seed=0)
    judge = replace(bench.judge, split=dataset.search.take(slice(0, 2_000)))
    mirror, samples = from_onnx(front.model), Batches(dataset.train.take(slice(0, 512)), 64)
    for label, ranges, quantiser in METHODS:
        calibration = calibrate(mirror, space, samples, ranges, quantiser)
        worker = Worker(replace(bench, calibration=calibration, judge=judge))
        scores = (worker.score(space.uniform(*widths).widths, lambda count: None).accuracy for widths in WIDTHS)
        print(f"| {name} | {label} |", *(f"{score:.2f} |" for score in scores), flush=True)


if __name__ == "__main__":
    main()
