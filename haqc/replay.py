"""What an agent learns from: episodes, and a memory of their steps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

Array = np.ndarray[tuple[int, ...], np.dtype[np.float32]]


@dataclass(frozen=True, slots=True, eq=False)
class Episode:
    """One walk: states ``[steps, state_size]``, actions ``[steps]`` in [0, 1], and the one reward all steps share."""

    states: Array
    actions: Array
    reward: float

    def __post_init__(self) -> None:
        if self.states.ndim != 2 or self.actions.shape != self.states.shape[:1]:
            raise ValueError(f"states {self.states.shape} and actions {self.actions.shape} do not belong together")


class Replay:
    """A ring of transitions whose memory is taken once."""

    def __init__(self, capacity: int, state_size: int) -> None:
        self.state = torch.zeros(capacity, state_size)
        self.next_state = torch.zeros(capacity, state_size)
        self.action = torch.zeros(capacity, 1)
        self.reward = torch.zeros(capacity, 1)
        self.goes_on = torch.zeros(capacity, 1)
        self.capacity = capacity
        self.stored = 0

    def __len__(self) -> int:
        return min(self.stored, self.capacity)

    def add(self, episode: Episode, reward: float) -> None:
        """Stores the transitions of an episode, each with the same ``reward``."""
        last = len(episode.actions) - 1
        for step, (state, action) in enumerate(zip(episode.states, episode.actions, strict=True)):
            slot = self.stored % self.capacity
            self.state[slot] = torch.from_numpy(state)
            self.action[slot] = float(action)
            self.reward[slot] = reward
            self.goes_on[slot] = float(step < last)
            self.next_state[slot] = torch.from_numpy(episode.states[min(step + 1, last)])
            self.stored += 1

    def draw(self, count: int, generator: np.random.Generator) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Draws transitions without replacement: state, action, reward, next state, whether the episode goes on."""
        picks = torch.from_numpy(generator.choice(len(self), size=min(count, len(self)), replace=False))
        return self.state[picks], self.action[picks], self.reward[picks], self.next_state[picks], self.goes_on[picks]
