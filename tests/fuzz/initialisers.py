"""Mutations of the tensors that a model stores."""

from __future__ import annotations

import random

import numpy as np
import onnx
from onnx import ModelProto, TensorProto, helper

from tests.fuzz.evil import FLOATS, NAMES, NUMBERS


def stored(tensor: TensorProto) -> np.ndarray:
    """Gives the values of a tensor; no mutation opens the file that another has named.

    Raises:
        LookupError: they lie in a file.
    """
    if tensor.data_location == TensorProto.EXTERNAL:
        raise LookupError(f"'{tensor.name}' lies in a file")
    return onnx.numpy_helper.to_array(tensor)


def change_dims(rng: random.Random, model: ModelProto) -> None:
    tensor = rng.choice(list(model.graph.initializer))
    action = rng.choice(("set", "append", "drop", "many"))
    if action == "set":
        tensor.dims[rng.randrange(len(tensor.dims))] = rng.choice(NUMBERS)
    elif action == "append":
        tensor.dims.append(rng.choice((0, 1, *NUMBERS)))
    elif action == "many":
        tensor.dims.extend([1] * rng.choice((8, 62, 70, 5000)))
    else:
        del tensor.dims[rng.randrange(len(tensor.dims))]


def change_type(rng: random.Random, model: ModelProto) -> None:
    tensor = rng.choice(list(model.graph.initializer))
    tensor.data_type = rng.choice((*TensorProto.DataType.values(), 99, -1))


def recast(rng: random.Random, model: ModelProto) -> None:
    """Gives an initialiser another type together with as many bytes as that needs."""
    tensor = rng.choice(list(model.graph.initializer))
    raw = stored(tensor)
    if raw.size < 100_000:
        kind = rng.choice(("float16", "float64", "int8", "int32", "int64", "uint8", "bool"))
        tensor.CopyFrom(onnx.numpy_helper.from_array(raw.astype(kind), tensor.name))


def change_values(rng: random.Random, model: ModelProto) -> None:
    tensor = rng.choice(list(model.graph.initializer))
    if len(tensor.dims) > 8 or len(tensor.raw_data) > 1 << 20:
        return
    values = stored(tensor).copy()
    flat = values.reshape(-1)
    value = rng.choice(FLOATS) if values.dtype.kind == "f" else rng.choice(NUMBERS)
    flat[rng.randrange(flat.size) : None if rng.random() < 0.3 else flat.size] = value
    tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))


def change_data(rng: random.Random, model: ModelProto) -> None:
    tensor = rng.choice(list(model.graph.initializer))
    raw = tensor.raw_data
    tensor.raw_data = rng.choice((raw[:-1], raw + b"\0", b"", raw * 2))


def go_external(rng: random.Random, model: ModelProto) -> None:
    """Moves a tensor's data to a file: a good one, or one that must not be read."""
    tensor = rng.choice([t for t in model.graph.initializer if t.raw_data])
    size = len(tensor.raw_data)
    places = (*NAMES, "weights.bin", "weights.bin", "weights.bin", "weights.bin", "./weights.bin", "in/../weights.bin")
    entries = {
        "location": rng.choice(places),
        "offset": rng.choice(("0", "0", "0", "1", "-1", "x", str(2**62), "9" * 30)),
        "length": rng.choice((str(size), str(size), str(size), "0", "-1", "x", str(2**62))),
    }
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key in rng.sample(sorted(entries), rng.choice((1, 2, 3, 3))):
        tensor.external_data.add(key=key, value=entries[key])


def sparse(rng: random.Random, model: ModelProto) -> None:
    tensor = rng.choice(list(model.graph.initializer))
    values = helper.make_tensor(tensor.name, TensorProto.FLOAT, [2], [1.0, 2.0])
    places = helper.make_tensor("places", TensorProto.INT64, [2], [0, rng.choice(NUMBERS)])
    dims = rng.choice((list(tensor.dims), [rng.choice(NUMBERS)]))
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, places, dims))
    if rng.random() < 0.7:
        model.graph.initializer.remove(tensor)
