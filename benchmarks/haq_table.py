"""Writes HAQ's published latency table as a target of kind ``lookup``, and compares it with ``cloud``.

Run from the root of the repository, with the published table beside it::

    python -m benchmarks.haq_table ../shared/data/cost/haq_bismo_cloud_mobilenetv2.csv build/haq-table

The table has latencies only (HAQ's energies were never released), so the energies that are written are those of
``cloud``, and the file grades them so. MobileNet-V2 at 224 x 224 is the network that the table is of.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np

from haqc import targets
from haqc.costmodel import build_table
from haqc.graph import Layer
from tests.costmodel.mobilenet_v2_layers import mobilenet_v2

HEADING = (
    *("op", "kernel", "stride", "in_channels", "out_channels", "groups", "height", "width", "batch"),
    *("weight_bits", "activation_bits", "latency_s", "energy_j"),
)

TARGET = """\
title = "HAQ's published latency table of MobileNet-V2, as measured cells"
kind = "lookup"
batch = 16
source = "HAQ (Wang et al., CVPR 2019, arXiv 1811.08886v3): lookup table of the cloud accelerator, batch 16"

[widths]
weight = [1, 2, 3, 4, 5, 6, 7, 8]
activation = [1, 2, 3, 4, 5, 6, 7, 8]
accumulator_bits = 32
output_bits = 32
source = "the table: weights and activations of 1 to 8 bits"

[table]
file = "haq-table.csv"
clock_mhz = 200
source = "latencies: the published table, in cycles at 200 MHz; energies: those of target 'cloud', not published"

[grades]
latency = "published"
energy = "estimate"
source = "as above"
"""


def write_table(published: Path, folder: Path) -> tuple[Path, int]:
    """Writes target and table into a folder.

    Returns:
        Path of the target file, and the number of cells; layers of one shape share theirs.
    """
    with published.open(newline="", encoding="utf-8") as file:
        cycles = {
            (int(row["layer"]), int(row["w_bits"]), int(row["a_bits"])): int(row["latency"])
            for row in csv.DictReader(file)
        }
    graph, cloud = mobilenet_v2(), targets.load("cloud")
    table = build_table(graph, cloud)
    lines: dict[tuple[str | int, ...], tuple[float, float]] = {}
    for (place, weight, activation), count in cycles.items():
        key = (*signature(graph.layers[place], cloud.batch), weight, activation)
        measured = count / cloud.hardware.clock_hz, float(table.energy_j[place, weight - 1, activation - 1, 0])
        if lines.setdefault(key, measured)[0] != measured[0]:
            raise SystemExit(f"the published table has two latencies for {key}")
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "haq-table.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([HEADING, *((*key, *measured) for key, measured in lines.items())])
    path = folder / "haq-table.toml"
    path.write_text(TARGET, encoding="utf-8")
    return path, len(lines)


def signature(layer: Layer, batch: int) -> tuple[str | int, ...]:
    """Gives the first nine cells of a layer's rows; its maps are square."""
    side = 1 if layer.is_dense else round(layer.feature_size**0.5)
    extents = ("x".join(map(str, layer.kernel)), "x".join(map(str, layer.stride)))
    return (layer.op, *extents, layer.in_channels, layer.out_channels, layer.groups, side, side, batch)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("table", type=Path, help="the published table")
    parser.add_argument("folder", type=Path, help="where to write haq-table.toml and haq-table.csv")
    arguments = parser.parse_args()
    path, cells = write_table(arguments.table, arguments.folder)
    graph = mobilenet_v2()
    looked_up = build_table(graph, targets.load(str(path))).latency_s
    computed = build_table(graph, targets.load("cloud")).latency_s
    worst = float(np.max(np.abs(looked_up / computed - 1)))
    print(f"{path}: {cells} cells for {looked_up.size} prices; largest difference from 'cloud' {worst:.1e}")


if __name__ == "__main__":
    main()
