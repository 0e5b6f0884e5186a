"""Asks Arm's Vela compiler what it expects layers to take: runs in Vela's own environment, without haqc.

Reads a JSON object from standard input: ``accelerator``, ``system`` and ``memory`` as Vela names them, and ``layers``,
a chain of ``{name, op, size, channels, kernel, stride}`` where ``size`` is [input, output] extents of square feature
maps and ``channels`` is [input, output]. Writes an int8 TFLite file of it with Vela's own schema classes (random
weights by a constant seed, which hardly compress), compiles it, and writes ``{name: {"cycles", "npu", "sram", "dram",
"flash"}}``, the columns of its per-layer report, in cycles, to the file that its one argument names: Vela prints.
"""

from __future__ import annotations

import csv
import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

FLOAT32_STEP = 0.05
BUILTIN = {"pool": 1, "conv": 3, "depthwise": 4, "dense": 9}
"""Codes of the TFLite schema: AVERAGE_POOL_2D, CONV_2D, DEPTHWISE_CONV_2D, FULLY_CONNECTED."""

OPTIONS = {
    "pool": ("Pool2DOptions", 5), "conv": ("Conv2DOptions", 1), "depthwise": ("DepthwiseConv2DOptions", 2),
    "dense": ("FullyConnectedOptions", 8),
}  # fmt: skip
INT8, INT32 = 9, 2
RELU6, SAME, VALID = 3, 0, 1


def schema(name: str) -> ModuleType:
    """Imports a class of the TFLite schema as Vela ships it."""
    return import_module(f"ethosu.vela.tflite.{name}")


class TFLite:
    """Writes a chain of layers as a TFLite file."""

    def __init__(self) -> None:
        self.builder = import_module("flatbuffers").Builder(1 << 20)
        self.buffers = [self.table("Buffer")]
        self.tensors: list[int] = []
        self.operators: list[int] = []
        self.generator = np.random.default_rng(0)

    def table(self, kind: str, **fields: Any) -> int:
        """Writes one table; fields are named as in the schema's setters."""
        module = schema(kind)
        getattr(module, f"{kind}Start")(self.builder)
        for name, value in fields.items():
            getattr(module, f"{kind}Add{name}")(self.builder, value)
        return int(getattr(module, f"{kind}End")(self.builder))

    def vector(self, values: Sequence[Any], size: int, prepend: Callable[[Any], None]) -> int:
        """Writes a vector of elements of a size in bytes."""
        self.builder.StartVector(size, len(values), size)
        for value in reversed(values):
            prepend(value)
        return int(self.builder.EndVector())

    def numbers(self, values: Sequence[int]) -> int:
        """Writes a vector of 32-bit integers."""
        return self.vector(list(values), 4, self.builder.PrependInt32)

    def tables(self, offsets: Sequence[int]) -> int:
        """Writes a vector of tables."""
        return self.vector(list(offsets), 4, self.builder.PrependUOffsetTRelative)

    def tensor(self, name: str, shape: Sequence[int], kind: int = INT8, *, is_constant: bool = False) -> int:
        """Writes a tensor; gives its place."""
        buffer = 0
        if is_constant:
            dtype = np.int8 if kind == INT8 else np.int32
            content = self.generator.integers(-127, 128, list(shape)).astype(dtype)
            data = self.builder.CreateNumpyVector(content.reshape(-1).view(np.uint8))
            self.buffers.append(self.table("Buffer", Data=data))
            buffer = len(self.buffers) - 1
        step = FLOAT32_STEP**2 if kind == INT32 else FLOAT32_STEP
        quantisation = self.table(
            "QuantizationParameters",
            Scale=self.vector([step], 4, self.builder.PrependFloat32),
            ZeroPoint=self.vector([0], 8, self.builder.PrependInt64),
        )
        fields = {"Shape": self.numbers(shape), "Type": kind, "Buffer": buffer}
        label = self.builder.CreateString(name)
        self.tensors.append(self.table("Tensor", **fields, Name=label, Quantization=quantisation))
        return len(self.tensors) - 1

    def layer(self, layer: dict[str, Any], source: int) -> int:
        """Writes a layer that reads the tensor ``source``; gives the place of its result."""
        op, (size_in, size_out), (wide_in, wide_out) = layer["op"], layer["size"], layer["channels"]
        kernel, stride, name = layer["kernel"], layer["stride"], layer["name"]
        shapes = {
            "conv": (wide_out, kernel, kernel, wide_in), "depthwise": (1, kernel, kernel, wide_out),
            "dense": (wide_out, wide_in),
        }  # fmt: skip
        inputs = [source]
        if op != "pool":
            inputs.append(self.tensor(f"{name}.w", shapes[op], is_constant=True))
            inputs.append(self.tensor(f"{name}.b", (wide_out,), INT32, is_constant=True))
        result = self.tensor(name, (1, wide_out) if op == "dense" else (1, size_out, size_out, wide_out))
        kind, code = OPTIONS[op]
        fields: dict[str, int] = {}
        if op != "dense":
            fields = {"Padding": VALID if op == "pool" else SAME, "StrideW": stride, "StrideH": stride}
        if op == "pool":
            fields |= {"FilterWidth": size_in, "FilterHeight": size_in}
        else:
            fields["FusedActivationFunction"] = RELU6
        if op == "depthwise":
            fields["DepthMultiplier"] = wide_out // wide_in
        options = self.table(kind, **fields)
        reads, writes = self.numbers(inputs), self.numbers([result])
        self.operators.append(
            self.table(
                "Operator", OpcodeIndex=list(BUILTIN).index(op), Inputs=reads, Outputs=writes,
                BuiltinOptionsType=code, BuiltinOptions=options,
            )
        )  # fmt: skip
        return result

    def finish(self, source: int, result: int) -> bytes:
        """Gives the file of everything that was written, from the input to the result."""
        codes = [
            self.table("OperatorCode", DeprecatedBuiltinCode=n, BuiltinCode=n, Version=1) for n in BUILTIN.values()
        ]
        graph = self.table(
            "SubGraph", Tensors=self.tables(self.tensors), Inputs=self.numbers([source]),
            Outputs=self.numbers([result]), Operators=self.tables(self.operators),
        )  # fmt: skip
        fields = {"OperatorCodes": self.tables(codes), "Subgraphs": self.tables([graph])}
        model = self.table("Model", Version=3, **fields, Buffers=self.tables(self.buffers))
        self.builder.Finish(model, file_identifier=b"TFL3")
        return bytes(self.builder.Output())


def network(layers: Sequence[dict[str, Any]]) -> bytes:
    """Writes a chain of layers as a TFLite file."""
    file = TFLite()
    first = layers[0]
    source = tensor = file.tensor("input", (1, first["size"][0], first["size"][0], first["channels"][0]))
    for layer in layers:
        tensor = file.layer(layer, tensor)
    return file.finish(source, tensor)


def main() -> None:
    """Answers the request on standard input."""
    request = json.load(sys.stdin)
    vela = import_module("ethosu.vela.vela")
    config = next(Path(str(vela.__file__)).parents[1].glob("config_files/Arm/vela.ini"))
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "chain.tflite"
        model.write_bytes(network(request["layers"]))
        arguments = [
            str(model), "--output-dir", folder, "--accelerator-config", request["accelerator"], "--config", str(config),
            "--system-config", request["system"], "--memory-mode", request["memory"], "--verbose-performance",
        ]  # fmt: skip
        vela.main(arguments)
        with next(Path(folder).glob("*per-layer.csv")).open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    columns = {"cycles": "Op Cycles", "npu": "NPU", "sram": "SRAM AC", "dram": "DRAM AC", "flash": "OffFlash AC"}
    cycles: dict[str, dict[str, float]] = {}
    for row in rows:  # one for the operator, one for its activation function
        total = cycles.setdefault(row["Name"], dict.fromkeys(columns, 0.0))
        for key, name in columns.items():
            total[key] += float(row[name])
    Path(sys.argv[1]).write_text(json.dumps(cycles), encoding="utf-8")


if __name__ == "__main__":
    main()
