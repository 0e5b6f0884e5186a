"""Emits networks at random policies over all widths, in every format, for every consumer that is there to compute.

    python -m benchmarks.formats [--count 20] [--only NAME ...] [--format NAME ...] [--out build/formats]

Networks are the digits, ResNet-8, the network of Fashion-MNIST, MobileNet-V2 and a small vision transformer; widths are
1 to 8, first and last layers at 8/8. A file is held against the mirror in onnxruntime, unoptimised and at its defaults,
by the rule of equality of a compile; ``HAQC_OPENVINO_PYTHON`` and ``HAQC_QONNX_PYTHON`` name interpreters of
environments that have the others. ``qdq-native`` is emitted at opset 21 and at 25. Prints one row per network, format
and consumer: files, how many are equal, differ, are refused, and the first that is not equal.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from benchmarks.subjects import NAMES, Subject, drawn, model_file
from haqc.formats import CHOICES, FormatName
from haqc.passes.emit import at_opset, emit
from haqc.passes.verify import verify_formats

STATUSES = ("equal", "differs", "refused", "absent")
TITLES = ("network", "format", "consumer", "files", *STATUSES, "first that is not equal")


@dataclass
class Row:
    """How the files of one network in one format fared with one consumer."""

    statuses: Counter[str] = field(default_factory=Counter)
    first: str = ""

    def add(self, status: str, seed: int, difference: str | None) -> None:
        """Counts a file."""
        self.statuses[status] += 1
        if status not in ("equal", "absent") and not self.first:
            self.first = f"policy {seed}: {difference}"


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--count", type=int, default=20, help="policies of each network")
    parser.add_argument("--only", action="append", choices=NAMES, default=[], help="networks")
    parser.add_argument("--format", action="append", choices=CHOICES, default=[], help="formats")
    parser.add_argument("--out", type=Path, default=Path("build/formats"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print("| " + " | ".join(TITLES) + " |")
    print("|" + "---|" * len(TITLES))
    for name in arguments.only or [name for name in NAMES if name != "resnet18"]:
        subject = Subject.of(model_file(name, arguments.out))
        for (form, consumer), row in measured(subject, arguments.count, arguments.format or CHOICES).items():
            counts = [str(row.statuses[status]) for status in STATUSES]
            print(
                "| " + " | ".join((name, form, consumer, str(row.statuses.total()), *counts, row.first)) + " |",
                flush=True,
            )


def measured(subject: Subject, count: int, formats: Sequence[FormatName]) -> dict[tuple[str, str], Row]:
    """Emits a network at ``count`` random policies and gives a row by format and consumer."""
    rows: dict[tuple[str, str], Row] = {}
    inputs = drawn(subject.model, 4, seed=2)
    for seed in range(count):
        policy = subject.random_policy(seed)
        network = subject.quantised(policy)
        codes, probe = network.codes(), network.probe(inputs)
        for form, name, opset in _variants(formats):
            emitted = emit(name, at_opset(subject.model, opset), policy, codes, {}).model
            for consumer in verify_formats([(name, "model.onnx", emitted)], probe).consumers:
                row = rows.setdefault((form, consumer.name), Row())
                row.add(consumer.status, seed, consumer.first_difference)
    return rows


def _variants(formats: Sequence[FormatName]) -> Iterator[tuple[str, FormatName, int]]:
    for name in formats:
        yield name, name, 21
        if name == "qdq-native":
            yield f"{name}, opset 25", name, 25


if __name__ == "__main__":
    main()
