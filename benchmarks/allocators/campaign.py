"""Runs what is missing of the campaign: searches, then fine-tunes; everything that is done is kept in files."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

from benchmarks.allocators.cells import LEAST, Cell
from benchmarks.allocators.effort import EVALUATIONS, GUIDED, LONG_EVALUATIONS, trained_on
from benchmarks.allocators.final import measured, measured_float, recipe_of, scored_by
from benchmarks.allocators.ground import Ground
from benchmarks.allocators.least import cheapest, tried
from benchmarks.allocators.results import Results
from benchmarks.allocators.scores import Scores
from benchmarks.allocators.searching import searched
from benchmarks.allocators.specialisation import Prices, own_policies, priced
from benchmarks.allocators.transformer import transformer
from benchmarks.kept import keep, kept
from benchmarks.networks import real_networks
from haqc.passes.search import SearchOptions
from haqc.request import AllocatorName


@dataclass(frozen=True)
class Campaign:
    """A folder of results, and the means to add to them.

    Attributes:
        out: the folder.
        say: told what is done.
    """

    out: Path
    say: Callable[[str], None]
    _grounds: dict[str, Ground] = field(default_factory=dict)
    _scores: dict[Path, Scores] = field(default_factory=dict)

    def search(self, cell: Cell, seed: int, group: tuple[AllocatorName, ...]) -> dict[str, Any]:
        """Gives what each allocator of a group found by itself."""
        name = f"{cell.name}-{seed}" if group == GUIDED else f"{cell.name}-{seed}-blind"
        return self._kept(name, lambda: self._search(cell, seed, group, EVALUATIONS))

    def search_long(self, cell: Cell) -> dict[str, Any]:
        """Gives what the paper's agent found with ten times the evaluations."""
        return self._kept(f"{cell.name}-haq", lambda: self._search(cell, 0, ("haq",), LONG_EVALUATIONS))

    def _search(self, cell: Cell, seed: int, names: tuple[AllocatorName, ...], evaluations: int) -> dict[str, Any]:
        ground, scores = self.ground(cell.network), self._scores_of(cell)
        options = SearchOptions(evaluations, seed=seed, allocators=names)
        if cell.is_least:
            problem = ground.priced(cell.target)
            earlier = chain.from_iterable(tried(problem, one) for one in self._earlier(cell, seed))
            found = cheapest(problem, cell.metric, scores, ground.sensitivity, options, earlier)
        else:
            found = searched(ground.problem(cell), scores, ground.sensitivity, ground.float_accuracy, options)
        return {**found, "score_s": scores.mean_s}

    def _earlier(self, cell: Cell, seed: int) -> Iterator[dict[str, Any]]:
        """Yields what the searches for each target by itself came to, where a cell knows their trials."""
        if cell.is_shared:
            for one in LEAST:
                if (one.network, one.metric) == (cell.network, cell.metric):
                    yield self.search(one, seed, GUIDED)

    def measure(self, cell: Cell, found: dict[str, Any]) -> None:
        """Trains and measures what each allocator found; a policy is trained once, whoever found it.

        At a headline budget that is the best policy of all alone. What is lost is counted from the float network after
        the same fine-tune, where it is asked for.
        """
        rows = list(found.get("allocators", {}).values())
        if cell.is_uniform:
            rows.append(self._kept(f"{cell.name}-stated", lambda: self._stated(cell)))
        for row in [max(rows, key=lambda row: row["score"])] if cell.is_headline and rows else rows:
            self._final(cell, row)
        if cell.is_uniform or cell.is_headline:
            self._kept(f"float-{cell.network}-{trained_on(cell)}", lambda: self._measure_float(cell))

    def price(self) -> None:
        """Prices every policy that was measured on the targets that it was not searched for."""
        results = Results(self.out)
        rows: Prices = {}
        for name in {cell.network for cell, _, _ in own_policies(results)}:
            rows |= priced(self.ground(name), results)
        keep(self.out / "prices.json", rows)

    def ground(self, network: str) -> Ground:
        """Gives what the cells of a network share."""
        if network not in self._grounds:
            real = self._networks[network] if network in self._networks else transformer(self.out)
            self._grounds[network] = Ground(real, self.out)
        return self._grounds[network]

    def _final(self, cell: Cell, row: dict[str, Any]) -> None:
        def make() -> dict[str, Any]:
            ground = self.ground(cell.network)
            return measured(ground, row["widths"], recipe_of(cell, ground.bench))

        self._kept(f"tuned-{cell.network}-{trained_on(cell)}-{row['key']}", make)

    def _stated(self, cell: Cell) -> dict[str, Any]:
        """Gives the uniform policy whose cost the budget is; the uniform allocator may prefer another."""
        policy = self.ground(cell.network).stated(cell)
        return {"key": policy.key, "widths": dict(policy.widths)}

    def _measure_float(self, cell: Cell) -> dict[str, Any]:
        ground = self.ground(cell.network)
        return measured_float(ground, recipe_of(cell, ground.bench))

    def _scores_of(self, cell: Cell) -> Scores:
        """Gives the scores that a cell shares with others of its network: those after a fine-tune of its length."""
        ground = self.ground(cell.network)
        recipe = scored_by(cell, ground.bench)
        path = self.out / f"scores-{cell.network}-{recipe.samples}.jsonl"
        if path not in self._scores:
            worker = ground.worker(recipe)
            self._scores[path] = Scores(path, lambda widths: worker.score(widths, lambda count: None))
        return self._scores[path]

    @cached_property
    def _networks(self) -> dict[str, Any]:
        return {network.name: network for network in real_networks(self.out)}

    def _kept(self, name: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Gives a result from its file, or makes it and writes the file whole."""

        def timed() -> dict[str, Any]:
            begun_s = time.process_time()
            content = make()
            self.say(f"{name}: {time.process_time() - begun_s:.0f} s")
            return content

        return dict(kept(self.out / f"{name}.json", timed))
