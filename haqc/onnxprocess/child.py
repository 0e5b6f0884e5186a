"""What runs in the process of its own: a script that answers questions to ONNX until no more come.

Messages are lists of bytes: a question's first one is its task, an answer's first one says whether ONNX refuses.
"""

from __future__ import annotations

import contextlib
import json
import struct
import sys
from collections.abc import Sequence
from typing import IO

import onnx

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


def infer(model: bytes) -> list[bytes]:
    """Infers a model: types are checked, mistakes are passed over, data that are shapes are followed."""
    inferred = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=False, data_prop=True)
    return [inferred.SerializeToString()]


def check(model: bytes) -> list[bytes]:
    """Checks a model, its shapes too."""
    onnx.checker.check_model(model, full_check=True)
    return []


def infer_node(asked: bytes, node: bytes, *given: bytes) -> list[bytes]:
    """Infers one node from the types and constants that it is given, whose names stand in the question."""
    question = json.loads(asked)
    named = iter(given)
    found = onnx.shape_inference.infer_node_outputs(
        onnx.defs.get_schema(*question["schema"]),
        onnx.NodeProto.FromString(node),
        {name: onnx.TypeProto.FromString(next(named)) for name in question["types"]},
        {name: onnx.TensorProto.FromString(next(named)) for name in question["constants"]},
        opset_imports=[onnx.helper.make_opsetid(*each) for each in question["opsets"].items()],
        ir_version=question["ir_version"],
    )
    return [json.dumps(list(found)).encode(), *(kind.SerializeToString() for kind in found.values())]


def main() -> None:
    """Answers until the questions end."""
    with contextlib.suppress(ImportError):
        import resource  # noqa: PLC0415 (not on every system)

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a crash leaves no file behind
    tasks = {task.__name__.encode(): task for task in (infer, check, infer_node)}
    while (question := receive(sys.stdin.buffer)) is not None:
        try:
            answer = [DONE, *tasks[question[0]](*question[1:])]
        except Exception as error:  # ONNX raises kinds of its own
            answer = [REFUSED, str(error).encode("utf-8", "replace")]
        send(sys.stdout.buffer, answer)


if __name__ == "__main__":
    main()
