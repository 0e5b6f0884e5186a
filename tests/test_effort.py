"""Counts follow from a model's size alone: those of today for small models, bounded work for large ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from haqc.effort import Effort
from haqc.frontend import pose
from haqc.graph import Graph

SMALL = Effort(512, 64, 128, 2000, 1000, 300_000, 9600, 64, 64, 64, (1024, 256, 512))


@pytest.fixture(scope="module")
def digits(root: Path) -> Graph:
    return pose(root / "models" / "digits.onnx")[1]


def enlarged(graph: Graph, factor: int) -> Graph:
    """Gives the graph with ``factor`` times the work of each layer, and as many values of each tensor."""
    layers = tuple(replace(layer, rows=layer.rows * factor) for layer in graph.layers)
    values = {name: count * factor for name, count in graph.tensor_values.items()}
    return replace(graph, layers=layers, tensor_values=values)


@pytest.mark.parametrize("name", ["resnet8-cifar10/resnet8.onnx", "fashion-mobilenet/fashion_mobilenet.onnx"])
def test_small_networks_get_the_full_counts(shared: Path, name: str) -> None:
    graph = pose(shared / name)[1]
    run = 2**20 // max(graph.tensor_values.values())
    assert Effort.of(graph, 7 * 2 * len(graph.layers)) == replace(SMALL, run=run)


@pytest.mark.parametrize("factor", [1, 10, 100, 1000, 10_000])
def test_work_stays_within_the_allowances(digits: Graph, factor: int) -> None:
    graph, settings = enlarged(digits, factor), 200
    effort = Effort.of(graph, settings)
    work = graph.macs + 16 * sum(graph.tensor_values.values())
    for count, least, each, allowance in (
        (effort.calibration, 16, work, 64e9),
        (effort.clip, 4, settings * work, 4e12),
        (effort.sensitivity, 1, settings * work, 4e12),
        (effort.search, 16, work, 256e9),
        (effort.short, 0, 3 * work, 128e9),
        (effort.long, 0, 3 * work, 14e12),
        (effort.reconstruct, 0, 3 * work, 10e12),
        (effort.probes, 12, work, 8e9),
        (effort.run, 1, max(graph.tensor_values.values()), 2**20),
        (effort.step, 4, sum(graph.tensor_values.values()), 2**26),
    ):
        assert count == least or (count > least and count * each <= allowance)
    assert all(count >= least for count, least in zip(effort.made_up, (64, 16, 64), strict=True))


def test_counts_never_rise_with_the_size(digits: Graph) -> None:
    rows = [Effort.of(enlarged(digits, factor), 200) for factor in (1, 10, 100, 1000, 10_000, 100_000)]
    for name in (
        "calibration",
        "sensitivity",
        "search",
        "short",
        "long",
        "reconstruct",
        "run",
        "step",
        "probes",
        "made_up",
    ):
        column = [getattr(row, name) for row in rows]
        assert column == sorted(column, reverse=True), name
        assert column[0] > column[-1]
    assert (rows[-1].short, rows[-1].long) == (0, 0)
