"""Reads and writes ONNX files; everything in a file is data from strangers and is checked before it is believed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Container
from pathlib import Path

import onnx
import onnx_ir as ir
from google.protobuf.message import DecodeError

from haqc.errors import ModelError
from haqc.nodeorder import sort_nodes
from haqc.storedtensors import check_rank, check_tensor, data_file, is_external, refuse_sparse, tensors

OPSETS = (7, 26)
"""The oldest opset whose operators broadcast as today, and the newest one that onnxruntime has released."""

LARGEST_BYTES = 2**31 - 2**26
"""Bytes of weights in one file: protocol buffers end at 2 GiB, and the graph needs room beside them."""

METADATA_KEY = "haqc"
"""Key of haqc's JSON in the metadata of an emitted model."""

CLIPS_KEY = "haqc.clips"
"""Key, in the metadata of an emitted model, of the bounds of the float Clips that its quantisers took over."""

UNPACKED_KEY = "haqc.weight"
"""Key of a weight's name among the properties of the node that gives it, unpacked from a codebook."""


def read(path: Path) -> ir.Model:
    """Reads an ONNX file; external data is mapped, not read.

    Raises:
        ModelError: no such file, not an ONNX file, truncated, an opset outside 7..26, malformed tensors, or external
            data that is missing, too short, or outside the model's folder.
    """
    try:
        proto = onnx.load(path, format="protobuf", load_external_data=False)
    except FileNotFoundError as error:
        raise ModelError(f"'{path}' does not exist; give the path of an .onnx file") from error
    except OSError as error:
        raise ModelError(f"'{path}' cannot be read ({error.strerror}); give the path of an .onnx file") from error
    except (DecodeError, ValueError, RuntimeError) as error:
        raise ModelError(f"'{path}' is not an ONNX file, or is truncated; export or copy it again") from error
    if not proto.ir_version or not proto.graph.node:
        what = "is not an ONNX file, or holds no node" if proto.ByteSize() else "is empty"
        raise ModelError(f"'{path}' {what}; export or copy it again")
    if not proto.graph.output:
        raise ModelError(f"'{path}' has no output; export it again")
    _check_opset(proto, path)
    for value in (*proto.graph.input, *proto.graph.output, *proto.graph.value_info):
        check_rank(value.name, len(value.type.tensor_type.shape.dim), path)
    for tensor in tensors(proto):
        check_tensor(tensor, path)
    refuse_sparse(proto, path)
    try:
        onnx.checker.check_model(without_external(proto) if sort_nodes(proto.graph) else path)
    except (onnx.checker.ValidationError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).partition("==>")[0].split()).rstrip(".")
        raise ModelError(f"'{path}' is not a valid ONNX model: {reason}; export it again") from error
    for entry in proto.opset_import:
        entry.domain = "" if entry.domain == "ai.onnx" else entry.domain  # two spellings of one domain
    try:
        model = ir.from_proto(proto)
    except ir.serde.SerdeError as error:
        raise ModelError(f"'{path}' is not a valid ONNX model; export it again") from error
    ir.external_data.set_base_dir(model.graph, path.resolve().parent)
    return model


def serialise(model: ir.Model) -> bytes:
    """Gives the bytes of a model, its external data among them; equal models give equal bytes.

    Raises:
        ModelError: the weights are larger than one file can be.
    """
    check_size(stored_bytes(model))
    return serialise_graph(model)


def check_size(size_bytes: int) -> None:
    """Checks that weights fit one file.

    Raises:
        ModelError: they do not.
    """
    if size_bytes > LARGEST_BYTES:
        raise ModelError(
            f"the model's weights take {size_bytes / 2**30:.1f} GiB, and one ONNX file holds less than 2: 'haqc cost' "
            "prices it, compile a part of it or a smaller model"
        )


def serialise_graph(model: ir.Model, apart: Container[str] = ()) -> bytes:
    """Gives the bytes of a model, its external data among them, but for some initialisers of the main graph.

    Args:
        model: the model.
        apart: names of those that stay external.
    """
    inside = model.clone()
    for graph in inside.graphs():
        for name, value in graph.initializers.items():
            tensor = value.const_value
            if isinstance(tensor, ir.ExternalTensor) and not (graph is inside.graph and name in apart):
                value.const_value = ir.LazyTensor(
                    lambda tensor=tensor: ir.Tensor(tensor.numpy(), dtype=tensor.dtype),  # type: ignore[misc]
                    dtype=tensor.dtype,
                    shape=tensor.shape,
                    name=tensor.name,
                )
    return bytes(ir.to_proto(inside).SerializeToString(deterministic=True))


def digest(path: Path) -> str:
    """Gives the SHA-256 of a model file and of its external data, in hex."""
    total = hashlib.sha256(path.read_bytes())
    folder = path.resolve().parent
    proto = onnx.load(path, format="protobuf", load_external_data=False)
    for location in sorted({data_file(tensor) for tensor in tensors(proto) if is_external(tensor)}):
        with (folder / location).open("rb") as stream:
            total.update(hashlib.file_digest(stream, "sha256").digest())
    return total.hexdigest()


def read_annotations(model: ir.Model) -> dict[str, object] | None:
    """Gives haqc's JSON out of a model's metadata, or ``None`` when it has none."""
    text = model.metadata_props.get(METADATA_KEY)
    if text is None:
        return None
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ModelError(
            f"the model's '{METADATA_KEY}' metadata is not JSON; it was edited after haqc wrote it"
        ) from error
    if not isinstance(content, dict):
        raise ModelError(f"the model's '{METADATA_KEY}' metadata is no JSON object; it was edited after haqc wrote it")
    return content


def _check_opset(proto: onnx.ModelProto, path: Path) -> None:
    opset = next((entry.version for entry in proto.opset_import if entry.domain in ("", "ai.onnx")), None)
    lowest, highest = OPSETS
    if opset is None:
        raise ModelError(f"'{path}' names no ONNX opset; export it with an opset of {lowest} to {highest}")
    if not lowest <= opset <= highest:
        raise ModelError(f"'{path}' has opset {opset}; haqc takes {lowest} to {highest}: export it with one of these")


def without_external(proto: onnx.ModelProto) -> onnx.ModelProto:
    """Gives a copy of a model whose external weights are inputs: without a path the checker cannot look beside it."""
    copy = onnx.ModelProto()
    copy.CopyFrom(proto)
    given = {value.name for value in copy.graph.input}
    stored = [tensor for tensor in copy.graph.initializer if not is_external(tensor)]
    for tensor in copy.graph.initializer:
        if is_external(tensor) and tensor.name not in given:
            copy.graph.input.append(onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
    del copy.graph.initializer[:]
    copy.graph.initializer.extend(stored)
    return copy


def stored_bytes(model: ir.Model, without: Container[str] = ()) -> int:
    """Gives the bytes of all initialisers, subgraphs' included, but for some of the main graph's by name."""
    graphs = list(model.graphs())
    return sum(
        tensor.nbytes
        for graph in graphs
        for name, value in graph.initializers.items()
        if (tensor := value.const_value) is not None and not (graph is model.graph and name in without)
    )
