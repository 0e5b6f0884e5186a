"""Times the cost table of MobileNet-V2 on ``cloud``: building it, and pricing policies with it.

Run from the root of the repository, on one core::

    OMP_NUM_THREADS=1 python -m benchmarks.cost_table

The plain loop adds three figures a layer from nested lists, as a search without the table's arrays would.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np

from haqc import targets
from haqc.costmodel import CostTable, build_table
from haqc.policy import baseline
from tests.costmodel.mobilenet_v2_layers import mobilenet_v2

POLICIES = 200_000
PLAIN_POLICIES = 2_000


def seconds_of(work: Callable[[], object], repeats: int) -> list[float]:
    """Times ``work`` ``repeats`` times, after one run that is not counted."""
    work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return times


def price_plainly(table: CostTable, weight_bits: list[list[int]], activation_bits: list[list[int]]) -> list[float]:
    """Prices policies, [policy][layer], in plain Python; gives their energies (J)."""
    energy_j, latency_s = table.energy_j[..., 0].tolist(), table.latency_s[..., 0].tolist()
    weight_bytes = table.storage.packed_bytes.tolist()
    energies = []
    for weights, activations in zip(weight_bits, activation_bits, strict=True):
        energy = latency = size = 0.0
        for layer, (w, a) in enumerate(zip(weights, activations, strict=True)):
            energy += energy_j[layer][w - 1][a - 1]
            latency += latency_s[layer][w - 1][a - 1]
            size += weight_bytes[layer][w - 1]
        energies.append(energy)
    return energies


def main() -> None:
    """Prints the figures, one a line."""
    graph, target = mobilenet_v2(), targets.load("cloud")
    build = seconds_of(lambda: build_table(graph, target).energy_j, 50)
    least, middle = 1e3 * min(build), 1e3 * statistics.median(build)
    print(f"build {len(graph.layers)} x 8 x 8: min {least:.3f} ms, median {middle:.3f} ms")

    table = build_table(graph, target)
    policy = baseline(graph)
    single = statistics.median(seconds_of(lambda: table.price(policy), 500))
    print(f"price one policy, peak memory included: median {1e6 * single:.1f} us")

    generator = np.random.default_rng(0)
    shape = (len(graph.layers), POLICIES)
    weight_bits = generator.integers(1, 9, shape, dtype=np.uint8)
    activation_bits = generator.integers(1, 9, shape, dtype=np.uint8)
    many = statistics.median(seconds_of(lambda: table.price_many(weight_bits, activation_bits), 10)) / POLICIES
    print(f"price {POLICIES:,} policies: {1 / many:,.0f} policies per second")

    plain = weight_bits[:, :PLAIN_POLICIES].T.tolist(), activation_bits[:, :PLAIN_POLICIES].T.tolist()
    energies = table.price_many(weight_bits, activation_bits)["energy_j"]
    if price_plainly(table, *plain) != energies[:PLAIN_POLICIES].tolist():
        raise SystemExit("the plain loop and the table disagree")
    loop = statistics.median(seconds_of(lambda: price_plainly(table, *plain), 5)) / PLAIN_POLICIES
    print(f"plain Python loop: {1 / loop:,.0f} policies per second; the table is {loop / many:,.0f} times as fast")


if __name__ == "__main__":
    main()
