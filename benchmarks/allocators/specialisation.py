"""Policies found for one target, priced on the others (HAQ's table 1)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from benchmarks.allocators.cells import GRID, LEAST, SEEDS, SHARED, Cell
from benchmarks.allocators.effort import MAX_DROP
from benchmarks.allocators.ground import Ground
from benchmarks.allocators.least import NAME
from benchmarks.allocators.results import Found, Results
from benchmarks.allocators.verdicts import AGENT
from benchmarks.markdown import markdown
from haqc.policy import Policy

Prices = dict[str, dict[str, float]]
"""Shares of 8/8 by policy, and then by target and metric."""


def searched_for_two(results: Results) -> Iterator[tuple[Cell, int, Found]]:
    """Yields what was searched for one of the two targets: the agent's policies, and those of least cost."""
    for cell in (*GRID, *LEAST, *SHARED):
        for seed in SEEDS:
            found = results.cell(cell, seed)
            own = found.get(NAME if cell.is_least else AGENT) if isinstance(found, dict) else None
            if own is not None and own.right is not None:
                yield cell, seed, own


def priced(ground: Ground, results: Results) -> Prices:
    """Gives the cost of every such policy of a network on both targets by both metrics, as shares of 8/8."""
    rows = {}
    problems = {target: ground.priced(target) for target in ("edge", "cloud")}
    for cell, seed, found in searched_for_two(results):
        if cell.network == ground.network.name:
            policy = Policy(ground.bench.graph, found.widths)
            costs = {target: problem.table.price(policy) for target, problem in problems.items()}
            rows[f"{cell.name}-{seed}"] = {
                f"{target}-{metric}": cost.value(metric) / problems[target].baseline.value(metric)
                for target, cost in costs.items()
                for metric in ("energy", "latency")
            }
    return rows


def specialisation(results: Results) -> str:
    """Gives, for each two cells that differ in their target alone, what either's policy costs on both targets.

    What is cheapest only counts where the accuracies lie within two paired standard errors.
    """
    prices, found = results.prices(), {(cell, seed): own for cell, seed, own in searched_for_two(results)}
    rows = []
    for (cell, seed), edge in found.items():
        twin = replace(cell, target="cloud")
        if cell.target == "edge" and (twin, seed) in found:
            own, other = (prices.get(f"{each.name}-{seed}") for each in (cell, twin))
            if own is not None and other is not None:
                rows.append(_row(cell, seed, edge.ahead_of(found[twin, seed]), edge.accuracy, (own, other)))
    titles = (
        "network, metric, limit",
        "seed",
        "edge's policy, accuracy",
        "ahead of cloud's",
        "cost on edge: edge's",
        "cloud's",
        "cost on cloud: edge's",
        "cloud's",
        "own is cheapest",
    )
    return markdown(titles, rows)


def _row(
    cell: Cell, seed: int, ahead: tuple[float, float], accuracy: float, prices: tuple[dict[str, float], ...]
) -> Sequence[str]:
    costs = {target: [each[f"{target}-{cell.metric}"] for each in prices] for target in ("edge", "cloud")}
    difference, error = ahead
    is_own = costs["edge"][0] < costs["edge"][1] and costs["cloud"][1] < costs["cloud"][0]
    verdict = "not comparable" if abs(difference) > 2 * error else "yes" if is_own else "no"
    figures = (f"{accuracy:.2f}", f"{difference:+.2f} ± {error:.2f}")
    shares = (f"{share:.4f}" for target in costs for share in costs[target])
    limit = f"{MAX_DROP:g} point lost" if cell.is_least else f"{cell.level} %"
    limit += ", trials shared" if cell.is_shared else ""
    return (f"{cell.network}, {cell.metric}, {limit}", str(seed), *figures, *shares, verdict)
