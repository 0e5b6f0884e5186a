"""Probe inputs and what the mirror computed on them, so that an emitted file can be checked without the mirror."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from haqc.errors import DataError

PROBES = 64
"""How many inputs are kept."""

LARGEST_BYTES = 1 << 28
"""Codes of all probes together stay below this; a network with larger feature maps gets fewer probes, which the report says."""

TIE_MARGIN = 1e-3
"""Steps around a tie within which torch and onnxruntime, which sum in different orders, may round differently."""


@dataclass(frozen=True)
class Probe:
    """What the mirror computed on a few inputs.

    Attributes:
        inputs: arrays by graph input, shape ``[P, ...]``.
        codes: the mirror's uint8 codes by activation tensor, shape ``[P, ...]``.
        near_tie: where a code lies within ``TIE_MARGIN`` steps of a tie, by activation tensor.
        outputs: the mirror's float outputs by graph output.
    """

    inputs: Mapping[str, np.ndarray]
    codes: Mapping[str, np.ndarray]
    near_tie: Mapping[str, np.ndarray]
    outputs: Mapping[str, np.ndarray]

    def __len__(self) -> int:
        return len(next(iter(self.inputs.values())))

    def save(self, path: Path) -> None:
        """Writes the probe as an ``.npz``: numbered arrays, and their names as JSON (names of tensors are no paths)."""
        groups = {"inputs": self.inputs, "codes": self.codes, "near_tie": self.near_tie, "outputs": self.outputs}
        names = {group: list(arrays) for group, arrays in groups.items()}
        members = {
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
        try:
            with np.load(path, allow_pickle=False) as file:
                names = json.loads(file["names"].tobytes())
                groups = {
                    group: {str(name): file[f"{group}.{index}"] for index, name in enumerate(names[group])}
                    for group in ("inputs", "codes", "near_tie", "outputs")
                }
        except FileNotFoundError as error:
            raise DataError(f"'{path}' is missing; verify the model file alone, or compile again") from error
        except Exception as error:  # a damaged zip raises many kinds
            raise DataError(f"'{path}' is not a probe written by haqc; compile again") from error
        ties = {
            name: np.unpackbits(packed, count=groups["codes"][name].size).reshape(groups["codes"][name].shape) > 0
            for name, packed in groups["near_tie"].items()
        }
        return cls(groups["inputs"], groups["codes"], ties, groups["outputs"])
