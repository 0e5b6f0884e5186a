"""The way into the mirror from whatever holds a model."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

import onnx
import onnx_ir as ir

from haqc import onnxfile
from haqc.errors import ModelError
from haqc.mirror.constants import constants
from haqc.mirror.module import Mirror
from haqc.passes.clean import MIN_OPSET, clean


def from_onnx(model: str | PathLike[str] | onnx.ModelProto | ir.Model) -> Mirror:
    """Builds the torch module that computes what an ONNX model computes, and that trains.

    Args:
        model: the path of an ONNX file, or a model in memory. A file and a ``ModelProto`` are cleaned up as
            ``haqc compile`` does it: batch-norms and constants are folded, the opset is at least 21. An ``ir.Model``
            that has such an opset and no functions of its own is taken as it is; another is cleaned up in a copy.

    Returns:
        The module. It takes one tensor per graph input and gives a tuple of one tensor per graph output.

    Raises:
        ModelError: the file cannot be read, or the model holds something that cannot be mirrored; the message names
            node, operator and opset.
    """
    if isinstance(model, ir.Model):
        is_ready = model.opset_imports.get("", MIN_OPSET) >= MIN_OPSET and not model.functions
        return Mirror(model if is_ready else clean(model.clone()))
    if isinstance(model, onnx.ModelProto):
        return Mirror(clean(_in_memory(model)))
    return Mirror(clean(onnxfile.read(Path(model))))


def _in_memory(proto: onnx.ModelProto) -> ir.Model:
    """Takes over a model that must hold all of its tensors itself."""
    try:
        model = ir.from_proto(proto)
    except ir.serde.SerdeError as error:
        raise ModelError("the ModelProto is not a valid ONNX model; check it with 'onnx.checker'") from error
    for entry in constants(model.graph):
        if isinstance(entry.tensor, ir.ExternalTensor):
            raise ModelError(
                f"tensor '{entry.key}' of the ModelProto lies in another file; give the path of the .onnx file instead"
            )
    return model
