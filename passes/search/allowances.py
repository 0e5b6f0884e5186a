"""How many policies each allocator may have evaluated."""

from __future__ import annotations

from haqc.passes.search.integer import PROPOSALS
from haqc.passes.search.options import SearchOptions
from haqc.passes.search.weighing import WEIGHINGS


def allowance(allocator: str, options: SearchOptions) -> int:
    """Gives the most policies that an allocator may have evaluated: what is allowed, or all that it can propose."""
    most = {"uniform": options.uniform_evaluations, "greedy": len(WEIGHINGS), "integer": PROPOSALS}
    return min(options.evaluations, most.get(allocator, options.evaluations))
