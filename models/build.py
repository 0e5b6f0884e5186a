"""The command ``python -m models.build NAME OUT.onnx``: writes one of the seeded example models."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from onnx import ModelProto

from haqc.errors import HaqcError, ModelError, OutputError, nearest
from models.mobilenet import mobilenet_v1, mobilenet_v2
from models.resnet import resnet18, resnet50

BUILDERS: dict[str, Callable[..., ModelProto]] = {
    "mobilenet-v1": mobilenet_v1,
    "mobilenet-v2": mobilenet_v2,
    "resnet18": resnet18,
    "resnet50": resnet50,
}


def build(name: str, seed: int = 0) -> ModelProto:
    """Builds the model of that name; one seed always gives the same bytes.

    Raises:
        ModelError: no model has that name, or the seed is negative.
    """
    if name not in BUILDERS:
        raise ModelError(f"unknown model '{name}'{nearest(name, BUILDERS)}; known are {', '.join(BUILDERS)}")
    if seed < 0:
        raise ModelError(f"seed {seed} is negative; give 0 or more")
    return BUILDERS[name](seed=seed)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and gives its exit code: 0, or 2 for the user's mistake."""
    parser = argparse.ArgumentParser(
        prog="python -m models.build",
        description="Writes an example network with seeded random weights as an ONNX model.",
    )
    parser.add_argument("name", metavar="NAME", help=f"one of {', '.join(BUILDERS)}")
    parser.add_argument("out", metavar="OUT.onnx", type=Path, help="file to write")
    parser.add_argument("--seed", type=int, default=0, help="seed of the weights (default 0)")
    given = parser.parse_args(arguments)
    try:
        _write(given.out, build(given.name, given.seed).SerializeToString(deterministic=True))
    except HaqcError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def _write(out: Path, content: bytes) -> None:
    try:
        out.write_bytes(content)
    except OSError as error:
        message = f"'{out}' cannot be written ({error.strerror}); name a file in a folder that exists"
        raise OutputError(message) from error


if __name__ == "__main__":
    sys.exit(main())
