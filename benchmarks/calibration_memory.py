"""Measures the memory that calibration takes on few and on many images: it must not grow with their number.

    python -m benchmarks.calibration_memory [--few 100] [--many 10000] [--model MODEL.onnx]

Each count runs in a process of its own, whose peak of resident memory the system tells. Images are generated batch by
batch from a seed, so that none but those of one batch ever exist: what is measured is calibration, not the data set.
The memory before calibration (libraries and model) stands beside the peak, because most of the peak is that.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from benchmarks.networks import SHARED
from haqc import targets
from haqc.frontend import Front
from haqc.mirror import from_onnx
from haqc.passes.calibrate import calibrate
from haqc.policy import Space

RESNET8 = SHARED / "resnet8-cifar10" / "resnet8.onnx"
BATCH = 50
MOST = 1.1
"""The peak on many images may be this many times that on few."""


@dataclass(frozen=True)
class Images:
    """Images that exist only while they are read; the same ones every time."""

    shape: tuple[int, ...]
    count: int

    def __iter__(self) -> Iterator[tuple[np.ndarray, ...]]:
        random = np.random.default_rng(0)
        for start in range(0, self.count, BATCH):
            size = min(BATCH, self.count - start)
            yield (random.integers(0, 256, (size, *self.shape)).astype(np.float32),)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--few", type=int, default=100)
    parser.add_argument("--many", type=int, default=10_000)
    parser.add_argument("--model", type=Path, default=RESNET8)
    parser.add_argument("--alone", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.alone is not None:
        print(*measure(arguments.model, arguments.alone))
        return
    peaks = []
    print("| images | MiB before calibration | MiB at the peak |")
    print("|---|---|---|")
    for count in (arguments.few, arguments.many):
        words = [sys.executable, "-m", "benchmarks.calibration_memory", "--model", str(arguments.model)]
        done = subprocess.run([*words, "--alone", str(count)], check=True, capture_output=True, text=True)
        before, peak = (int(word) / 1024 for word in done.stdout.split())
        peaks.append(peak)
        print(f"| {count:,} | {before:.0f} | {peak:.0f} |", flush=True)
    print(f"ratio of the peaks: {peaks[1] / peaks[0]:.3f}")
    sys.exit(peaks[1] > MOST * peaks[0])


def measure(path: Path, count: int) -> tuple[int, int]:
    """Gives the process's peak in KiB before and after calibration on so many images."""
    torch.set_num_threads(1)
    front = Front.read(path)
    shape = tuple(int(extent or 1) for extent in front.inputs({})[0].sample_shape)
    space = Space.of(front.graph(front.bound({})), targets.load("edge").precision, min_bits=2)
    mirror = from_onnx(front.model)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    calibrate(mirror, space, Images(shape, count))
    return before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    main()
