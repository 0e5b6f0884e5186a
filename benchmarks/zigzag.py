"""Compares the prices of ``bitfusion-e`` on dense 8-bit layers with ZigZag's, an independent model: cycles by layer.

    python -m benchmarks.zigzag --python VENV/bin/python

where the environment VENV has ``zigzag-dse==3.9.1`` and ``six``; it needs no haqc, and this one no ZigZag. ZigZag
(Mei et al., IEEE Transactions on Computers 2021) is given the same array, half of each buffer (the other half is being
filled), and the same way to DRAM, and seeks the fastest of its own mappings. Takes about two minutes on one core.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

from haqc import targets
from haqc.costmodel import build_table
from haqc.graph import FULL_BITS, Graph, Layer
from haqc.hardware.bit_composable import BitComposable
from tests.costmodel.mobilenet_v2_layers import mobilenet_v2
from tests.costmodel.resnet18_layers import resnet18

ESTIMATE = Path(__file__).with_name("zigzag_estimate.py")


def unique_layers(graph: Graph) -> list[Layer]:
    """Gives one layer of each shape, without the first, whose columns the host makes, and depthwise ones."""
    found: dict[tuple[object, ...], Layer] = {}
    for layer in graph.layers[1:]:
        shape = (layer.kernel, layer.stride, layer.in_channels, layer.out_channels, layer.rows)
        if not layer.is_depthwise:
            found.setdefault(shape, layer)
    return list(found.values())


def asked(python: Path, hardware: BitComposable, layers: Sequence[Layer]) -> dict[str, float]:
    """Gives the cycles that ZigZag expects each layer to take.

    Raises:
        SystemExit: ZigZag failed; its last lines are the message.
    """
    described = [
        {
            "name": layer.name,
            "out": math.isqrt(layer.rows),
            "channels": [layer.in_channels, layer.out_channels],
            "kernel": next(iter(layer.kernel), 1),
            "stride": next(iter(layer.stride), 1),
        }
        for layer in layers
    ]
    question = {
        "rows": hardware.rows,
        "columns": hardware.columns,
        "interface": hardware.interface_bits_per_cycle,
        "input_bits": int(hardware.input_buffer.half_bits),
        "weight_bits": int(hardware.weight_buffer.half_bits),
        "result_bits": int(hardware.result_buffer.half_bits),
        "layers": described,
    }
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "answer.json"
        # -P: else ZigZag's package would be this file, which lies beside the script and has its name.
        command: list[str | Path] = [python, "-P", ESTIMATE, answer]
        text = json.dumps(question)
        done = subprocess.run(command, input=text, capture_output=True, text=True, cwd=folder, check=False)
        if done.returncode:
            raise SystemExit("\n".join(done.stderr.splitlines()[-5:]))
        return {name: float(cycles) for name, cycles in json.loads(answer.read_text()).items()}


def main() -> None:
    """Prints the cycles of both models, their rank correlation and their distance."""
    parser = argparse.ArgumentParser(description="Compares bitfusion-e with ZigZag on dense layers at 8 bits.")
    parser.add_argument("--python", type=Path, required=True, help="Python of the environment that has zigzag-dse")
    python = parser.parse_args().python.absolute()
    target = targets.load("bitfusion-e")
    assert isinstance(target.hardware, BitComposable)
    every: list[tuple[float, float]] = []
    for graph in (resnet18(), mobilenet_v2()):
        table = build_table(graph, target, batch=1, mode="corrected")
        axes = table.axes
        cell = [bits.index(FULL_BITS) for bits in (axes.weight_bits, axes.activation_bits, axes.output_bits)]
        layers = unique_layers(graph)
        theirs = asked(python, target.hardware, layers)
        pairs = []
        print(f"{graph.name}: layer, MACs, cycles of bitfusion-e (corrected), cycles of ZigZag, ratio")
        for layer in layers:
            ours = float(table.cycles[(table.layer_names.index(layer.name), *cell)])
            other = theirs[layer.name]
            pairs.append((ours, other))
            print(f"{layer.name:8}{layer.macs:>14,}{ours:>14,.0f}{other:>14,.0f}{ours / other:>8.3f}")
        _report(graph.name, pairs)
        every += pairs
    _report("all", every)


def _report(name: str, pairs: Sequence[tuple[float, float]]) -> None:
    ours, theirs = np.array(pairs).T
    error = 100 * float(np.mean(np.abs(ours / theirs - 1)))
    rank = float(spearmanr(ours, theirs).statistic)
    total = float(ours.sum() / theirs.sum())
    print(f"{name}: {len(pairs)} layers, rank correlation {rank:.3f}, mean error {error:.1f} %, total {total:.3f}")


if __name__ == "__main__":
    main()
