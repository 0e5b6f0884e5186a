"""Policies found for one target, priced on the others (HAQ's table 1)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations

from benchmarks.allocators.cells import COMPOSABLE, GRID, LEAST, METRICS, SEEDS, SHARED, Cell
from benchmarks.allocators.effort import MAX_DROP
from benchmarks.allocators.ground import Ground
from benchmarks.allocators.least import NAME
from benchmarks.allocators.results import Found, Results
from benchmarks.allocators.verdicts import AGENT
from benchmarks.markdown import markdown

TARGETS = ("edge", "cloud", "bitfusion")
Prices = dict[str, dict[str, float]]
"""Shares of 8/8 by policy, and then by target and metric."""


def own_policies(results: Results) -> Iterator[tuple[Cell, int, Found]]:
    """Yields what was searched for one of the targets: the agent's policies, and those of least cost."""
    for cell in (*GRID, *COMPOSABLE, *LEAST, *SHARED):
        for seed in SEEDS:
            found = results.cell(cell, seed)
            own = found.get(NAME if cell.is_least else AGENT) if isinstance(found, dict) else None
            if own is not None and own.right is not None:
                yield cell, seed, own


def priced(ground: Ground, results: Results) -> Prices:
    """Gives the cost of every such policy of a network on all targets by both metrics, as shares of 8/8.

    Where a target lacks a pair of widths, the policy has the narrowest one there that covers it, as hardware would.
    """
    rows = {}
    problems = {target: ground.priced(target) for target in TARGETS}
    for cell, seed, found in own_policies(results):
        if cell.network == ground.network.name:
            policies = {target: problem.space.policy(found.widths) for target, problem in problems.items()}
            costs = {target: problem.table.price(policies[target]) for target, problem in problems.items()}
            rows[f"{cell.name}-{seed}"] = {
                f"{target}-{metric}": cost.value(metric) / problems[target].baseline.value(metric)
                for target, cost in costs.items()
                for metric in METRICS
            }
    return rows


def specialisation(results: Results) -> str:
    """Gives, for each two cells that differ in their target alone, what either's policy costs on both targets.

    What is cheapest only counts where the accuracies lie within two paired standard errors.
    """
    prices, found = results.prices(), {(cell, seed): own for cell, seed, own in own_policies(results)}
    rows = []
    for first, second in combinations(TARGETS, 2):
        for (cell, seed), one in found.items():
            twin = replace(cell, target=second)
            if cell.target == first and (twin, seed) in found:
                costs = tuple(prices.get(f"{each.name}-{seed}", {}) for each in (cell, twin))
                if all(f"{target}-{cell.metric}" in cost for cost in costs for target in (first, second)):
                    rows.append(_row((cell, twin), seed, one.ahead_of(found[twin, seed]), one.accuracy, costs))
    titles = (
        "network, metric, limit",
        "seed",
        "targets A, B",
        "A's policy, accuracy",
        "ahead of B's",
        "cost on A: A's",
        "B's",
        "cost on B: A's",
        "B's",
        "own is cheapest",
    )
    return markdown(titles, rows)


def _row(
    cells: tuple[Cell, Cell],
    seed: int,
    ahead: tuple[float, float],
    accuracy: float,
    prices: tuple[dict[str, float], ...],
) -> Sequence[str]:
    cell, (difference, error) = cells[0], ahead
    on_first, on_second = ([each[f"{one.target}-{cell.metric}"] for each in prices] for one in cells)
    is_own = on_first[0] < on_first[1] and on_second[1] < on_second[0]
    verdict = "not comparable" if abs(difference) > 2 * error else "yes" if is_own else "no"
    figures = (f"{accuracy:.2f}", f"{difference:+.2f} ± {error:.2f}")
    shares = (f"{share:.4f}" for share in (*on_first, *on_second))
    limit = f"{MAX_DROP:g} point lost" if cell.is_least else f"{cell.level} %"
    limit += ", trials shared" if cell.is_shared else ""
    targets = ", ".join(each.target for each in cells)
    return (f"{cell.network}, {cell.metric}, {limit}", str(seed), targets, *figures, *shares, verdict)
