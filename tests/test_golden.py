"""The totals of every network on every target are what they were; ``python -m tests.golden`` rewrites them."""

from __future__ import annotations

import json
from functools import cache

import pytest

from haqc import targets
from haqc.graph import Graph
from tests.golden.networks import networks
from tests.golden.totals import FOLDER, golden_file, totals, written

pytestmark = pytest.mark.slow


@cache
def graphs() -> tuple[Graph, ...]:
    return networks()


def test_every_target_has_its_file() -> None:
    assert sorted(path.stem for path in FOLDER.glob("*.json")) == list(targets.names())


def test_the_networks_are_the_published_ones() -> None:
    assert {graph.name: (len(graph.layers), graph.macs) for graph in graphs()} == {
        "mobilenet-v2": (53, 300_774_272),
        "resnet18": (21, 1_814_073_344),
        "resnet8": (10, 12_501_632),
        "digits": (15, 541_760),
    }


@pytest.mark.parametrize("name", targets.names())
def test_totals_are_the_golden_ones(name: str) -> None:
    golden = json.loads(golden_file(name).read_text())
    current = json.loads(written(totals(name, graphs())))
    assert list(current) == list(golden), "run python -m tests.golden and review what changed"
    for place, figures in golden.items():
        # Ten digits are kept; sums in another order may move the last of them.
        assert current[place] == pytest.approx(figures, rel=1e-9), place
