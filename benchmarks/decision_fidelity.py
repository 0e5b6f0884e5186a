"""How well the usual proxies rank policies, against the cost models: the table of ``docs/decision-fidelity.md``.

Run from the root of the repository (about half a minute on one core)::

    python -m benchmarks.decision_fidelity [--write]

For random policies of MobileNet-V2 and ResNet-18 on every built-in target, Spearman's rank correlation of what a search
without a cost model would count (multiply-accumulates times both widths; bytes of weights and data) with latency and
energy as the target's cost model prices them. With ``--write`` the page is written, otherwise the table is printed.
"""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.stats import spearmanr

from haqc import targets
from haqc.costmodel import CostTable, build_table
from haqc.graph import Graph
from haqc.policy import Policy, Space
from haqc.target import Target
from models.build import build
from tests.golden.networks import graph_of

POLICIES = 1_000
NETWORKS = ("mobilenet-v2", "resnet18")
PAGE = Path(__file__).resolve().parents[1] / "docs" / "decision-fidelity.md"

HEAD = f"""# What proxies know of a chip

A search for bitwidths can do without a cost model: it may count multiply-accumulates times both widths, or bytes. How
well does that rank policies? For {POLICIES:,} random policies of each network on each target (every operand's width
drawn from those that the target allows, first and last layers at 8 bits), Spearman's rank correlation of the proxy with
what the target's cost model says, in its default mode, for the target's own batch. 1 is the same order, 0 no relation,
-1 the opposite order. Made by `python -m benchmarks.decision_fidelity --write`.

- *MACs x w x a*: multiply-accumulates of each layer times the widths of its operands.
- *Bytes*: weights at their widths, and of the whole batch everything that layers read and write, packed.
- *Lost*: what the policy that the proxy likes best takes beyond the best one, of latency or of energy, whichever is
  worse.

Latency and energy are the cost model's own, so a target graded `estimate` says what its formulas say and no more. A
dash stands where no policy differs from another: the chip has one pair of widths.
"""

Reals = npt.NDArray[np.float64]


def random_policies(graph: Graph, target: Target) -> list[Policy]:
    """Draws policies: each operand has a random width of its own, raised where the target lacks the pair."""
    draw = np.random.default_rng(0)
    space = Space.of(graph, target.precision, min_bits=1)
    return [
        space.policy({choice.operand.tensor: int(draw.choice(choice.widths)) for choice in space.free})
        for _ in range(POLICIES)
    ]


def proxies(table: CostTable, policies: Sequence[Policy]) -> dict[str, Reals]:
    """Counts what a search without a cost model would count, each [policy]."""
    layers = table.graph.layers
    macs = np.array([layer.macs for layer in layers], np.float64)
    products = np.array([[bits.weight * bits.activation for bits in policy.layer_bits] for policy in policies])
    sizes = table.graph.tensor_values
    found = []
    for policy in policies:
        weights = sum(y.weight_values * policy.bits(y).weight for y in layers)
        data = sum(sizes[y.activation] * policy.bits(y).activation for y in layers)
        results = sum(sizes[y.output] * policy.widths.get(y.output, 8) for y in layers)
        found.append((weights + table.batch * (data + results)) / 8)
    return {"MACs x w x a": products @ macs, "Bytes": np.array(found)}


def correlation(proxy: Reals, cost: Reals) -> float | None:
    """Gives Spearman's rank correlation, or ``None`` where one of the two is constant."""
    if np.ptp(proxy) == 0 or np.ptp(cost) <= 1e-12 * cost.max():
        return None
    return float(spearmanr(proxy, cost).statistic)


def lost(proxy: Reals, cost: Reals) -> float:
    """Gives what the policy that the proxy likes best takes beyond the best of all, as a share."""
    return float(cost[np.argmin(proxy)] / cost.min() - 1)


def rows() -> Iterator[tuple[str, list[str]]]:
    """Yields network and target, and the figures of a row of the table."""
    for network in NETWORKS:
        graph = graph_of(build(network), network)
        for name in targets.names():
            target = targets.load(name)
            table = build_table(graph, target)
            policies = random_policies(graph, target)
            prices = [table.price(policy) for policy in policies]
            costs = [np.array([p.latency_s for p in prices]), np.array([p.energy_j for p in prices])]
            cells = []
            for proxy in proxies(table, policies).values():
                found = [correlation(proxy, cost) for cost in costs]
                cells += ["-" if value is None else f"{value:.2f}" for value in found]
                worst = max(lost(proxy, cost) for cost in costs)
                cells.append("-" if found == [None, None] else f"{100 * worst:.0f} %")
            yield f"{network} | `{name}`", cells


def _summary(table: Sequence[Sequence[str]]) -> str:
    """Says in one sentence how far the proxies may be trusted."""
    columns = [[float(cell.split()[0]) for cell in column if cell != "-"] for column in zip(*table, strict=True)]
    below = sum(value < 0.9 for column in (0, 1, 3, 4) for value in columns[column])
    every = sum(len(columns[column]) for column in (0, 1, 3, 4))
    sentence = (
        f"Of {every} correlations {below} lie below 0.9. MACs x w x a ranks latency at {min(columns[0]):.2f} to "
        f"{max(columns[0]):.2f}, bytes rank it at {min(columns[3]):.2f} to {max(columns[3]):.2f}: which proxy serves "
        "depends on the chip and on the network, and neither says so itself. A search needs the chip's own prices."
    )
    return textwrap.fill(sentence, 120, break_on_hyphens=False)


def main() -> None:
    """Prints the table, or writes the page."""
    parser = argparse.ArgumentParser(description="Rank correlation of proxies with the cost models.")
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.name} instead of printing")
    is_written = parser.parse_args().write
    heading = (
        "| network | target | MACs x w x a: latency | energy | lost | bytes: latency | energy | lost |",
        "|---|---|---|---|---|---|---|---|",
    )
    found = list(rows())
    lines = (f"| {place} | {' | '.join(cells)} |" for place, cells in found)
    text = "\n".join((*heading, *lines, "", _summary([cells for _, cells in found])))
    if is_written:
        PAGE.write_text(f"{HEAD}\n{text}\n", encoding="utf-8")
    else:
        print(text)


if __name__ == "__main__":
    main()
