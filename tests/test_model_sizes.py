"""The sizes of HAQ's table 6: all nine baselines and the three float networks, to two decimals, with random weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest

from benchmarks.model_sizes import FLOAT_MIB, MIB, NETWORKS, PUBLISHED_MIB, WIDTHS, Parameters, packed_sizes
from haqc import targets
from haqc.budget import Demand
from haqc.packing import packed_bytes
from haqc.passes.bind import bind
from haqc.passes.clean import clean
from haqc.passes.parse import parse
from haqc.policy import Bits
from haqc.problem import Problem
from haqc.request import Request


@pytest.mark.parametrize("name", ["mobilenet-v1", "mobilenet-v2", pytest.param("resnet50", marks=pytest.mark.slow)])
def test_the_published_sizes_to_two_decimals(name: str) -> None:
    parameters = Parameters.of(NETWORKS[name]())
    assert round(parameters.float_bytes / MIB, 2) == FLOAT_MIB[name]
    for bits, published in zip(WIDTHS, PUBLISHED_MIB[name], strict=True):
        packed = {tensor: packed_bytes(weight.size, bits) for tensor, weight in parameters.weights.items()}
        assert round(parameters.paper_bytes(packed) / MIB, 2) == published


def test_what_is_packed_is_what_is_counted() -> None:
    weights = {name: np.random.default_rng(0).standard_normal((9, count)).astype(np.float32)
               for name, count in {"a": 1, "b": 100, "c": 1001}.items()}  # fmt: skip
    for name, sizes in packed_sizes(weights):
        assert sizes == {bits: packed_bytes(weights[name].size, bits) for bits in WIDTHS}


@pytest.mark.slow
def test_a_whole_network_clustered_and_packed() -> None:
    parameters = Parameters.of(NETWORKS["mobilenet-v2"]())
    packed = dict(packed_sizes(parameters.weights))
    for bits, published in zip(WIDTHS, PUBLISHED_MIB["mobilenet-v2"], strict=True):
        found = parameters.paper_bytes({tensor: sizes[bits] for tensor, sizes in packed.items()})
        assert round(found / MIB, 2) == published


@pytest.mark.slow
def test_what_the_benchmark_says_haqc_counts_is_what_the_compiler_counts() -> None:
    proto = NETWORKS["mobilenet-v2"]()
    model = clean(ir.from_proto(proto))
    request = Request(
        *(Path("m.onnx"), "edge", (Demand.parse("size=1"),), Path("out")),
        weights="kmeans",
        pins={"*": Bits(4, 8), "conv1": Bits(8, 8)},
        default_pins=False,
    )
    problem = Problem.of(request, model, parse(bind(model), "mobilenet-v2"), targets.load("edge"))
    counted = problem.table.price(problem.space.widest).weight_bytes
    figured = Parameters.of(proto).haqc_bytes(4)
    assert 0 <= counted - figured <= 64  # bounds of ReLU6, axes and the like
