"""Probe inputs and what the mirror computed on them, so that an emitted file can be checked without the mirror."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from haqc.errors import DataError
from haqc.npz import read_npz

PROBES = 64
"""How many inputs are kept."""

LARGEST_BYTES = 1 << 28
"""Codes of all probes together stay below this; larger feature maps get fewer probes, which the report says."""

PART_SAMPLES = 16
"""Probes run in parts of at most this many, so that memory stays bounded whatever the feature maps' size."""

TIE_MARGIN = 1e-3
"""Steps around a tie within which torch and onnxruntime, which sum in different orders, may round differently."""

LARGEST_MARGIN = 0.1
"""The same at most, of a tensor that a formula which enlarges float32's rounding errors computes."""

ROUNDING_FACTOR = 3
"""How many times float32's own error, found in double precision, two runtimes may be apart."""


@dataclass(frozen=True)
class Probe:
    """What the mirror computed on a few inputs.

    Attributes:
        inputs: arrays by graph input, shape ``[P, ...]``.
        codes: the mirror's uint8 codes by activation tensor. Where the batch is not a tensor's first axis, the parts in
            which probes run (see :func:`parts`) still lie one behind the other along the first.
        near_tie: where a code lies within the tensor's margin of a tie, by activation tensor.
        outputs: the mirror's float outputs by graph output.
        floats: what it computed between its layers, float32, by tensor; only of networks that quantise weights alone.
        weights: the weights that such a network unpacks from its codebooks, float32, by name.
        margins: steps around a tie within which rounding is in doubt, by activation tensor, where these are more than
            ``TIE_MARGIN``; see :func:`margin`.
    """

    inputs: Mapping[str, np.ndarray]
    codes: Mapping[str, np.ndarray]
    near_tie: Mapping[str, np.ndarray]
    outputs: Mapping[str, np.ndarray]
    floats: Mapping[str, np.ndarray] = field(default_factory=dict)
    weights: Mapping[str, np.ndarray] = field(default_factory=dict)
    margins: Mapping[str, float] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(next(iter(self.inputs.values())))

    @classmethod
    def join(cls, probes: Sequence[Probe]) -> Probe:
        """Lays probes of one network, with the same margins, one behind the other."""

        def joined(group: str) -> dict[str, np.ndarray]:
            arrays = [getattr(probe, group) for probe in probes]
            return {name: np.concatenate([np.atleast_1d(part[name]) for part in arrays]) for name in arrays[0]}

        return cls(
            joined("inputs"), joined("codes"), joined("near_tie"), joined("outputs"), joined("floats"),
            probes[0].weights, probes[0].margins,
        )  # fmt: skip

    def save(self, path: Path) -> None:
        """Writes the probe as an ``.npz``: numbered arrays, and their names as JSON (names of tensors are no paths)."""
        groups = {"inputs": self.inputs, "codes": self.codes, "near_tie": self.near_tie, "outputs": self.outputs}
        groups |= {"floats": self.floats, "weights": self.weights}
        names = {group: list(arrays) for group, arrays in groups.items()} | {"margins": dict(self.margins)}
        members: dict[str, Any] = {
            f"{group}.{index}": np.packbits(array, axis=None) if group == "near_tie" else array
            for group, arrays in groups.items()
            for index, array in enumerate(arrays.values())
        }
        np.savez_compressed(path, names=np.frombuffer(json.dumps(names).encode(), np.uint8), **members)

    @classmethod
    def load(cls, path: Path) -> Probe:
        """Reads a probe.

        Raises:
            DataError: the file is missing or is not a probe.
        """
        if not path.is_file():
            raise DataError(f"'{path}' is missing; verify the model file alone, or compile again")
        try:
            arrays = read_npz(path)
            names = json.loads(arrays["names"].tobytes())
            groups = {
                group: {str(name): arrays[f"{group}.{index}"] for index, name in enumerate(names[group])}
                for group in ("inputs", "codes", "near_tie", "outputs", "floats", "weights")
            }
            margins = {str(name): float(steps) for name, steps in names.get("margins", {}).items()}
            ties = {name: _unpacked(groups["near_tie"][name], codes) for name, codes in groups["codes"].items()}
        except Exception as error:  # names that are none raise many kinds
            raise DataError(f"'{path}' is not a probe written by haqc; compile again") from error
        return cls(
            groups["inputs"], groups["codes"], ties, groups["outputs"], groups["floats"], groups["weights"], margins
        )


def margin(error: float) -> float:
    """Gives the steps around a tie within which two runtimes may round a tensor differently.

    Args:
        error: float32's own largest error on it, in steps.

    >>> margin(1e-5), margin(0.01), margin(2.0)
    (0.001, 0.03, 0.1)
    """
    return max(TIE_MARGIN, min(LARGEST_MARGIN, ROUNDING_FACTOR * error))


def _unpacked(packed: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Gives one truth value for every code.

    Raises:
        ValueError: the codes are no bytes, or there are not as many bits as codes.
    """
    if codes.dtype != np.uint8 or packed.size != -(-codes.size // 8):
        raise ValueError("codes and ties do not fit each other")
    return np.unpackbits(packed, count=codes.size).reshape(codes.shape) > 0


def parts(count: int, samples_per_run: int | None = None) -> int:
    """Gives the number of equal parts in which ``count`` probes run, of at most ``PART_SAMPLES`` each.

    Args:
        count: probes in all.
        samples_per_run: how many the model takes at a time, no more and no fewer; ``None`` for any number.

    >>> parts(64), parts(16), parts(21), parts(8, 2)
    (4, 1, 3, 4)
    """
    if samples_per_run is not None:
        return max(1, count // samples_per_run)
    return next(number for number in range(-(-count // PART_SAMPLES), count + 1) if count % number == 0)
