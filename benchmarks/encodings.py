"""Hands encodings of random policies to AIMET, both schemas, and compares its simulation with the mirror.

    HAQC_AIMET_ONNX_PYTHON=aimet/bin/python python -m benchmarks.encodings [--count 20] [--only NAME ...] [--exact]
        [--untied]

AIMET (``pip install aimet-onnx``, in an environment of its own) takes a file when ``load_encodings_to_sim`` does. With
``--exact`` policies draw from 2, 4 and 8 bits, which both schemas have, so that the simulation is to give the mirror's
outputs; else widths are 1 to 8 and what a schema lacks is rounded up. By default AIMET gives what comes out of some
operators the range of what goes in; with ``--untied`` it is told not to. Prints one row per network and schema: files,
how many are taken, tensors rounded up, and the median and the largest difference of outputs, as shares of their largest
magnitude.

What AIMET makes of a file is kept in ``results`` in the folder ``--out``; a run that was ended goes on there. A process
of AIMET's gets several files, since it takes seconds to start; where it fails, each gets one of its own.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import markdown
from benchmarks.kept import keep
from benchmarks.subjects import ASKED, NAMES, Subject, drawn, model_file
from haqc.content import Content
from haqc.formats import ENCODINGS_FILES
from haqc.gap import gap_between
from haqc.passes.emit import Emission, at_opset, emit
from haqc.passes.verify.outside import OutsideRuntime, RuntimeRefuses
from haqc.policy import Policy
from haqc.probe import Probe

AIMET = OutsideRuntime("aimet_onnx", Path(__file__).with_name("run_aimet.py"))
EXACT = (2, 4, 8)
"""Widths that both schemas have."""

SAMPLES = 4
"""Inputs that a simulation is run on."""

TOGETHER = 5
"""Policies whose files one process gets."""

TITLES = ("network", "schema", "files", "taken", "rounded up", "median difference", "largest", "first that is refused")


@dataclass(frozen=True)
class Campaign:
    """One network at many policies.

    Attributes:
        name: the network.
        out: the folder where results are kept.
        is_exact: whether widths are those that both schemas have.
        ties: whether AIMET ties ranges.
    """

    name: str
    out: Path
    is_exact: bool = False
    ties: bool = True

    def row(self, schema: str, count: int) -> tuple[str, ...]:
        """Gives the columns of a row behind the schema."""
        found = [self._result(schema, seed, count) for seed in range(count)]
        taken = [one for one in found if not one["refusal"]]
        refused = (f"policy {seed}: {one['refusal']}" for seed, one in enumerate(found) if one["refusal"])
        gaps = [float(one["difference"]) for one in taken] or [float("nan")]
        rounded = sum(one["rounded"] for one in found)
        figures = f"{np.median(gaps):.2g}", f"{max(gaps):.2g}"
        return str(count), str(len(taken)), str(rounded), *figures, next(refused, "")

    def _result(self, schema: str, seed: int, count: int) -> dict[str, Any]:
        """Gives what is kept of a file; where nothing is, asks for it and the next ones."""
        file = self._file(schema, seed)
        if not file.is_file():
            missing = [other for other in range(seed, count) if not self._file(schema, other).is_file()]
            asked = {other: _Asked.of(self.subject, self._policy(other)) for other in missing[:TOGETHER]}
            for other, found in zip(asked, _results([*asked.values()], schema, ties=self.ties), strict=True):
                keep(self._file(schema, other), found)
        content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return content

    def _file(self, schema: str, seed: int) -> Path:
        kind = ("exact" if self.is_exact else "all") + ("" if self.ties else "-untied")
        return self.out / "results" / self.name / "encodings" / f"{schema}-{kind}" / f"{seed}.json"

    def _policy(self, seed: int) -> Policy:
        if not self.is_exact:
            return self.subject.random_policy(seed)
        random = np.random.default_rng(seed)
        free = self.subject.space.free
        return self.subject.space.policy(
            {c.operand.tensor: int(random.choice([*{*c.widths} & {*EXACT}])) for c in free}
        )

    @cached_property
    def subject(self) -> Subject:
        """The network, calibrated."""
        return Subject.of(model_file(self.name, self.out))


@dataclass(frozen=True)
class _Asked:
    """A network's encodings at a policy, and what the mirror computes there."""

    emission: Emission
    probe: Probe

    @classmethod
    def of(cls, subject: Subject, policy: Policy) -> _Asked:
        network = subject.quantised(policy)
        emission = emit("encodings", at_opset(subject.model, 21), policy, network.codes(), {})
        return cls(emission, network.probe(drawn(subject.model, SAMPLES, seed=2)))

    @property
    def model(self) -> np.ndarray:
        """The float model, whose weights are what the codes stand for, as bytes."""
        return np.frombuffer(Content.of(self.emission.model).checkable(), np.uint8)

    def document(self, schema: str) -> np.ndarray:
        """Gives the encodings as bytes of JSON."""
        return np.frombuffer(json.dumps(self.emission.documents[ENCODINGS_FILES[schema]]).encode(), np.uint8)

    def result(self, schema: str, difference: float | None, refusal: str = "") -> dict[str, Any]:
        """Gives what is kept."""
        rounded = sum(ENCODINGS_FILES[schema] in fallback.stored for fallback in self.emission.fallbacks)
        return {"rounded": rounded, "difference": difference, "refusal": refusal}


def _results(asked: Sequence[_Asked], schema: str, *, ties: bool) -> list[dict[str, Any]]:
    """Gives what AIMET makes of files, all at once; where it fails, one by one."""
    try:
        return [one.result(schema, gap) for one, gap in zip(asked, _gaps(asked, schema, ties=ties), strict=True)]
    except RuntimeRefuses as error:
        if len(asked) > 1:
            return [found for one in asked for found in _results([one], schema, ties=ties)]
        return [asked[0].result(schema, None, str(error))]


def _gaps(asked: Sequence[_Asked], schema: str, *, ties: bool) -> list[float]:
    """Gives the largest difference between simulation and mirror, for each file.

    Raises:
        RuntimeRefuses: AIMET does not take all of the encodings.
    """
    models = {f"model {index}": one.model for index, one in enumerate(asked)}
    documents = {f"encodings {index}": one.document(schema) for index, one in enumerate(asked)}
    names = [(index, name) for index, one in enumerate(asked) for name in one.probe.outputs]
    assert AIMET.interpreter is not None
    given = {"ties": np.array(ties), **models, **documents, **asked[0].probe.inputs}
    wanted = [f"{index} {name}" for index, name in names]
    answer = AIMET.run(AIMET.interpreter, Content(b""), given, wanted, len(asked))
    gaps = [0.0] * len(asked)
    for index, name in names:
        gap = gap_between(answer.outputs[f"{index} {name}"], asked[index].probe.outputs[name])
        gaps[index] = max(gaps[index], gap)
    return gaps


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--count", type=int, default=20, help="policies of each network")
    parser.add_argument("--only", action="append", choices=NAMES, default=[], help="networks")
    parser.add_argument("--exact", action="store_true", help="only widths that both schemas have")
    parser.add_argument("--untied", action="store_true", help="AIMET gives every tensor its own range")
    parser.add_argument("--out", type=Path, default=Path("build/formats"))
    arguments = parser.parse_args()
    if AIMET.interpreter is None:
        sys.exit("AIMET is not installed here; name an interpreter that has it with HAQC_AIMET_ONNX_PYTHON")
    torch.set_num_threads(1)
    print(markdown.head(TITLES))
    for name in arguments.only or ASKED:
        campaign = Campaign(name, arguments.out, is_exact=arguments.exact, ties=not arguments.untied)
        for schema in ENCODINGS_FILES:
            print(markdown.row((name, schema, *campaign.row(schema, arguments.count))), flush=True)


if __name__ == "__main__":
    main()
