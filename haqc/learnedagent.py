"""An agent that has learnt on another model or target, as its compile kept it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from haqc.ddpg import Agent
from haqc.errors import DataError
from haqc.folder import AGENT
from haqc.npz import read_npz
from haqc.passes.search import SearchOptions
from haqc.passes.search.state import STATE_SIZE
from haqc.replay import Array

LARGEST_BYTES = 1 << 24
"""A file that is larger is none of ours, and is not opened."""


@dataclass(frozen=True, eq=False)
class LearnedAgent:
    """What an agent knows.

    Attributes:
        weights: of its networks, by name.
        digest: of the file they came from.
    """

    weights: Mapping[str, Array]
    digest: str

    @classmethod
    def read(cls, folder: Path) -> LearnedAgent:
        """Reads the agent that a compile left in its folder.

        Raises:
            DataError: there is none, its file is damaged, or it is of another shape than today's agent.
        """
        file = folder / AGENT
        advice = (
            "name the folder of a compile whose allocators had 'ddpg' among them and widths to choose from, or leave "
            "--agent-from out"
        )
        if not file.is_file():
            raise DataError(f"'{folder}' holds no agent ({AGENT} is missing); {advice}")
        if file.stat().st_size > LARGEST_BYTES:
            raise DataError(f"'{file}' is larger than {LARGEST_BYTES >> 20} MiB, so it is no agent; {advice}")
        weights = read_npz(file)
        expected = Agent(STATE_SIZE, 1, 1, SearchOptions().networks, 0).state()
        for name in sorted({*expected, *weights}):
            found, wanted = (_described(each.get(name)) for each in (weights, expected))
            if found != wanted:
                raise DataError(f"'{file}' has {found} for '{name}' where this version's agent has {wanted}; {advice}")
        if not all(np.isfinite(values).all() for values in weights.values()):
            raise DataError(f"'{file}' holds weights that are no finite numbers; {advice}")
        return cls(weights, hashlib.sha256(file.read_bytes()).hexdigest())


def _described(values: np.ndarray | None) -> str:
    return "nothing" if values is None else f"{list(values.shape)} of {values.dtype}"
