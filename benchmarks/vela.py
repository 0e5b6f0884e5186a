"""Compares the prices of the Ethos-U targets with the estimates of Arm's own compiler, layer by layer.

    python benchmarks/vela.py --vela VENV/bin/python

where the environment VENV has ``ethos-u-vela==5.2.0``; it needs no haqc, and this one no Vela. Each network runs as a
chain of int8 layers, residual sums left out. The first network is the one that ``channels_per_pass`` was fitted to.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from haqc import targets
from haqc.costmodel import build_table
from haqc.graph import Layer
from tests.costmodel.mobilenet_v2_layers import chain, convolution, dense, mobilenet_v2_layers

SYSTEMS = {
    "ethos-u55-128": ("Ethos_U55_High_End_Embedded", "Shared_Sram"),
    "ethos-u65-512": ("Ethos_U65_Client_Server", "Dedicated_Sram_384KB"),
}
"""Vela's system and memory mode of each target."""


def convolutions(plan: Sequence[tuple[int, int, int]], size: int, channels: int, *, separable: bool) -> list[Layer]:
    """Makes a chain from (outputs, kernel, stride); a separable one has a depthwise layer before each but the first."""
    layers: list[Layer] = []

    def add(outputs: int, kernel: int, stride: int, groups: int) -> None:
        nonlocal size, channels
        name, source = f"conv{len(layers)}", layers[-1].output if layers else "x"
        shape = (channels, outputs)
        layers.append(convolution(name, source, shape, kernel=kernel, stride=stride, groups=groups, size_in=size))
        channels, size = outputs, -(-size // stride)

    for outputs, kernel, stride in plan:
        if separable and layers:
            add(channels, kernel, stride, channels)
            add(outputs, 1, 1, 1)
        else:
            add(outputs, kernel, stride, 1)
    return [*layers, dense("fc", layers[-1].output, channels, 10)]


def networks() -> dict[str, list[Layer]]:
    """Makes the networks, by name."""
    stages = [(64, 3, 1)] * 3 + [(128, 3, 2)] + [(128, 3, 1)] * 3 + [(256, 3, 2)] + [(256, 3, 1)] * 3
    stages += [(512, 3, 2)] + [(512, 3, 1)] * 3
    thin = [(16, 3, 2), (32, 3, 1), (64, 3, 2), (64, 3, 1), (128, 3, 2), (128, 3, 1), (256, 3, 2), (256, 3, 1)]
    return {
        "mobilenet-v2": mobilenet_v2_layers(),
        "resnet-18 chain": convolutions([(64, 7, 2), (64, 3, 2), *stages], 224, 3, separable=False),
        "mobilenet-v1 0.25 chain": convolutions([(8, 3, 2), *thin], 96, 3, separable=True),
    }


def described(layers: Sequence[Layer]) -> list[dict[str, Any]]:
    """Describes a chain to the script that runs in Vela's environment; a pool stands before the dense layer."""
    found: list[dict[str, Any]] = []
    for layer in layers:
        channels, size = [layer.in_channels, layer.out_channels], [1, 1]
        if layer.is_dense:
            side, wide = found[-1]["size"][1], found[-1]["channels"][1]
            pool = {"name": "pool", "op": "pool", "size": [side, 1], "channels": [wide, wide]}
            found.append({**pool, "kernel": side, "stride": 1})
        else:
            size = [math.isqrt(layer.feature_size), math.isqrt(layer.rows)]
        op = "dense" if layer.is_dense else "depthwise" if layer.is_depthwise else "conv"
        kernel, stride = next(iter(layer.kernel), 1), next(iter(layer.stride), 1)
        found.append(
            {"name": layer.name, "op": op, "size": size, "channels": channels, "kernel": kernel, "stride": stride}
        )
    return found


def asked(python: str, target: str, layers: Sequence[Layer]) -> dict[str, dict[str, float]]:
    """Gives what Vela expects of each layer, in cycles."""
    system, memory = SYSTEMS[target]
    request = {"accelerator": target, "system": system, "memory": memory, "layers": described(layers)}
    script = Path(__file__).with_name("vela_estimate.py")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cycles.json"
        command = [python, str(script), str(path)]
        done = subprocess.run(command, input=json.dumps(request), capture_output=True, text=True, check=False)
        if done.returncode or not path.exists():
            raise SystemExit(f"Vela failed on {target}: {(done.stdout + done.stderr)[-2000:]}")
        answer: dict[str, dict[str, float]] = json.loads(path.read_text(encoding="utf-8"))
    return answer


def main() -> None:
    """Prints one line a network and target, and with --layers one line a layer."""
    parser = argparse.ArgumentParser(description="Compares Ethos-U prices with Vela's.")
    parser.add_argument("--vela", required=True, help="the Python of an environment with ethos-u-vela")
    parser.add_argument("--layers", action="store_true", help="print every layer")
    arguments = parser.parse_args()
    pooled: dict[str, list[tuple[float, float]]] = {target: [] for target in SYSTEMS}
    for name, layers in networks().items():
        graph = chain(layers, name)
        for target in SYSTEMS:
            start = time.perf_counter()
            table = build_table(graph, targets.load(target))
            elapsed_ms = 1e3 * (time.perf_counter() - start)
            ours = table.cycles[:, table.axes.weight_bits.index(8), table.axes.activation_bits.index(8), 0]
            answer = asked(arguments.vela, target, layers)
            theirs = np.array([answer[layer.name]["cycles"] for layer in layers])
            pooled[target] += zip(ours.tolist(), theirs.tolist(), strict=True)
            ratio = ours / theirs
            rank = spearmanr(ours, theirs).statistic
            print(
                f"{name} on {target}: {len(layers)} layers, rank correlation {rank:.4f}, mean error "
                f"{100 * np.abs(ratio - 1).mean():.1f} %, total {ours.sum() / theirs.sum():.3f} of Vela's "
                f"({ours[1:].sum() / theirs[1:].sum():.3f} without the first layer), built in {elapsed_ms:.2f} ms"
            )
            if arguments.layers:
                for layer, mine, other in zip(layers, ours, theirs, strict=True):
                    sys.stdout.write(
                        f"  {layer.name:8} {layer.kind:9} {mine:12,.0f} {other:12,.0f}  {mine / other:.3f}\n"
                    )
    for target, pairs in pooled.items():
        ours, theirs = np.array(pairs).T
        error = 100 * np.abs(ours / theirs - 1)
        print(
            f"all on {target}: {len(pairs)} layers, rank correlation {spearmanr(ours, theirs).statistic:.4f}, "
            f"mean error {error.mean():.1f} %, median {np.median(error):.1f} %"
        )


if __name__ == "__main__":
    main()
