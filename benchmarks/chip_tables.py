"""Times the table of MobileNet-V2 on graphics processors and NPUs: every layer at every pair of widths, batch included.

python benchmarks/chip_tables.py
"""

from __future__ import annotations

import statistics

from benchmarks.cost_table import seconds_of
from haqc import targets
from haqc.costmodel import build_table
from tests.costmodel.mobilenet_v2_layers import mobilenet_v2

CHIPS = ("t4", "a100", "h100", "ethos-u55-128", "ethos-u65-512")


def main() -> None:
    """Prints one line a chip."""
    graph = mobilenet_v2()
    for chip in CHIPS:
        target = targets.load(chip)
        times = seconds_of(lambda target=target: build_table(graph, target).energy_j, 50)  # type: ignore[misc]
        shape = " x ".join(map(str, build_table(graph, target).shape))
        print(f"{chip}: {shape}, min {1e3 * min(times):.3f} ms, median {1e3 * statistics.median(times):.3f} ms")


if __name__ == "__main__":
    main()
