"""What the layers of one graph are made from."""

from __future__ import annotations

from dataclasses import dataclass

from haqc.passes.parse.flow import Flow
from haqc.passes.parse.weights import Weights


@dataclass(frozen=True)
class Setting:
    """Everything that a layer takes beside its node.

    Attributes:
        flow: properties of the graph's values.
        weights: its stored weights, and what reads them.
        batch: inferences that the graph's shapes hold.
    """

    flow: Flow
    weights: Weights
    batch: int
