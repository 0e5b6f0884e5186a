"""Prices laid out for speed: one short row per layer and pair of widths, gathered and summed in layer order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from haqc.graph import FULL_BITS

Reals = npt.NDArray[np.float64]

SIDE = FULL_BITS + 1
"""Widths 0 to 8 make a side of a layer's price square, so that a pair of widths is one small index."""

CHUNK = 4096
"""Policies summed at a time: their running sums stay in the cache of one core."""


@dataclass(frozen=True)
class FlatPrices:
    """The prices of every layer at every pair of widths as rows of four doubles.

    A row of 32 bytes is one vector load; its fourth figure is unused. A pair that the target lacks is not a number,
    and so is every sum it enters.

    Attributes:
        rows: energy (J), latency (s), weight bytes and 0, [layer * SIDE * SIDE, 4].
    """

    rows: Reals

    @classmethod
    def lay_out(
        cls,
        energy_j: Reals,
        latency_s: Reals,
        weight_bytes: Reals,
        *,
        weight_bits: Sequence[int],
        activation_bits: Sequence[int],
        fixed: npt.NDArray[np.bool_],
    ) -> FlatPrices:
        """Lays a table out.

        Args:
            energy_j, latency_s, weight_bytes: [layer, weight, activation].
            weight_bits, activation_bits: the axes.
            fixed: layers that have one price whatever is asked, [layer]; it is read from their first cell.
        """
        rows = np.full((energy_j.shape[0], SIDE, SIDE, 4), np.nan)
        prices = np.stack((energy_j, latency_s, weight_bytes, np.zeros_like(energy_j)), axis=-1)
        rows[:, np.array(weight_bits)[:, None], np.array(activation_bits)] = prices
        rows[fixed] = prices[fixed][:, :1, :1]
        return cls(rows.reshape(-1, 4))

    def total(self, pairs: Sequence[tuple[int, int]]) -> list[float]:
        """Sums one policy, given as (weight, activation) widths by layer; not a number when a width is not offered."""
        if not pairs:
            return [0.0] * 4
        if min(map(min, pairs)) < 0 or max(map(max, pairs)) > FULL_BITS:
            return [float("nan")] * 4
        cells = [place * SIDE * SIDE + w * SIDE + a for place, (w, a) in enumerate(pairs)]
        sums: list[float] = self.rows[cells].cumsum(axis=0)[-1].tolist()
        return sums

    def totals(self, weight_bits: npt.NDArray[np.uint8], activation_bits: npt.NDArray[np.uint8]) -> Reals:
        """Sums many policies, [layer, policy] each, into [policy, 4], adding in the same order as :meth:`total`."""
        totals = np.zeros((weight_bits.shape[1], 4))
        for start in range(0, len(totals), CHUNK):
            part = slice(start, start + CHUNK)
            self._accumulate(weight_bits[:, part], activation_bits[:, part], totals[part])
        return totals

    def _accumulate(
        self, weight_bits: npt.NDArray[np.uint8], activation_bits: npt.NDArray[np.uint8], totals: Reals
    ) -> None:
        widest = np.maximum(weight_bits, activation_bits).max(axis=0, initial=0)
        totals[widest > FULL_BITS] = np.nan
        cells = weight_bits * np.uint8(SIDE) + activation_bits
        gathered = np.empty_like(totals)
        for place, square in enumerate(self.rows.reshape(-1, SIDE * SIDE, 4)):
            square.take(cells[place], axis=0, out=gathered, mode="clip")
            totals += gathered
