"""The command ``python -m models.decoder OUT.onnx``: writes the structure of a decoder of seven billion parameters.

Its weights lie in one external file of their true size, which holds nothing: on file systems that know sparse files it
takes no room, and every weight reads as zero. It is there to be priced and inspected, not to be run.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

OPSET = 21
IR_VERSION = 10
PAGE_BYTES = 4096
"""Weights begin at multiples of this, so that each can be mapped by itself."""

ELEMENTS = {"float32": TensorProto.FLOAT, "float16": TensorProto.FLOAT16}


@dataclass(frozen=True, slots=True)
class Shape:
    """Extents of a decoder: by default of Mistral 7B, 7,241,732,096 parameters (Jiang et al. 2023, arXiv 2310.06825).

    Attributes:
        depth: number of blocks.
        width: features of a token.
        hidden: features between a block's dense layers.
        heads, key_heads: of queries, and of keys and values.
        vocabulary: number of tokens.
        element: type of all weights and features, ``float32`` or ``float16``.
    """

    depth: int = 32
    width: int = 4096
    hidden: int = 14336
    heads: int = 32
    key_heads: int = 8
    vocabulary: int = 32000
    element: str = "float32"


def write_decoder(path: Path, shape: Shape | None = None) -> None:
    """Writes ``path`` and, beside it, ``NAME.data`` with the weights.

    Input ``input_ids`` int64 [batch, length], output ``logits`` [batch, length, vocabulary]; blocks as in Llama
    (Touvron et al. 2023, arXiv 2302.13971) with grouped queries, in operators that every runtime has.

    Args:
        path: file to write.
        shape: the decoder's extents; ``None`` is seven billion parameters.
    """
    data = path.with_name(f"{path.name}.data")
    decoder = _Decoder(shape or Shape(), data.name)
    model = decoder.build()
    with data.open("wb") as stream:
        os.truncate(stream.fileno(), decoder.size_bytes)
    path.write_bytes(model.SerializeToString(deterministic=True))


class _Decoder:
    """The decoder under construction; every method appends nodes and gives the name of what they write."""

    def __init__(self, shape: Shape, location: str) -> None:
        self.shape, self.location = shape, location
        self.element = ELEMENTS[shape.element]
        self.size_bytes = 0
        self.nodes: list[NodeProto] = []
        self.tensors: dict[str, TensorProto] = {}

    def build(self) -> ModelProto:
        shape = self.shape
        words = self.weight("embed_tokens.weight", shape.vocabulary, shape.width)
        x = self.node("Gather", "embed_tokens", words, "input_ids")
        angles, mask = self.positions()
        for index in range(shape.depth):
            x = self.block(f"layers.{index}", x, angles, mask)
        x = self.norm("norm", x)
        self.nodes.append(helper.make_node("MatMul", [x, self.dense("lm_head", shape.width, shape.vocabulary)],
                                           ["logits"], name="lm_head"))  # fmt: skip
        inputs = [helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "length"])]
        outputs = [helper.make_tensor_value_info("logits", self.element, ["batch", "length", shape.vocabulary])]
        graph = helper.make_graph(self.nodes, "decoder", inputs, outputs, list(self.tensors.values()))
        opsets = [helper.make_opsetid("", OPSET)]
        return helper.make_model(graph, producer_name="haqc", ir_version=IR_VERSION, opset_imports=opsets)

    def positions(self) -> tuple[tuple[str, str], str]:
        """Gives cosines and sines of all positions [length, size], and the causal mask [length, length]."""
        length = self.node("Gather", "length", self.node("Shape", "shape", "input_ids"), self.integers("one", 1))
        count = self.node("Squeeze", "count", length, self.integers("zero", 0))
        zero, one = self.constant("from", np.int64(0)), self.constant("step", np.int64(1))
        position = self.node("Cast", "position", self.node("Range", "range", zero, count, one), to=self.element)
        column = self.node("Unsqueeze", "column", position, self.integers("last", -1))
        size = self.shape.width // self.shape.heads
        frequency = self.stored("frequency", 10000.0 ** (-np.arange(0, size, 2) / size))
        half = self.node("Mul", "angle", column, frequency)
        angle = self.node("Concat", "angles", half, half, axis=-1)
        row = self.node("Unsqueeze", "row", position, self.integers("zero", 0))
        hidden = self.node("Less", "hidden", column, row)
        lowest = float(np.finfo(self.shape.element).min)
        mask = self.node("Where", "mask", hidden, self.stored("lowest", lowest), self.stored("nothing", 0.0))
        return (self.node("Cos", "cos", angle), self.node("Sin", "sin", angle)), mask

    def block(self, name: str, x: str, angles: tuple[str, str], mask: str) -> str:
        """Appends attention and the gated dense layers, each behind a normalisation and added to its input."""
        shape = self.shape
        y = self.attention(f"{name}.self_attn", self.norm(f"{name}.input_layernorm", x), angles, mask)
        x = self.node("Add", f"{name}.add", x, y)
        y = self.norm(f"{name}.post_attention_layernorm", x)
        gate = self.project(f"{name}.mlp.gate_proj", y, shape.width, shape.hidden)
        gate = self.node("Mul", f"{name}.mlp.silu", gate, self.node("Sigmoid", f"{name}.mlp.sigmoid", gate))
        y = self.node("Mul", f"{name}.mlp.mul", gate, self.project(f"{name}.mlp.up_proj", y, shape.width, shape.hidden))
        return self.node("Add", f"{name}.add2", x, self.project(f"{name}.mlp.down_proj", y, shape.hidden, shape.width))

    def attention(self, name: str, x: str, angles: tuple[str, str], mask: str) -> str:
        """Appends causal attention with rotary positions and grouped queries."""
        shape = self.shape
        size = shape.width // shape.heads
        query = self.heads(f"{name}.q_proj", x, shape.heads)
        key, value = self.heads(f"{name}.k_proj", x, shape.key_heads), self.heads(f"{name}.v_proj", x, shape.key_heads)
        query = self.rotate(f"{name}.q_rope", query, angles)
        key = self.repeat(f"{name}.k", self.rotate(f"{name}.k_rope", key, angles))
        key = self.node("Transpose", f"{name}.k_turned", key, perm=[0, 1, 3, 2])
        scores = self.node("MatMul", f"{name}.scores", query, key)
        scores = self.node("Mul", f"{name}.scaled", scores, self.stored("scale", 1 / math.sqrt(size)))
        scores = self.node("Softmax", f"{name}.softmax", self.node("Add", f"{name}.masked", scores, mask), axis=-1)
        mixed = self.node("MatMul", f"{name}.mixed", scores, self.repeat(f"{name}.v", value))
        mixed = self.node("Transpose", f"{name}.turned", mixed, perm=[0, 2, 1, 3])
        mixed = self.node("Reshape", f"{name}.joined", mixed, self.integers("joined", 0, 0, shape.width))
        return self.project(f"{name}.o_proj", mixed, shape.width, shape.width)

    def heads(self, name: str, x: str, heads: int) -> str:
        """Appends a dense layer whose result is split into heads: [batch, heads, length, size]."""
        size = self.shape.width // self.shape.heads
        x = self.project(name, x, self.shape.width, heads * size)
        x = self.node("Reshape", f"{name}.split", x, self.integers(f"split{heads}", 0, 0, heads, size))
        return self.node("Transpose", f"{name}.turned", x, perm=[0, 2, 1, 3])

    def rotate(self, name: str, x: str, angles: tuple[str, str]) -> str:
        """Appends the turning of pairs of features by their position's angle (Su et al. 2021, arXiv 2104.09864)."""
        size = self.shape.width // self.shape.heads
        zero, middle, end = self.integers("zero", 0), self.integers("middle", size // 2), self.integers("end", size)
        axis = self.integers("axis3", 3)
        low = self.node("Slice", f"{name}.low", x, zero, middle, axis)
        high = self.node("Neg", f"{name}.neg", self.node("Slice", f"{name}.high", x, middle, end, axis))
        turned = self.node("Concat", f"{name}.concat", high, low, axis=-1)
        cosine = self.node("Mul", f"{name}.cos", x, angles[0])
        return self.node("Add", f"{name}.add", cosine, self.node("Mul", f"{name}.sin", turned, angles[1]))

    def repeat(self, name: str, x: str) -> str:
        """Appends the repetition of every key head for its group of query heads."""
        shape = self.shape
        if shape.heads == shape.key_heads:
            return x
        size, times = shape.width // shape.heads, shape.heads // shape.key_heads
        x = self.node("Unsqueeze", f"{name}.unsqueeze", x, self.integers("axis2", 2))
        x = self.node("Expand", f"{name}.expand", x, self.integers("times", 1, 1, times, 1, 1))
        return self.node("Reshape", f"{name}.repeated", x, self.integers("repeated", 0, shape.heads, -1, size))

    def norm(self, name: str, x: str) -> str:
        """Appends a division by the root of the mean square (Zhang and Sennrich 2019, arXiv 1910.07467)."""
        square = self.node("Mul", f"{name}.square", x, x)
        mean = self.node("ReduceMean", f"{name}.mean", square, self.integers("last", -1))
        root = self.node("Sqrt", f"{name}.root", self.node("Add", f"{name}.add", mean, self.stored("epsilon", 1e-5)))
        scaled = self.node("Div", f"{name}.div", x, root)
        return self.node("Mul", f"{name}.mul", scaled, self.weight(f"{name}.weight", self.shape.width))

    def project(self, name: str, x: str, inputs: int, outputs: int) -> str:
        """Appends a dense layer without bias."""
        return self.node("MatMul", name, x, self.dense(name, inputs, outputs))

    def dense(self, name: str, inputs: int, outputs: int) -> str:
        """Stores the weight of a dense layer."""
        return self.weight(f"{name}.weight", inputs, outputs)

    def node(self, op: str, name: str, *inputs: str, **attributes: int | list[int]) -> str:
        """Appends a node of one output."""
        self.nodes.append(helper.make_node(op, inputs, [f"{name}.out"], name=name, **attributes))
        return f"{name}.out"

    def weight(self, name: str, *shape: int) -> str:
        """Stores a tensor that lies in the external file."""
        length = math.prod(shape) * np.dtype(self.shape.element).itemsize
        tensor = TensorProto(
            name=name, dims=shape, data_type=self.element, data_location=TensorProto.EXTERNAL
        )  # fmt: skip
        for key, value in (("location", self.location), ("offset", self.size_bytes), ("length", length)):
            tensor.external_data.add(key=key, value=str(value))
        self.tensors[name] = tensor
        self.size_bytes += -(-length // PAGE_BYTES) * PAGE_BYTES
        return name

    def integers(self, name: str, *values: int) -> str:
        """Stores a vector of int64 under a name that always means these values."""
        return self.constant(name, np.asarray(values, np.int64))

    def stored(self, name: str, value: float | np.ndarray) -> str:
        """Stores small values of the decoder's type."""
        return self.constant(name, np.asarray(value, self.shape.element))

    def constant(self, name: str, value: np.ndarray | np.generic) -> str:
        """Stores an array in the file itself."""
        full = f"const.{name}"
        self.tensors[full] = numpy_helper.from_array(np.asarray(value), full)
        return full


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and gives its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m models.decoder",
        description="Writes a decoder of seven billion parameters as an ONNX model whose weights are a sparse file.",
    )
    parser.add_argument("out", metavar="OUT.onnx", type=Path, help="file to write; OUT.onnx.data is written beside it")
    parser.add_argument("--element", choices=ELEMENTS, default="float32", help="type of the weights")
    parser.add_argument("--depth", type=int, default=Shape().depth, help="number of blocks")
    given = parser.parse_args(arguments)
    write_decoder(given.out, Shape(depth=given.depth, element=given.element))
    return 0


if __name__ == "__main__":
    sys.exit(main())
