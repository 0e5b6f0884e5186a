"""The model at its shapes, the hardware and the budget of a compile."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from haqc.budget import Budget, Cost
from haqc.costmodel import build_table
from haqc.costmodel.table import CostTable
from haqc.errors import ModelError
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
    def of(cls, request: Request, model: ir.Model, graph: Graph, target: Target) -> Problem:
        """Makes the space of policies, its prices and the limits.

        Args:
            request: the budget, the pins, the widths and the mode.
            model: the cleaned model.
            graph: its layers at the shapes of the data.
            target: the chip.

        Raises:
            HaqcError: no layer can be quantised, a pin, the mode or the budget is wrong, or no policy can meet it.
        """
        if not graph.quantised_layers:
            raise ModelError(
                f"'{graph.name}' holds no layer that can be quantised, so there is nothing to compile; "
                "'haqc inspect' says why, and 'haqc cost' prices it as it is"
            )
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
