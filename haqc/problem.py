"""The model, the hardware and the budget of a compile, before any data."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from haqc import targets
from haqc.budget import Budget, Cost
from haqc.costmodel import build_table
from haqc.costmodel.table import CostTable
from haqc.frontend import pose
from haqc.graph import Graph
from haqc.passes.search.feasibility import require_feasible
from haqc.policy import Space, baseline
from haqc.request import Request
from haqc.target import Target


@dataclass(frozen=True)
class Problem:
    """What a compile has to solve."""

    model: ir.Model
    graph: Graph
    target: Target
    table: CostTable
    space: Space
    baseline: Cost
    budget: Budget

    @classmethod
    def of(cls, request: Request) -> Problem:
        """Reads the model and the target, and makes the space, its prices and the limits.

        Raises:
            HaqcError: the model, the target, a pin or the budget is wrong, or no policy can meet the budget.
        """
        target = targets.load(request.target)
        model, graph = pose(request.model)
        table = build_table(graph, target, mode=request.mode)
        space = Space.of(
            graph,
            target.precision,
            min_bits=request.min_bits,
            pins=request.pins,
            default_pins=request.default_pins,
        )
        full = table.price(baseline(graph))
        budget = Budget.resolve(request.demands, full, table.batch)
        require_feasible(space, budget, table.price, full)
        return cls(model, graph, target, table, space, full, budget)
