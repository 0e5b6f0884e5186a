"""What a compile asks of prices, whatever is priced."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from haqc.budget import Cost
from haqc.policy import Policy, Space
from haqc.terms import Terms

if TYPE_CHECKING:
    from haqc.costmodel.table import LayerCost


class PriceList(Protocol):
    """Prices of policies and of their layers, for one batch; a figure that is not priced is not a number."""

    @property
    def batch(self) -> int:
        """Inferences of one batch."""

    @property
    def mode(self) -> str:
        """Mode of the cost model."""

    @property
    def baseline(self) -> Cost:
        """What budget fractions refer to: the model at 8/8."""

    @property
    def baseline_layers(self) -> tuple[LayerCost, ...]:
        """The layers at 8/8, in graph order."""

    def price(self, policy: Policy) -> Cost:
        """Prices a policy."""

    def terms(self, space: Space) -> Terms:
        """Gives the cost of every policy of a space as a sum."""

    def layer_costs(self, policy: Policy) -> tuple[LayerCost, ...]:
        """Prices each layer of a policy, in graph order."""
