"""``python -m benchmarks.allocators [--out build/allocators] [--cells GLOB] [--seeds 0 1 2] [--guided] [--table]``.

Seeds come one after the other, so that a campaign that was stopped has every cell once; in each, those that propose by
sensitivities go through all cells before the others do, and with ``--guided`` alone. ``--long`` gives the paper's agent
ten times the evaluations. ``--table`` measures nothing and prints what there is.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch

from benchmarks.allocators.campaign import Campaign
from benchmarks.allocators.cells import LONG, SEEDS, chosen
from benchmarks.allocators.effort import BLIND, GUIDED, groups
from benchmarks.allocators.results import Results
from benchmarks.allocators.table import tables


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.allocators", description="Compares the allocators.")
    parser.add_argument("--out", type=Path, default=Path("build/allocators"))
    parser.add_argument("--cells", nargs="*", default=[], help="only cells whose names fit one of these patterns")
    parser.add_argument("--seeds", nargs="*", type=int, default=list(SEEDS))
    parser.add_argument("--guided", action="store_true", help="leave out those that propose by scores alone")
    parser.add_argument("--long", action="store_true", help="give the paper's agent ten times the evaluations")
    parser.add_argument("--table", action="store_true", help="print what was measured")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    arguments.out.mkdir(parents=True, exist_ok=True)
    if arguments.table:
        print(tables(Results(arguments.out)))
        return
    campaign = Campaign(arguments.out, lambda text: print(f"{time.strftime('%H:%M:%S')} {text}", flush=True))
    cells = chosen(arguments.cells)
    if arguments.long:
        for cell in (each for each in LONG if each in cells):
            campaign.measure(cell, campaign.search_long(cell))
        return
    for seed in arguments.seeds:
        for group in (GUIDED,) if arguments.guided else (GUIDED, BLIND):
            for cell in cells:
                if group in groups(cell):
                    campaign.measure(cell, campaign.search(cell, seed, group))
    campaign.price()


if __name__ == "__main__":
    main()
