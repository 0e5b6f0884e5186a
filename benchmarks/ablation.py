"""What each change against the paper's agent is worth: ``python -m benchmarks.ablation [--seeds 1]``.

The problems are toys with known rules: 16 layers whose neighbours interact, under two budgets, with sensitivities
that are off by a factor of two (a standard deviation) for each operand, as nobody knows. Uniform widths, the greedy
allocator and the integer program go first. An agent is scored on its own proposals; then each change is taken from it.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from haqc.budget import Budget
from haqc.passes.search import SearchOptions, search
from haqc.passes.search.options import Traits
from haqc.request import AllocatorName
from haqc.result import SearchResult, Trial
from tests.passes.search_toy import FLOAT_ACCURACY, Toy, price, terms, toy, within

LAYERS = 16
SHARES = (0.2, 0.4)
GAMES = 4
INTERACTION = 0.3
OFF = 0.3
"""Standard deviation of the decimal logarithm of the factor that each operand's sensitivities are off by."""

FIRST: tuple[AllocatorName, ...] = ("uniform", "greedy", "integer")
PAPER = "the paper's agent, by itself"
VARIANTS = {
    "the agent": Traits(),
    "no warm start": Traits(starts_warm=False),
    "HAQ's wall, slack left": Traits(enters_by_margin=False),
    "no changes of good trials": Traits(changes_good=False),
    "no predictor": Traits(screens=False),
    "widths by chance in place of the agent's": Traits(walks=False),
    "none of the four": Traits(starts_warm=False, enters_by_margin=False, changes_good=False, screens=False),
}


@dataclass(frozen=True)
class Game:
    """A toy with its budget, and sensitivities that are not quite right."""

    toy: Toy
    budget: Budget
    seed: int

    def run(self, options: SearchOptions, known: Sequence[Trial] = ()) -> SearchResult:
        """Searches, beginning with trials that were made before."""
        draw = np.random.default_rng(self.seed + 99)
        off = {choice.operand.tensor: 10 ** (OFF * draw.standard_normal()) for choice in self.toy.space.free}
        return search(
            self.toy.space,
            self.budget,
            price,
            terms(self.toy.space),
            self.toy.evaluate,
            baseline=price(self.toy.space.widest),
            float_accuracy=FLOAT_ACCURACY,
            sensitivity={(tensor, bits): float(e * off[tensor]) for (tensor, bits), e in self.toy.sensitivity.items()},
            options=options,
            record=lambda trial: None,
            progress=lambda *_: None,
            known=known,
        )


def games() -> Iterator[Game]:
    """Yields the problems."""
    for share in SHARES:
        for seed in range(GAMES):
            made = toy(LAYERS, seed=30 + seed, interaction=INTERACTION)
            yield Game(made, within(made.space, energy=share), seed)


def own(found: SearchResult, name: AllocatorName) -> float:
    """Gives the accuracy of the best that an allocator proposed itself."""
    return next(row.best.accuracy for row in found.allocators if row.name == name and row.best is not None)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ablation", description="Takes changes from the agent.")
    parser.add_argument("--evaluations", type=int, default=48)
    parser.add_argument("--seeds", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    problems = [(game, seed) for seed in range(arguments.seeds) for game in games()]
    options = SearchOptions(arguments.evaluations)
    first = [game.run(replace(options, seed=seed, allocators=FIRST)) for game, seed in problems]
    rows = {"integer program": [own(found, "integer") for found in first]}
    spent_s: dict[str, float] = {}
    for title, traits in VARIANTS.items():
        begun_s = time.process_time()
        rows[title] = [
            own(game.run(replace(options, seed=seed, traits=traits, allocators=("ddpg",)), found.trials), "ddpg")
            for (game, seed), found in zip(problems, first, strict=True)
        ]
        spent_s[title] = (time.process_time() - begun_s) / len(problems)
    begun_s = time.process_time()
    rows[PAPER] = [own(game.run(replace(options, seed=seed, allocators=("haq",))), "haq") for game, seed in problems]
    spent_s[PAPER] = (time.process_time() - begun_s) / len(problems)
    _print(rows, spent_s)


def _print(rows: dict[str, list[float]], spent_s: dict[str, float]) -> None:
    whole = np.array(rows["the agent"])
    print("| what proposes | accuracy | lost against the agent | worse in | CPU s |\n|---|---|---|---|---|")
    for title, values in rows.items():
        lost = whole - np.array(values)
        error = lost.std(ddof=1) / math.sqrt(len(lost))
        taken = f"{spent_s[title]:.1f}" if title in spent_s else ""
        shown = "" if title == "the agent" else f"{lost.mean():+.2f} ± {error:.2f}"
        worse = "" if title == "the agent" else f"{(lost > 0).sum()} of {len(lost)}"
        print(f"| {title} | {np.mean(values):.2f} | {shown} | {worse} | {taken} |")


if __name__ == "__main__":
    main()
