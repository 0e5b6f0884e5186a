"""A model in memory as runtimes and files take it, of any size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import onnx
import onnx_ir as ir

from haqc import onnxfile
from haqc.formats import data_file

_ALIGNMENT_BYTES = 4096
"""Where an array may begin in a file, so that it can be mapped."""

_LEAST_BYTES = 1024
"""Arrays below this stay in the graph: shapes, axes and scales, which a runtime reads while it builds the graph."""


@dataclass(frozen=True)
class Content:
    """A serialised model. Protocol buffers end at 2 GiB, so the weights of a larger one lie apart, as arrays.

    Attributes:
        graph: the model, or all of it but the weights that lie apart, which it names.
        file: the name of the file that it is for.
        apart: arrays by initialiser; none where one file holds everything.
    """

    graph: bytes
    file: str = "model.onnx"
    apart: Mapping[str, np.ndarray] = field(default_factory=dict)

    @classmethod
    def of(cls, model: ir.Model, file: str = "model.onnx") -> Content:
        """Serialises a model; equal models give equal bytes.

        Raises:
            ModelError: what cannot lie apart (bodies of loops, types below a byte) is larger than one file can be.
        """
        if onnxfile.stored_bytes(model) <= onnxfile.LARGEST_BYTES:
            return cls(onnxfile.serialise(model), file)
        rest, apart, offset = model.clone(), {}, 0
        for name, value in rest.graph.initializers.items():
            tensor = value.const_value
            if tensor is None or tensor.nbytes < _LEAST_BYTES or tensor.dtype.bitwidth % 8:
                continue
            apart[name] = tensor.numpy()
            value.const_value = ir.ExternalTensor(
                data_file(file), offset, tensor.nbytes, tensor.dtype, shape=ir.Shape(apart[name].shape), name=name
            )
            offset += -(-tensor.nbytes // _ALIGNMENT_BYTES) * _ALIGNMENT_BYTES
        onnxfile.check_size(onnxfile.stored_bytes(model, apart))
        return cls(onnxfile.serialise_graph(rest, apart), file, apart)

    @property
    def nbytes(self) -> int:
        """Bytes of the file, or of both files."""
        return sum(map(len, self.files.values()))

    @property
    def files(self) -> dict[str, bytes]:
        """The contents of the file, and of the one beside it where weights lie apart, by name."""
        if not self.apart:
            return {self.file: self.graph}
        arrays = (np.ascontiguousarray(array).tobytes() for array in self.apart.values())
        data = b"".join(part + bytes(-len(part) % _ALIGNMENT_BYTES) for part in arrays)
        return {data_file(self.file): data, self.file: self.graph}  # who finds the graph finds its weights

    def checkable(self) -> bytes:
        """Gives a model for the ONNX checker, which looks for what lies apart in the current folder: here as inputs."""
        if not self.apart:
            return self.graph
        return bytes(onnxfile.without_external(onnx.load_from_string(self.graph)).SerializeToString())

    def model(self) -> ir.Model:
        """Gives the model again; arrays that lie apart are not copied."""
        model = ir.from_proto(onnx.load_from_string(self.graph))
        for name, array in self.apart.items():
            model.graph.initializers[name].const_value = ir.tensor(array, name=name)
        return model
