"""Policies found for one target, priced on the others (HAQ's table 1)."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.allocators.cells import GRID, SEEDS, Cell
from benchmarks.allocators.ground import Ground
from benchmarks.allocators.results import Found, Results
from benchmarks.allocators.verdicts import AGENT, finished
from benchmarks.markdown import markdown
from haqc.policy import Policy

Prices = dict[str, dict[str, float]]
"""Shares of 8/8 by policy, and then by target and metric."""


def priced(ground: Ground, results: Results) -> Prices:
    """Gives the cost of every policy of the grid on both targets by both metrics, as shares of 8/8."""
    rows = {}
    problems = {target: ground.priced(target) for target in ("edge", "cloud")}
    for cell, seed, found in finished(results, GRID):
        if cell.network == ground.network.name:
            for name, each in found.items():
                policy = Policy(ground.bench.graph, each.widths)
                costs = {target: problem.table.price(policy) for target, problem in problems.items()}
                rows[f"{cell.name}-{seed}-{name}"] = {
                    f"{target}-{metric}": cost.value(metric) / problems[target].baseline.value(metric)
                    for target, cost in costs.items()
                    for metric in ("energy", "latency")
                }
    return rows


def specialisation(results: Results) -> str:
    """Gives, for each two cells that differ in their target alone, what the agent's policies cost on either target.

    What is cheapest only counts where the accuracies lie within two paired standard errors.
    """
    prices = results.prices()
    pairs = ((cell, Cell(cell.network, "cloud", cell.metric, cell.level)) for cell in GRID if cell.target == "edge")
    rows = (_row(results, pair, seed, prices) for pair in pairs for seed in SEEDS)
    titles = (
        "network, metric, budget",
        "seed",
        "edge's policy, accuracy",
        "ahead of cloud's",
        "cost on edge: edge's",
        "cloud's",
        "cost on cloud: edge's",
        "cloud's",
        "own is cheapest",
    )
    return markdown(titles, (row for row in rows if row))


def _row(results: Results, pair: tuple[Cell, Cell], seed: int, prices: Prices) -> Sequence[str]:
    edge, cloud = (_agents(results, cell, seed) for cell in pair)
    names = [f"{cell.name}-{seed}-{AGENT}" for cell in pair]
    if edge is None or cloud is None or not all(name in prices for name in names):
        return ()
    cell = pair[0]
    costs = {target: [prices[name][f"{target}-{cell.metric}"] for name in names] for target in ("edge", "cloud")}
    difference, error = edge.ahead_of(cloud)
    is_own = costs["edge"][0] < costs["edge"][1] and costs["cloud"][1] < costs["cloud"][0]
    verdict = "not comparable" if abs(difference) > 2 * error else "yes" if is_own else "no"
    figures = (f"{edge.accuracy:.2f}", f"{difference:+.2f} ± {error:.2f}")
    shares = (f"{share:.4f}" for target in costs for share in costs[target])
    return (f"{cell.network}, {cell.metric}, {cell.level} %", str(seed), *figures, *shares, verdict)


def _agents(results: Results, cell: Cell, seed: int) -> Found | None:
    found = results.cell(cell, seed)
    return found.get(AGENT) if isinstance(found, dict) else None
