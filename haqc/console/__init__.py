"""What the command line prints: results on standard output, plain text in a pipe."""

from __future__ import annotations

from haqc.console.comparison import comparison
from haqc.console.costs import cost_comparison, cost_table
from haqc.console.front import front_table
from haqc.console.output import WIDTH, columns, show
from haqc.console.story import summary
from haqc.console.table import layer_table, plain_table, shortened
from haqc.console.verified import verification
from haqc.passes.report.wording import quantity

__all__ = [
    "WIDTH",
    "columns",
    "comparison",
    "cost_comparison",
    "cost_table",
    "front_table",
    "layer_table",
    "plain_table",
    "quantity",
    "shortened",
    "show",
    "summary",
    "verification",
]
