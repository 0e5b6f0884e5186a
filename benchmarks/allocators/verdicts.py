"""What the cells say of the agent, bound by bound."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import mean, median

import numpy as np

from benchmarks.allocators.cells import GRID, HEADLINE, LONG, OTHERS, SEEDS, UNIFORM, Cell
from benchmarks.allocators.effort import ALLOCATORS, EVALUATIONS, LONG_EVALUATIONS
from benchmarks.allocators.results import Found, Results, paired
from benchmarks.markdown import markdown

AGENT = "ddpg"


def best_of(found: dict[str, Found]) -> Found | None:
    """Gives what is best on the reported images, the first of equals; nothing before all were measured."""
    if any(each.right is None for each in found.values()):
        return None
    return max(found.values(), key=lambda each: each.accuracy)


def finished(results: Results, cells: tuple[Cell, ...]) -> Iterator[tuple[Cell, int, dict[str, Found]]]:
    """Yields the cells and seeds that were measured whole."""
    for cell in cells:
        for seed in SEEDS:
            found = results.cell(cell, seed)
            if isinstance(found, dict) and AGENT in found and best_of(found) is not None:
                yield cell, seed, found


def is_tied(one: Found, best: Found) -> bool:
    """Whether an allocator is the best, or within two paired standard errors of it."""
    difference, error = one.ahead_of(best)
    return one is best or difference >= -2 * error


def means(results: Results) -> str:
    """Gives, for each allocator, means over the cells of the grid."""
    table = list(finished(results, (*GRID, *OTHERS)))
    rows = []
    for name in ALLOCATORS:
        pairs = [(found[name], best) for _, _, found in table if name in found and (best := best_of(found))]
        if pairs:
            own = [one for one, _ in pairs]
            rows.append((
                name,
                str(len(own)),
                f"{mean(one.evaluations for one in own):.0f}",
                f"{mean(one.seconds for one in own):.1f}",
                f"{mean(one.own_seconds for one in own):.2f}",
                f"{mean(one.score for one in own):.2f}",
                f"{mean(one.accuracy for one in own):.2f}",
                str(sum(one is best for one, best in pairs)),
                str(sum(is_tied(one, best) for one, best in pairs)),
            ))  # fmt: skip
    titles = ("allocator", "cells x seeds", "evaluations", "CPU s", "of these its own", "merit in the search")
    return markdown((*titles, "accuracy", "best", "best or within 2 s.e."), rows)


def verdicts(results: Results) -> str:
    """Gives the two bounds on the grid: how often the agent is best, and where its median beats the integer program."""
    table = list(finished(results, (*GRID, *UNIFORM, *OTHERS)))
    if not table:
        return ""
    tied = sum(is_tied(found[AGENT], best) for _, _, found in table if (best := best_of(found)))
    tight = {cell: [found for other, _, found in table if other == cell] for cell in GRID if cell.level == "30"}
    ahead = {cell: _median_lead(found) for cell, found in tight.items() if found}
    won = sum(lead > 0 for lead in ahead.values())
    rows = [
        ("best, or within two paired standard errors of the best", f"{tied} of {len(table)}", "nine of ten"),
        ("median above the integer program's at the 30 % budgets", f"{won} of {len(ahead)}", "more than half"),
    ]
    leads = [(cell.name, f"{lead:+.2f}") for cell, lead in ahead.items()]
    return markdown(("the agent is", "cells", "wanted"), rows) + "\n\n" + markdown(("cell", "median lead"), leads)


def _median_lead(found: list[dict[str, Found]]) -> float:
    agent = median(each[AGENT].accuracy for each in found)
    return agent - median(each["integer"].accuracy for each in found)


def uniform_room(results: Results) -> str:
    """Gives what uniform widths lose against the float network, and how much of it the agent's policy does not."""
    rows = []
    for cell, seed, found in finished(results, UNIFORM):
        floats, uniform = results.floats(cell), results.stated(cell)
        if floats is not None and uniform is not None:
            reference = max(floats, key=np.mean)
            loss, _ = paired(reference, uniform)
            leads = {name: paired(each.right, uniform) for name, each in found.items()}
            figures = [f"{leads[name][0]:+.2f} ± {leads[name][1]:.2f}" for name in ("uniform", "integer", AGENT)]
            rows.append(
                (cell.name, str(seed), f"{reference.mean():.2f}", f"{uniform.mean():.2f}", *figures,
                 f"{leads[AGENT][0] / loss:+.0%}" if loss > 0 else "-")
            )  # fmt: skip
    titles = ("cell", "seed", "float, fine-tuned", "the uniform policy of that name", "allocator uniform ahead by")
    return markdown((*titles, "integer ahead by", "agent ahead by", "of the loss (wanted: +50%)"), rows)


def long_run(results: Results) -> str:
    """Gives the best merits of the agent beside those of the paper's with ten times the evaluations.

    The agent has a figure for each seed; the last column is how far its accuracy on the reported images is ahead.
    """
    rows = []
    for cell in LONG:
        long, short = results.long(cell), [results.cell(cell, seed) for seed in SEEDS]
        own = [found[AGENT] for found in short if isinstance(found, dict) and AGENT in found]
        if long is not None and own:
            merits = ", ".join(f"{each.score:.2f}" for each in own)
            reached = sum(each.score >= long.score for each in own)
            ahead = (each.ahead_of(long) for each in own)
            leads = ", ".join(f"{lead:+.2f} ± {error:.2f}" for lead, error in ahead)
            rows.append((cell.name, merits, f"{long.score:.2f}", f"{reached} of {len(own)}", leads))
    titles = ("cell", f"merit, agent, {EVALUATIONS} evaluations", f"merit, haq, {LONG_EVALUATIONS} evaluations")
    return markdown((*titles, "reached by", "agent's accuracy ahead by"), rows)


def headline(results: Results) -> str:
    """Gives what the best policy at HAQ's budgets loses against the better float network."""
    rows = []
    for cell in HEADLINE:
        found, floats = results.cell(cell, SEEDS[0]), results.floats(cell)
        if isinstance(found, dict) and floats is not None:
            name, best = max(found.items(), key=lambda item: item[1].score)
            reference = max(floats, key=np.mean)
            difference, error = paired(best.right, reference)
            original, tuned = (f"{each.mean():.2f}" for each in floats)
            figures = (f"{best.share:.4f}", original, tuned, f"{best.accuracy:.2f}", f"{difference:+.2f} ± {error:.2f}")
            rows.append((f"{cell.network}, {cell.target}, {cell.metric}={cell.level}", *figures, name))
    titles = ("network, target, budget", "reached", "float", "float, fine-tuned", "quantised", "difference", "found by")
    return markdown(titles, rows)
