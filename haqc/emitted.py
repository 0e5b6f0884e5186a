"""An emitted network as files: one format, its bytes, and what it could not hold as asked."""

from __future__ import annotations

import json
import zlib
from collections.abc import Container, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import onnx_ir as ir

from haqc.codes import NetworkCodes
from haqc.content import Content
from haqc.formats import Fallback, FormatName, model_file
from haqc.passes.emit import emit
from haqc.policy import Policy

_CODES_INPUT = {"DequantizeLinear": 0, "MatMulNBits": 1, "BitShift": 0}
"""Where operators read stored weights as integers."""


@dataclass(frozen=True)
class Emitted:
    """A network in one format.

    Attributes:
        name: the format.
        model: the ONNX model.
        file: the name of its file.
        documents: the contents of the files beside it, by name.
        fallbacks: tensors that the format cannot hold as the policy asks.
        container_bytes: bytes of the initialisers that hold weights: codes in their containers, packed indices, or
            floats.
    """

    name: FormatName
    model: ir.Model
    file: str
    documents: Mapping[str, bytes]
    fallbacks: tuple[Fallback, ...]
    container_bytes: int

    @classmethod
    def of(
        cls,
        name: FormatName,
        model: ir.Model,
        policy: Policy,
        codes: NetworkCodes,
        annotations: Mapping[str, Any],
        *,
        is_main: bool,
    ) -> Emitted:
        """Emits a network in one format, see :func:`haqc.passes.emit.emit`.

        Raises:
            ModelError: the model's operators need an IR version that runtimes do not read.
        """
        emission = emit(name, model, policy, codes, annotations)
        documents = {
            file: (json.dumps(content, indent=1, allow_nan=False) + "\n").encode()
            for file, content in emission.documents.items()
        }
        file = model_file(name, is_main=is_main)
        held = _container_bytes(emission.model, codes.weights)
        return cls(name, emission.model, file, documents, emission.fallbacks, held)

    @cached_property
    def content(self) -> Content:
        """The model's file; models over 2 GiB have another beside it."""
        return Content.of(self.model, self.file)

    @property
    def files(self) -> dict[str, bytes]:
        """The contents of all its files, by name."""
        return {**self.content.files, **self.documents}

    def to_json(self) -> dict[str, Any]:
        """Gives the entry in a report's ``formats``."""
        return {
            "format": self.name,
            "file": self.file,
            "documents": list(self.documents),
            "bytes": self.content.nbytes,
            "container_bytes": self.container_bytes,
            "compressed_bytes": sum(len(zlib.compress(part, 9)) for part in self.content.files.values()),
            "fallbacks": [fallback.to_json() for fallback in self.fallbacks],
        }


def _container_bytes(model: ir.Model, weights: Container[str]) -> int:
    """Counts what operators make weights of, and float weights under their own names."""
    read = [value for node in model.graph for value in _weights_read_by(node)]
    kept = [value for name, value in model.graph.initializers.items() if name in weights]
    stored = {str(value.name): value.const_value for value in (*read, *kept) if value.const_value is not None}
    return sum(tensor.nbytes for tensor in stored.values() if tensor.dtype != ir.DataType.INT32)  # those are biases


def _weights_read_by(node: ir.Node) -> list[ir.Value]:
    """Gives the stored weights that a node reads, where it is one that makes numbers of them."""
    place = _CODES_INPUT.get(node.op_type)
    value = node.inputs[place] if place is not None and place < len(node.inputs) else None
    if value is None:
        return []
    looked_up = value.producer()
    table = looked_up.inputs[0] if looked_up is not None and looked_up.op_type == "Gather" else None
    return [value if table is None else table]
