"""The model at its shapes, the hardware and the budget of a compile."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import onnx_ir as ir

from haqc.budget import Budget, Cost, Demand, Metric
from haqc.costmodel import build_table
from haqc.costmodel.codebooks import CodebookTable
from haqc.costmodel.pricelist import PriceList
from haqc.costmodel.table import CostTable
from haqc.errors import BudgetError, ModelError
from haqc.graph import FULL_BITS, Graph
from haqc.onnxfile import stored_bytes
from haqc.passes.search.feasibility import cheapest, require_feasible
from haqc.policy import Bits, Space
from haqc.request import Request
from haqc.target import Target
from haqc.weightonly import WEIGHT_ONLY, weight_only


@dataclass(frozen=True)
class Problem:
    """What a compile has to solve.

    Attributes:
        model: the cleaned model.
        graph: its layers at the shapes of the data; what has to have equal widths is a group.
        target: the chip.
        table: prices.
        space: the policies.
        baseline: cost at 8/8 everywhere, of layers that are kept in float as well.
        budget: the limits.
        whole: the layers where none is kept in float by the user's word; ``None`` where none is.
    """

    model: ir.Model
    graph: Graph
    target: Target
    table: PriceList
    space: Space
    baseline: Cost
    budget: Budget
    whole: Graph | None = None

    @classmethod
    def of(cls, request: Request, model: ir.Model, graph: Graph, target: Target, whole: Graph | None = None) -> Problem:
        """Makes the space of policies, its prices and the limits.

        Args:
            request: the budget, the pins, the widths and the mode.
            model: the cleaned model.
            graph: its layers at the shapes of the data.
            target: the chip.
            whole: its layers where none is kept in float by the user's word, if one is.

        Raises:
            HaqcError: no layer can be quantised, a pin, the mode or the budget is wrong, or no policy can meet it.
        """
        reduced = weight_only(graph) if request.weights == "kmeans" else graph
        if not reduced.quantised_layers:
            raise ModelError(
                f"'{graph.name}' holds no layer that can be quantised, so there is nothing to compile; "
                "'haqc inspect' says why, and 'haqc cost' prices it as it is"
            )
        is_linear = request.weights == "linear"
        space = Space.of(
            reduced,
            target.precision if is_linear else WEIGHT_ONLY,
            min_bits=request.min_bits,
            pins=request.pins if is_linear else _of_weights(request.pins),
            default_pins=request.default_pins,
            at_least=request.at_least,
            same_bits=request.same_bits,
        )
        linear = build_table(space.graph if is_linear else whole or graph, target, mode=request.mode)
        if is_linear and whole is not None:
            linear = replace(linear, whole=build_table(whole, target, mode=request.mode))
        table: PriceList = linear if is_linear else _sizes(linear, space.graph, model)
        full = table.baseline
        budget = Budget.resolve(request.demands, full, table.batch)
        require_feasible(space, budget, table.price, full)
        return cls(model, space.graph, target, table, space, full, budget, whole)

    def within(self, demand: Demand) -> Problem:
        """Gives the same problem with one more limit."""
        more = Budget.resolve((demand,), self.baseline, self.table.batch)
        return replace(self, budget=Budget((*self.budget.limits, *more.limits)))

    def range_of(self, metric: Metric) -> tuple[float, float]:
        """Gives the least and the most that budgets of one metric need allow, as shares of what 8/8 costs.

        The least is rounded up to a ten-thousandth, so that a policy holds it.

        Raises:
            BudgetError: the model has no such cost on this target.
        """
        whole = self.baseline.value(metric)
        if not 0 < whole < math.inf:
            raise BudgetError(f"'{self.graph.name}' has no {metric} on '{self.target.name}'; name another metric")
        least = self.table.price(cheapest(self.space, self.table.price, lambda cost: cost.value(metric)))
        return min(1.0, math.ceil(1e4 * least.value(metric) / whole) / 1e4), 1.0


def _of_weights(pins: Mapping[str, Bits]) -> dict[str, Bits]:
    """Gives pins that say nothing of activations, which stay in float."""
    return {pattern: Bits(bits.weight, FULL_BITS) for pattern, bits in pins.items()}


def _sizes(linear: CostTable, graph: Graph, model: ir.Model) -> CodebookTable:
    """Makes the sizes of a graph whose weights alone are quantised."""
    stored = {operand.tensor: model.graph.initializers[operand.tensor].const_value for operand in graph.operands}
    shapes = {tensor: tuple(value.shape.numpy()) for tensor, value in stored.items() if value is not None}
    replaced = {*shapes} - {
        str(value.name) for value in model.graph.outputs
    }  # an output stays float beside its indices
    return CodebookTable(graph, linear, shapes, stored_bytes(model, without=replaced))
