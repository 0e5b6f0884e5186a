"""Checks the tensors of an ONNX file before anything about them is believed."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import onnx
import onnx_ir as ir

from haqc.errors import ModelError

MAX_RANK = 64
"""Dimensions that a numpy array can have."""

_TYPES = onnx.TensorProto
_FIELDS: dict[int, tuple[str, int]] = {
    **{_TYPES.FLOAT: ("float_data", 1), _TYPES.COMPLEX64: ("float_data", 2)},
    **{_TYPES.DOUBLE: ("double_data", 1), _TYPES.COMPLEX128: ("double_data", 2), _TYPES.INT64: ("int64_data", 1)},
    **dict.fromkeys((_TYPES.UINT32, _TYPES.UINT64), ("uint64_data", 1)),
    **dict.fromkeys((_TYPES.INT32, _TYPES.INT16, _TYPES.UINT16, _TYPES.INT8, _TYPES.UINT8), ("int32_data", 1)),
    **dict.fromkeys((_TYPES.BOOL, _TYPES.FLOAT16, _TYPES.BFLOAT16), ("int32_data", 1)),
}
"""Where a type's numbers lie that are not stored as bytes, and how many of them one element takes."""


def check_rank(name: str, rank: int, path: Path) -> None:
    """Checks that numpy has arrays of a rank.

    Raises:
        ModelError: it has not.
    """
    if rank > MAX_RANK:
        raise ModelError(f"tensor {name!r} of '{path}' has {rank} dimensions; allowed are {MAX_RANK}: export it again")


def check_tensor(tensor: onnx.TensorProto, path: Path) -> None:
    """Checks that a tensor's stored bytes are those its shape promises, and where they lie.

    Raises:
        ModelError: they are not, or they lie outside the model's folder.
    """
    where = f"tensor {tensor.name!r} of '{path}'"
    check_rank(tensor.name, len(tensor.dims), path)
    if any(extent < 0 for extent in tensor.dims):
        raise ModelError(f"{where} has a negative dimension; export the model again")
    if tensor.data_type == onnx.TensorProto.STRING and not is_external(tensor):
        return  # strings have no size of their own
    try:
        promised = -(-ir.DataType(tensor.data_type).bitwidth * math.prod(tensor.dims) // 8)
    except (TypeError, ValueError) as error:
        raise ModelError(
            f"{where} has data type {tensor.data_type}, which has no known size; export the model again"
        ) from error
    if is_external(tensor):
        _check_external(tensor, promised, path)
    elif tensor.HasField("raw_data") and len(tensor.raw_data) != promised:
        raise ModelError(
            f"{where} holds {len(tensor.raw_data)} bytes where its shape needs {promised}; export it again"
        )
    elif not tensor.HasField("raw_data") and tensor.data_type in _FIELDS:
        field, each = _FIELDS[tensor.data_type]
        held, needed = len(getattr(tensor, field)), each * math.prod(tensor.dims)
        if held > needed:  # of too few, the checker knows
            raise ModelError(f"{where} holds {held} numbers where its shape needs {needed}; export it again")


def _check_external(tensor: onnx.TensorProto, promised: int, path: Path) -> None:
    folder, location = path.resolve().parent, data_file(tensor)
    where = f"the external data of tensor {tensor.name!r}"
    try:
        file = Path(os.path.realpath(folder / location))
        is_file = (folder / location).is_file()  # 'a/../b' is b for realpath even where there is no folder a
    except (OSError, TypeError, ValueError) as error:  # a name that is no text comes as bytes
        raise ModelError(f"{where} lies in a file whose name is not allowed; export the model again") from error
    if not location or Path(location).is_absolute() or not file.is_relative_to(folder):
        raise ModelError(
            f"{where} points outside the folder of '{path.name}' (to {location!r}); keep them in one folder"
        )
    if not is_file:
        raise ModelError(f"{where} is missing: {location!r} is not beside '{path.name}'; copy it there")
    entries = {entry.key: entry.value for entry in tensor.external_data}
    try:
        offset, length = int(entries.get("offset", 0)), int(entries.get("length", promised))
    except ValueError as error:
        raise ModelError(f"{where} has an offset or length that is no number; export the model again") from error
    if offset < 0 or length != promised or offset + length > file.stat().st_size:
        raise ModelError(
            f"{where} needs {promised} bytes at {offset} of {location!r}, which are not there; export it again"
        )


def refuse_sparse(proto: onnx.ModelProto, path: Path) -> None:
    """Refuses tensors that are stored by their places.

    Raises:
        ModelError: naming the first of them.
    """
    for graph, nodes in _graphs(proto):
        names = [sparse.values.name for sparse in graph.sparse_initializer] if graph is not None else []
        names += [
            node.name or next(iter(node.output), "")
            for node in nodes
            for attribute in node.attribute
            if attribute.HasField("sparse_tensor") or attribute.sparse_tensors
        ]
        if names:
            raise ModelError(f"'{names[0]}' of '{path}' is stored as a sparse tensor; export it as a dense one")


def tensors(proto: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Gives every tensor of a model: initialisers and attributes, also of subgraphs and functions."""
    for graph, nodes in _graphs(proto):
        if graph is not None:
            yield from graph.initializer
            for sparse in graph.sparse_initializer:
                yield from (sparse.values, sparse.indices)
        for attribute in (attribute for node in nodes for attribute in node.attribute):
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
            if attribute.HasField("sparse_tensor"):
                yield from (attribute.sparse_tensor.values, attribute.sparse_tensor.indices)
            for sparse in attribute.sparse_tensors:
                yield from (sparse.values, sparse.indices)


def _graphs(proto: onnx.ModelProto) -> Iterator[tuple[onnx.GraphProto | None, Iterable[onnx.NodeProto]]]:
    """Gives every graph of a model with its nodes, also those in attributes; functions have nodes and no graph."""
    pending: list[onnx.GraphProto] = [proto.graph]
    for function in proto.functions:
        yield None, function.node
        pending.extend(_inner(function.node))
    while pending:
        graph = pending.pop()
        yield graph, graph.node
        pending.extend(_inner(graph.node))


def _inner(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.GraphProto]:
    for attribute in (attribute for node in nodes for attribute in node.attribute):
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def is_external(tensor: onnx.TensorProto) -> bool:
    """Whether a tensor's values lie in a file of their own."""
    return tensor.data_location == onnx.TensorProto.EXTERNAL


def data_file(tensor: onnx.TensorProto) -> str:
    """Gives the file that an external tensor names, as it stands there; empty if it names none."""
    return next((entry.value for entry in tensor.external_data if entry.key == "location"), "")
