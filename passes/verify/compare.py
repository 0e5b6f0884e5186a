"""The rules by which codes and floats of an emitted file count as equal."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from haqc.gap import gap_between
from haqc.passes.verify.consumer import Compared, Consumer, TensorDifference, consumer
from haqc.passes.verify.cut import GIVEN, Cut
from haqc.probe import Probe, parts
from haqc.runtime import Runtime

DEFAULTS_SHARE = 1e-3
"""Share of a tensor's codes that may differ by one at the runtime's defaults."""

OUTPUT_TOLERANCE = 1e-4
"""Difference of float outputs, as a share of their largest magnitude, allowed between the mirror and the runtime."""


def against_mirror(tensor: str, codes: np.ndarray, probe: Probe) -> TensorDifference:
    """Compares codes with the mirror's, from the same codes before them: by one at most, and only near a tie."""
    gap = np.abs(codes.astype(np.int16) - probe.codes[tensor])
    ok = bool(((gap == 0) | ((gap == 1) & probe.near_tie[tensor])).all())
    return TensorDifference(tensor, gap.size, int((gap > 0).sum()), int(gap.max()), ok)


def against_unoptimised(
    name: str, version: str, got: Mapping[str, np.ndarray], pieces: Cut, cut: Runtime, inputs: Mapping[str, np.ndarray]
) -> Consumer:
    """Compares what a runtime gave for the intact file with onnxruntime, unoptimised, on that runtime's own codes.

    Args:
        name, version: the runtime's.
        got: its codes and outputs, by the names of :attr:`Cut.exposed_model`.
        pieces: the file.
        cut: its pieces, unoptimised.
        inputs: what the runtime was given.
    """
    given = {GIVEN + code: got[code] for code in pieces.codes.values()}
    expected = run_in_parts(cut, {**inputs, **given})
    differences = []
    for tensor, code in pieces.codes.items():
        gap = np.abs(got[code].astype(np.int16) - expected[code])
        different = int((gap > 0).sum())
        ok = bool(gap.max() <= 1) and different < max(DEFAULTS_SHARE * gap.size, 1)
        differences.append(TensorDifference(tensor, gap.size, different, int(gap.max()), ok))
    outputs = {name: expected[name] for name in expected if name not in pieces.codes.values()}
    compared: Compared = "codes" if pieces.codes else "values"
    output = output_difference(got, outputs, pieces.least)
    return consumer(name, version, "onnxruntime, unoptimised", compared, differences, output)


def output_difference(
    got: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray], least: Mapping[str, float]
) -> str | None:
    """Says how an output differs, if one does; ``least`` has the magnitudes to assume, see :mod:`haqc.gap`."""
    for name, reference in expected.items():
        gap = gap_between(got[name], reference, least.get(name, 0.0))
        if not gap <= OUTPUT_TOLERANCE:
            return f"output '{name}' differs by {gap:.3g} of its largest magnitude"
    return None


def run_in_parts(runtime: Runtime, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Runs in the parts that the mirror's probes ran in; the first input has the batch first."""
    count = parts(len(next(iter(inputs.values()))), runtime.samples_per_run)
    pieces = zip(*(np.split(array, count) for array in inputs.values()), strict=True)
    results = [runtime.run(dict(zip(inputs, piece, strict=True))) for piece in pieces]
    return {name: np.concatenate([np.atleast_1d(result[name]) for result in results]) for name in results[0]}
