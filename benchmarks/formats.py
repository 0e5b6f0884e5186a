"""Emits networks at random policies over all widths, in every format, for every consumer that is there to compute.

    python -m benchmarks.formats [--count 20] [--only NAME ...] [--format NAME ...] [--out build/formats] [--print]

Networks are the digits, ResNet-8, the network of Fashion-MNIST, MobileNet-V2 and a small vision transformer; widths are
1 to 8, first and last layers at 8/8. A file is held against the mirror in onnxruntime, unoptimised and at its defaults,
by the rule of equality of a compile; ``HAQC_OPENVINO_PYTHON`` and ``HAQC_QONNX_PYTHON`` name interpreters of
environments that have the others. ``qdq-native`` is emitted at opset 21 and at 25. Prints one row per network, format
and consumer: files, how many are equal, differ, are refused, the codes that differ (those within the rule of equality
too), and the first file that is not equal.

What each consumer makes of a file is kept in ``results`` in the folder ``--out``; a run that was ended goes on there,
and asks absent consumers once they are there. Remove the folder to measure anew. ``--print`` measures nothing.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import onnx_ir as ir
import torch

from benchmarks import markdown
from benchmarks.kept import kept
from benchmarks.subjects import ASKED, NAMES, Subject, drawn, model_file
from haqc.formats import CHOICES, RUNNABLE, FormatName
from haqc.mirror.quantised import QuantisedMirror
from haqc.passes.emit import at_opset, emit
from haqc.passes.verify import verify, verify_openvino, verify_qonnx
from haqc.passes.verify.openvino import OPENVINO
from haqc.passes.verify.qonnx import QONNX
from haqc.probe import Probe

STATUSES = ("equal", "differs", "refused")
TITLES = ("network", "format", "consumer", "files", *STATUSES, "codes", "differ", "by", "first that is not equal")
SAMPLES = 4
"""Inputs that a file is run on."""


@dataclass
class Row:
    """How the files of one network in one format fared with one consumer."""

    statuses: Counter[str] = field(default_factory=Counter)
    versions: set[str] = field(default_factory=set)
    codes: int = 0
    different: int = 0
    largest: float = 0.0
    first: str = ""

    def add(self, seed: int, found: dict[str, Any]) -> None:
        """Counts a file, by what a consumer's line of ``report.json`` says."""
        self.statuses[found["status"]] += 1
        self.versions |= {found["version"]} - {""}
        self.codes += found["values"]
        self.different += found["different"]
        self.largest = max(self.largest, (found["worst"] or {"largest": 0})["largest"])
        if found["status"] != "equal" and not self.first:
            self.first = f"policy {seed}: {found['detail']}"

    def columns(self, consumer: str) -> tuple[str, ...]:
        """Gives the columns from the consumer's name on."""
        counts = [self.statuses.total(), *(self.statuses[status] for status in STATUSES), self.codes, self.different]
        title = " ".join([consumer, *sorted(self.versions)])
        return (title, *map(str, counts), f"{self.largest:g}", self.first)


@dataclass(frozen=True)
class Campaign:
    """One network at many policies.

    Attributes:
        name: the network.
        out: the folder where results are kept.
        measures: whether what is not kept is measured.
    """

    name: str
    out: Path
    measures: bool = True

    def rows(self, count: int, formats: Sequence[FormatName]) -> dict[tuple[str, str], Row]:
        """Gives a row by format and consumer, over ``count`` random policies."""
        rows: dict[tuple[str, str], Row] = {}
        for seed in range(count):
            file = _File(self, seed)
            for variant in _Variant.of(formats):
                for found in file.results(variant):
                    rows.setdefault((variant.name, found["consumer"]), Row()).add(seed, found)
        return rows

    @cached_property
    def subject(self) -> Subject:
        """The network, calibrated."""
        return Subject.of(model_file(self.name, self.out))


@dataclass(frozen=True)
class _File:
    """A network at one policy."""

    campaign: Campaign
    seed: int

    def results(self, variant: _Variant) -> Iterator[dict[str, Any]]:
        """Gives the consumers' lines on the file in a format, measured where they are not kept."""
        for consumer in variant.consumers:
            folder = self.campaign.out / "results" / self.campaign.name / variant.folder / consumer
            file = folder / f"{self.seed}.json"
            if file.is_file() or (self.campaign.measures and _is_there(consumer)):
                yield from kept(file, partial(self._measured, variant, consumer))

    def _measured(self, variant: _Variant, consumer: str) -> list[dict[str, Any]]:
        emitted = self._emitted(variant)
        if consumer == "onnxruntime":
            lines = verify(emitted, self._probe).consumers
        elif consumer == "openvino":
            lines = verify_openvino(emitted, self._probe.inputs)
        else:
            lines = (verify_qonnx(emitted, self._probe),)
        return [line.to_json() for line in lines]

    def _emitted(self, variant: _Variant) -> ir.Model:
        model = at_opset(self.campaign.subject.model, variant.opset)
        return emit(variant.format, model, self._network.policy, self._network.codes(), {}).model

    @cached_property
    def _network(self) -> QuantisedMirror:
        return self.campaign.subject.quantised(self.campaign.subject.random_policy(self.seed))

    @cached_property
    def _probe(self) -> Probe:
        return self._network.probe(drawn(self.campaign.subject.model, SAMPLES, seed=2))


@dataclass(frozen=True)
class _Variant:
    """A format at an opset."""

    name: str
    format: FormatName
    opset: int = 21

    @property
    def folder(self) -> str:
        return self.name.replace(", ", "-").replace(" ", "")

    @property
    def consumers(self) -> tuple[str, ...]:
        """Who reads such a file."""
        if self.format in RUNNABLE:
            return "onnxruntime", "openvino"
        return ("qonnx",) if self.format == "qonnx" else ()

    @classmethod
    def of(cls, formats: Sequence[FormatName]) -> Iterator[_Variant]:
        """Gives the formats, ``qdq-native`` at opset 25 as well."""
        for name in formats:
            yield cls(name, name)
            if name == "qdq-native":
                yield cls(f"{name}, opset 25", name, 25)


def _is_there(consumer: str) -> bool:
    outside = {"openvino": OPENVINO, "qonnx": QONNX}
    return consumer not in outside or outside[consumer].interpreter is not None


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--count", type=int, default=20, help="policies of each network")
    parser.add_argument("--only", action="append", choices=NAMES, default=[], help="networks")
    parser.add_argument("--format", action="append", choices=CHOICES, default=[], help="formats")
    parser.add_argument("--out", type=Path, default=Path("build/formats"))
    parser.add_argument("--print", action="store_true", help="measure nothing; print what was measured")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(markdown.head(TITLES))
    for name in arguments.only or ASKED:
        campaign = Campaign(name, arguments.out, measures=not arguments.print)
        for (form, consumer), row in campaign.rows(arguments.count, arguments.format or CHOICES).items():
            print(markdown.row((name, form, *row.columns(consumer))), flush=True)


if __name__ == "__main__":
    main()
