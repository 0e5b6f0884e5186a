"""Prices laid out for speed: one short row per layer and combination of widths, gathered and summed in layer order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from haqc.graph import FULL_BITS

Reals = npt.NDArray[np.float64]
Widths = npt.NDArray[np.uint8]

SIDE = FULL_BITS + 1
"""Widths 0 to 8 make a side of a layer's price square, so that a pair of widths is one small index."""

CHUNK = 4096
"""Policies summed at a time: their running sums stay in the cache of one core."""


@dataclass(frozen=True)
class FlatPrices:
    """The prices of every layer at every combination of widths as rows of four doubles.

    A row of 32 bytes is one vector load; its fourth figure is unused. A pair that the target lacks is not a number,
    and so is every sum it enters.

    Attributes:
        rows: energy (J), latency (s), weight bytes and 0, [layer * SIDE * SIDE * places, 4].
        places: length of the axis of output widths.
    """

    rows: Reals
    places: int

    @classmethod
    def lay_out(
        cls,
        prices: Reals,
        *,
        weight_bits: Sequence[int],
        activation_bits: Sequence[int],
        allowed: npt.NDArray[np.bool_],
        fixed: npt.NDArray[np.bool_],
    ) -> FlatPrices:
        """Lays a table out.

        Args:
            prices: energy, latency and weight bytes, [layer, weight, activation, output, 3].
            weight_bits, activation_bits: the axes.
            allowed: pairs of widths that are offered, [weight, activation].
            fixed: layers that have one price whatever is asked, [layer]; it is read from their first cell.
        """
        places = prices.shape[3]
        rows = np.full((prices.shape[0], SIDE, SIDE, places, 4), np.nan)
        padded = np.concatenate((prices, np.zeros_like(prices[..., :1])), axis=-1)
        offered = np.where(allowed[:, :, None, None], padded, np.nan)
        rows[:, np.array(weight_bits)[:, None], np.array(activation_bits)] = offered
        rows[fixed] = padded[fixed][:, :1, :1]
        return cls(rows.reshape(-1, 4), places)

    def total(self, pairs: Sequence[tuple[int, int]], written: Sequence[int]) -> list[float]:
        """Sums one policy; not a number when a width is not offered.

        Args:
            pairs: (weight, activation) widths by layer.
            written: place of the output width by layer.
        """
        if not pairs:
            return [0.0] * 4
        if min(map(min, pairs)) < 0 or max(map(max, pairs)) > FULL_BITS:
            return [float("nan")] * 4
        cells = [
            ((layer * SIDE + w) * SIDE + a) * self.places + place
            for layer, ((w, a), place) in enumerate(zip(pairs, written, strict=True))
        ]
        sums: list[float] = self.rows[cells].cumsum(axis=0)[-1].tolist()
        return sums

    def cells(
        self,
        layer: int,
        weight: npt.NDArray[np.int64],
        activation: npt.NDArray[np.int64],
        written: npt.NDArray[np.int64],
    ) -> Reals:
        """Gives the rows of one layer at widths, and places of output widths, that broadcast: [..., 4]."""
        squares = self.rows.reshape(-1, SIDE, SIDE, self.places, 4)
        found: Reals = squares[layer, weight, activation, written]
        return found

    def totals(self, weight_bits: Widths, activation_bits: Widths, written: Widths) -> Reals:
        """Sums many policies into [policy, 4], adding in the same order as :meth:`total`.

        Args:
            weight_bits, activation_bits: widths, [layer, policy].
            written: places of the output widths, [layer, policy]; not read where there is only one.
        """
        totals = np.zeros((weight_bits.shape[1], 4))
        for start in range(0, len(totals), CHUNK):
            part = slice(start, start + CHUNK)
            self._accumulate(weight_bits[:, part], activation_bits[:, part], written[:, part], totals[part])
        return totals

    def _accumulate(self, weight_bits: Widths, activation_bits: Widths, written: Widths, totals: Reals) -> None:
        widest = np.maximum(weight_bits, activation_bits).max(axis=0, initial=0)
        totals[widest > FULL_BITS] = np.nan
        cells: npt.NDArray[np.unsignedinteger] = weight_bits * np.uint8(SIDE) + activation_bits
        if self.places > 1:
            cells = cells.astype(np.uint16) * np.uint16(self.places) + written
        gathered = np.empty_like(totals)
        for place, square in enumerate(self.rows.reshape(-1, SIDE * SIDE * self.places, 4)):
            square.take(cells[place], axis=0, out=gathered, mode="clip")
            totals += gathered
