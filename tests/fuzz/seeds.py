"""The real files that mutations begin with."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import onnx
from onnx.backend.test.loader import load_model_tests

from haqc.onnxfile import OPSETS
from tests.small_model import draw, small_model

ROOT = Path(__file__).resolve().parents[2]
MORE = "HAQC_FUZZ_MODELS"
"""Environment variable with a folder of more models; their external data are taken as zeros."""

_SHARED = ROOT.parent / "shared" / "data"
_MOST_BYTES = 700_000
_OLDEST = 9  # ONNX's exported cases say 6, which haqc refuses unread

_TINY = "(float[N, 1, 8, 8] x) => (float[N, 4] y) { c = Conv(x, K) r = Relu(c) f = Flatten(r) y = Gemm(f, W, b) }"
_ATTENTION = """(float[N, T, 8] x, bool[N, T] m) => (float[N, T, 8] y) {
    q = MatMul(x, Q) k = MatMul(x, K) v = MatMul(x, V) t = Transpose<perm=[0, 2, 1]>(k) s = MatMul(q, t)
    u = Unsqueeze(m, one) w = Where(u, s, low) p = Softmax<axis=-1>(w) a = MatMul(p, v) r = Add(a, x)
    y = LayerNormalization(r, g) }"""
_TAGGER = """(int64[T, batch] i) => (float[T, batch, 3] y) {
    e = Gather(E, i) h, last, cell = LSTM<hidden_size=4>(e, W, R) s = Squeeze(h, one) y = MatMul(s, D) }"""
_DYNAMIC = """(float[N, C, S] x) => (float[N, M] y) {
    s = Shape(x) b = Gather(s, zero) u = Unsqueeze(b, axis) c = Concat<axis=0>(u, rest) f = Reshape(x, c)
    y = MatMul(f, W) }"""
_BLOCKS = """(float[N, 4, 6, 6] x) => (float[N, 4] y, float[N, 8, 6, 6] z) {
    a = Conv<pads=[1, 1, 1, 1]>(x, A) b = BatchNormalization(a, s, s, s, s) c = Relu(b)
    d = Conv<group=4, pads=[1, 1, 1, 1]>(c, D) e = Add(d, c) z = Concat<axis=1>(e, c)
    p = GlobalAveragePool(e) f = Flatten(p) m = MatMul(f, W) n = Add(m, o) y = Softmax(n) }"""


@dataclass(frozen=True, slots=True)
class Seed:
    """A model to mutate.

    Attributes:
        name: what it is.
        data: its file.
        files: bytes of its external data, all zeros, by name.
        shapes: options that bind what it leaves open.
    """

    name: str
    data: bytes
    files: tuple[tuple[str, int], ...] = ()
    shapes: tuple[str, ...] = ()


@cache
def tiny() -> bytes:
    """Gives a convolutional network that compiles in a second."""
    return _built(_TINY, {"K": draw(3, 1, 3, 3), "W": draw(108, 4), "b": draw(4)})


@cache
def networks() -> tuple[Seed, ...]:
    """Gives whole networks: small ones of every kind, examples, and real ones where they are at hand."""
    return (*small(), *_real())


@cache
def operators() -> tuple[Seed, ...]:
    """Gives ONNX's own cases, most of a single operator."""
    return tuple(_cases())


@cache
def small() -> tuple[Seed, ...]:
    """Gives networks of a few nodes."""
    attention = {name: draw(8, 8, seed=i) for i, name in enumerate("QKV")}
    attention |= {"one": [1], "low": -1e9, "g": draw(8)}
    tagger = {"E": draw(9, 5), "W": draw(1, 16, 5), "R": draw(1, 16, 4), "one": [1], "D": draw(4, 3)}
    dynamic = {"zero": np.array(0), "rest": [-1, 6], "axis": [0], "W": draw(6, 4)}
    blocks = {"A": draw(4, 4, 3, 3), "s": np.full(4, 0.5, np.float32), "D": draw(4, 1, 3, 3), "W": draw(4, 4)}
    return (
        Seed("tiny", tiny()),
        Seed("blocks", _built(_BLOCKS, blocks | {"o": draw(4)})),
        Seed("attention", _built(_ATTENTION, attention), shapes=("--shape", "x=1,8,8")),
        Seed("tagger", _built(_TAGGER, tagger), shapes=("--shape", "i=7,1")),
        Seed("dynamic", _built(_DYNAMIC, dynamic), shapes=("--shape", "x=1,4,6")),
    )


def _built(text: str, constants: dict[str, object]) -> bytes:
    return bytes(small_model(text, constants, ir_version=10).SerializeToString())


def _real() -> Iterator[Seed]:
    folders = [ROOT / "models", _SHARED, *([Path(os.environ[MORE])] if MORE in os.environ else [])]
    for path in sorted(path for folder in folders for path in folder.rglob("*.onnx")):
        if path.stat().st_size <= _MOST_BYTES:
            data = path.with_name(path.name + ".data")
            files = ((data.name, data.stat().st_size),) if data.exists() else ()
            yield Seed(path.stem, path.read_bytes(), files)


def _cases() -> Iterator[Seed]:
    for kind in ("simple", "pytorch-operator", "pytorch-converted"):
        for case in load_model_tests(kind=kind):
            path = Path(case.model_dir, "model.onnx")
            if path.stat().st_size <= _MOST_BYTES:
                yield Seed(case.name, _accepted(onnx.load(path)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the cases compute their own expected values, carelessly
        from onnx.backend.test.case.node import collect_testcases

        for case in collect_testcases(None):
            if case.model is not None and case.kind == "node":
                yield Seed(case.name, _accepted(case.model))


def _accepted(model: onnx.ModelProto) -> bytes:
    """Gives a model with an opset that haqc takes; the others it would refuse unread."""
    for entry in model.opset_import:
        if entry.domain == "":
            entry.version = min(max(entry.version, _OLDEST), OPSETS[1])
    model.ir_version = max(model.ir_version, 4)
    return bytes(model.SerializeToString())
