"""Fuzzing guided by coverage, with atheris: ``python -m tests.fuzz.guided KIND [CORPUS] [options of libFuzzer]``.

libFuzzer changes the bytes, and keeps what reaches new code; for models it is given mutations
of whole models. Whatever is no mistake of the user's ends the run, as do the limits ``-timeout`` and
``-rss_limit_mb``, and libFuzzer writes the bytes down. ``-max_total_time=600 -seed=1`` bounds a run.
"""

from __future__ import annotations

import contextlib
import json
import random
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import atheris
import onnx
from google.protobuf.message import DecodeError

with atheris.instrument_imports(include=["haqc"]):
    import haqc.data
    import haqc.passes.cost
    import haqc.policy
    import haqc.survey
    from haqc import targets
    from haqc.errors import HaqcError
    from haqc.frontend import pose

from tests.fuzz.model import mutate_model
from tests.fuzz.seeds import networks, tiny

_FOLDER = Path(tempfile.mkdtemp(prefix="haqc-guided-"))
_OPTIONS = ("-timeout=10", "-rss_limit_mb=2048", "-close_fd_mask=0")


def model(data: bytes) -> None:
    """Inspects and prices a model."""
    path = _FOLDER / "in.onnx"
    path.write_bytes(data)
    haqc.survey.survey(path, target=targets.load("edge")).to_json()


def target(data: bytes) -> None:
    """Checks a target file and prices with it."""
    path, small = _FOLDER / "t.toml", _FOLDER / "tiny.onnx"
    path.write_bytes(data)
    small.write_bytes(tiny())
    targets.check(path)
    haqc.survey.survey(small, target=targets.load(str(path)))


def policy(data: bytes) -> None:
    """Reads a policy of the tiny network."""
    small = _FOLDER / "tiny.onnx"
    small.write_bytes(tiny())
    _, graph = pose(small)
    haqc.policy.load(graph, data.decode("utf-8", "replace"), "p.json")


KINDS: Mapping[str, Callable[[bytes], None]] = {"model": model, "target": target, "policy": policy}


def _mutated(data: bytes, most: int, seed: int) -> bytes:
    """Mutates a model as a model; what is none, or grows too long, libFuzzer mutates as bytes."""
    rng = random.Random(seed)
    try:
        proto = onnx.load_from_string(data)
        mutate_model(rng, proto, 1)
        changed = bytes(proto.SerializeToString())
    except (DecodeError, ValueError):
        changed = b""
    if not changed or len(changed) > most or rng.random() < 0.1:
        changed = bytes(atheris.Mutate(data, most))
    return changed


def _seed(kind: str, folder: Path) -> None:
    """Writes the first inputs into a corpus."""
    folder.mkdir(parents=True, exist_ok=True)
    found = {
        "model": {seed.name: seed.data for seed in networks() if len(seed.data) < 50_000},
        "target": {name: targets.load(name).text.encode() for name in targets.names()},
        "policy": {"plain": _policy()},
    }[kind]
    for name, data in found.items():
        (folder / name).write_bytes(data)


def _policy() -> bytes:
    small = _FOLDER / "tiny.onnx"
    small.write_bytes(tiny())
    return json.dumps(haqc.policy.baseline(pose(small)[1]).to_json()).encode()


def main(arguments: list[str]) -> None:
    """Runs libFuzzer until its options or a failure end it."""
    kind, *rest = arguments
    corpus = [word for word in rest if not word.startswith("-")] or [str(_FOLDER / "corpus")]
    _seed(kind, Path(corpus[0]))
    options = [word for word in rest if word.startswith("-")]
    run = KINDS[kind]

    def one(data: bytes) -> None:
        with contextlib.suppress(HaqcError):  # a mistake of the user's, said in a sentence
            run(data)

    mutator = {"custom_mutator": _mutated} if kind == "model" else {}
    atheris.Setup([sys.argv[0], *_OPTIONS, *options, *corpus], one, **mutator)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1:])
