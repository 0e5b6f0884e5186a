"""The units that keys of target files end with."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit as keys name it.

    Attributes:
        ending: what a key with it ends with.
        symbol: how people write it.
        largest: more than any chip has of it; a larger number is a slip of the unit.
    """

    ending: str
    symbol: str
    largest: float


UNITS: tuple[Unit, ...] = (
    Unit("mhz", "MHz", 100_000),
    Unit("pj_per_bit", "pJ/bit", 1_000_000),
    Unit("pj_per_cycle", "pJ/cycle", 1_000_000_000),
    Unit("pj", "pJ", 100_000_000),
    Unit("mw", "mW", 1_000_000),
    Unit("w", "W", 100_000),
    Unit("us", "µs", 10_000_000),
    Unit("gigabytes_per_s", "GB/s", 1_000_000),
    Unit("mbyte_per_s", "MB/s", 100_000_000),
    Unit("tera_ops_per_s", "tera-operations/s", 1_000_000),
    Unit("bits_per_cycle", "bits/cycle", 2**20),
    Unit("macs_per_cycle", "MACs/cycle", 2**30),
    Unit("cycles_per_value", "cycles/value", 1_000_000),
    Unit("cycles_per_byte", "cycles/byte", 1_000_000),
    Unit("cycles_per_output", "cycles/output", 1_000_000),
    Unit("cycles_per_layer", "cycles/layer", 1_000_000_000),
    Unit("cycles", "cycles", 1_000_000_000),
    Unit("percent", "%", 1_000_000),
    Unit("bytes", "bytes", 2**40),
    Unit("words", "words", 2**30),
    Unit("bits", "bits", 2**20),
)
"""Longer endings stand before those that they end with."""


def unit_of(key: str) -> Unit | None:
    """Gives the unit that a key ends with, or ``None`` for a count, a share or a word.

    >>> unit_of("dram_energy_pj_per_bit").symbol
    'pJ/bit'
    """
    return next((unit for unit in UNITS if key == unit.ending or key.endswith(f"_{unit.ending}")), None)
