"""What runs in the process of its own: a script that answers questions to ONNX's inference until no more come.

It loads ONNX's extension alone, which takes a tenth of the time of the whole package. Argument: the extension's file.
Messages are lists of bytes: a question's first one is its task, an answer's first one says whether ONNX refuses.
"""

from __future__ import annotations

import contextlib
import json
import struct
import sys
from collections.abc import Sequence
from importlib.machinery import ExtensionFileLoader
from importlib.util import module_from_spec, spec_from_loader
from typing import IO, Any

DONE, REFUSED = b"done", b"refused"


def send(stream: IO[bytes], message: Sequence[bytes]) -> None:
    """Writes a message."""
    stream.write(struct.pack(">Q", len(message)))
    for part in message:
        stream.write(struct.pack(">Q", len(part)))
        stream.write(part)
    stream.flush()


def receive(stream: IO[bytes]) -> list[bytes] | None:
    """Reads a message; ``None`` where the stream ends."""
    try:
        (count,) = struct.unpack(">Q", stream.read(8))
        message = [stream.read(*struct.unpack(">Q", stream.read(8))) for _ in range(count)]
    except struct.error:
        return None
    return message


def infer(library: Any, model: bytes) -> list[bytes]:
    """Infers a model: types are checked, mistakes are passed over, data that are shapes are followed."""
    return [library.shape_inference.infer_shapes(model, True, False, True)]


def check(library: Any, model: bytes) -> list[bytes]:
    """Checks a model, its shapes and opsets too; domains that are not ONNX's own are passed over."""
    library.checker.check_model(model, True, False, False)
    return []


def infer_node(library: Any, asked: bytes, node: bytes, *given: bytes) -> list[bytes]:
    """Infers one node from the types and constants that it is given, whose names stand in the question."""
    question = json.loads(asked)
    named = iter(given)
    types = {name: next(named) for name in question["types"]}
    constants = {name: next(named) for name in question["constants"]}
    schema = library.defs.get_schema(*question["schema"])
    found = schema._infer_node_outputs(node, types, constants, {}, question["opsets"], question["ir_version"])
    return [json.dumps(list(found)).encode(), *found.values()]


def main(extension: str) -> None:
    """Answers until the questions end."""
    with contextlib.suppress(ImportError):
        import resource  # noqa: PLC0415 (not on every system)

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a crash leaves no file behind
    loader = ExtensionFileLoader("onnx_cpp2py_export", extension)
    spec = spec_from_loader(loader.name, loader)
    assert spec is not None
    library = module_from_spec(spec)
    loader.exec_module(library)
    tasks = {task.__name__.encode(): task for task in (infer, check, infer_node)}
    while (question := receive(sys.stdin.buffer)) is not None:
        try:
            answer = [DONE, *tasks[question[0]](library, *question[1:])]
        except Exception as error:  # the extension raises kinds of its own
            answer = [REFUSED, str(error).encode("utf-8", "replace")]
        send(sys.stdout.buffer, answer)


if __name__ == "__main__":
    main(sys.argv[1])
