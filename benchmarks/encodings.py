"""Hands encodings of random policies to AIMET, both schemas, and compares its simulation with the mirror.

    HAQC_AIMET_ONNX_PYTHON=aimet/bin/python python -m benchmarks.encodings [--count 20] [--only NAME ...] [--exact]

AIMET (``pip install aimet-onnx``, in an environment of its own) takes a file when ``load_encodings_to_sim`` does. With
``--exact`` policies draw from 2, 4 and 8 bits, which both schemas have, so that the simulation is to give the mirror's
outputs; else widths are 1 to 8 and what a schema lacks is rounded up. Prints one row per network and schema: files, how
many are taken, tensors rounded up, and the largest difference of outputs as a share of their largest magnitude.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import torch

from benchmarks.subjects import NAMES, Subject, drawn, model_file
from haqc.content import Content
from haqc.formats import ENCODINGS_FILES
from haqc.gap import gap_between
from haqc.mirror.quantised import QuantisedMirror
from haqc.passes.emit import Emission, at_opset, emit
from haqc.passes.verify.outside import OutsideRuntime, RuntimeRefuses
from haqc.policy import Policy

AIMET = OutsideRuntime("aimet_onnx", Path(__file__).with_name("run_aimet.py"))
EXACT = (2, 4, 8)
"""Widths that both schemas have."""

TITLES = ("network", "schema", "files", "taken", "rounded up", "largest difference", "first that is refused")


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--count", type=int, default=20, help="policies of each network")
    parser.add_argument("--only", action="append", choices=NAMES, default=[], help="networks")
    parser.add_argument("--exact", action="store_true", help="only widths that both schemas have")
    parser.add_argument("--out", type=Path, default=Path("build/formats"))
    arguments = parser.parse_args()
    if AIMET.interpreter is None:
        sys.exit("AIMET is not installed here; name an interpreter that has it with HAQC_AIMET_ONNX_PYTHON")
    torch.set_num_threads(1)
    print("| " + " | ".join(TITLES) + " |")
    print("|" + "---|" * len(TITLES))
    for name in arguments.only or [name for name in NAMES if name != "resnet18"]:
        subject = Subject.of(model_file(name, arguments.out))
        for schema in ENCODINGS_FILES:
            row = measured(subject, schema, arguments.count, is_exact=arguments.exact)
            print("| " + " | ".join((name, schema, *row)) + " |", flush=True)


def measured(subject: Subject, schema: str, count: int, *, is_exact: bool) -> tuple[str, ...]:
    """Gives the columns of a row behind the schema."""
    taken, rounded, largest, first = 0, 0, 0.0, ""
    for seed in range(count):
        policy = _exact(subject, seed) if is_exact else subject.random_policy(seed)
        network = subject.quantised(policy)
        emission = emit("encodings", at_opset(subject.model, 21), policy, network.codes(), {})
        rounded += sum(ENCODINGS_FILES[schema] in fallback.stored for fallback in emission.fallbacks)
        try:
            largest = max(largest, _gap(subject, network, emission, schema))
            taken += 1
        except RuntimeRefuses as error:
            first = first or f"policy {seed}: {error}"
    return str(count), str(taken), str(rounded), f"{largest:.2g}", first


def _exact(subject: Subject, seed: int) -> Policy:
    random = np.random.default_rng(seed)
    free = subject.space.free
    return subject.space.policy({c.operand.tensor: int(random.choice([*{*c.widths} & {*EXACT}])) for c in free})


def _gap(subject: Subject, network: QuantisedMirror, emission: Emission, schema: str) -> float:
    """Gives the largest difference between simulation and mirror.

    Raises:
        RuntimeRefuses: AIMET does not take the encodings.
    """
    inputs = drawn(subject.model, 4, seed=2)
    document = np.frombuffer(json.dumps(emission.documents[ENCODINGS_FILES[schema]]).encode(), np.uint8)
    given = {"": document} | dict(zip(network.mirror.inputs, inputs, strict=True))
    outputs = network.mirror.outputs
    assert AIMET.interpreter is not None
    answer = AIMET.run(AIMET.interpreter, Content.of(emission.model), given, outputs, 1)
    expected = network.probe(inputs).outputs
    return max(gap_between(answer.outputs[name], expected[name]) for name in outputs)


if __name__ == "__main__":
    main()
