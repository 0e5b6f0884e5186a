"""A small DDPG agent for short episodes of one action in [0, 1] per step; it knows nothing of quantisation.

Deep deterministic policy gradient after Lillicrap et al., 2016 (arXiv 1509.02971), with the values of HAQ (Wang et al.,
CVPR 2019). Every random number comes from the agent's own generators, and training runs on one thread, so
equal seeds and equal episodes give equal agents.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from haqc.replay import Array, Episode, Replay


@dataclass(frozen=True, slots=True)
class AgentOptions:
    """What the agent can be told; the defaults and their sources stand in ``docs/search.md``.

    Attributes:
        hidden: widths of the two hidden layers of actor and critic.
        actor_rate, critic_rate: learning rates of Adam.
        discount: gamma of the Bellman target.
        soft_update: tau, the share of the new weights that moves into the target networks per update.
        minibatch: transitions per update.
        updates_per_step: gradient updates for each step of a new episode.
        replay_episodes: whole episodes the replay memory holds before it forgets the oldest.
        noise: standard deviation of the exploration noise before it decays.
        noise_decay: factor per episode, at a schedule of ``noise_episodes``; shorter runs decay faster in proportion.
        noise_episodes: length of the schedule that ``noise_decay`` was made for.
        warm_up: share of the episodes whose actions are uniformly random, and after which learning starts.
        baseline_decay: weight of the past in the moving average of rewards.
    """

    hidden: tuple[int, int] = (300, 300)
    actor_rate: float = 1e-4
    critic_rate: float = 1e-3
    discount: float = 1.0
    soft_update: float = 0.01
    minibatch: int = 64
    updates_per_step: float = 1.0
    replay_episodes: int = 128
    noise: float = 0.5
    noise_decay: float = 0.99
    noise_episodes: int = 600
    warm_up: float = 0.25
    baseline_decay: float = 0.95


class Actor(nn.Module):
    """Gives an action in [0, 1], shape ``[n, 1]``, for states ``[n, state_size]``."""

    def __init__(self, state_size: int, hidden: tuple[int, int], generator: torch.Generator) -> None:
        super().__init__()
        self.first = _linear(state_size, hidden[0], generator)
        self.second = _linear(hidden[0], hidden[1], generator)
        self.action = _linear(hidden[1], 1, generator)

    def forward(self, state: Tensor) -> Tensor:
        """Gives the actions."""
        action: Tensor = self.action(F.relu(self.second(F.relu(self.first(state)))))
        return torch.sigmoid(action)


class Critic(nn.Module):
    """Gives the value, shape ``[n, 1]``, of actions ``[n, 1]`` in states ``[n, state_size]``."""

    def __init__(self, state_size: int, hidden: tuple[int, int], generator: torch.Generator) -> None:
        super().__init__()
        self.state = _linear(state_size, hidden[0], generator)
        self.action = _linear(1, hidden[0], generator)
        self.second = _linear(hidden[0], hidden[1], generator)
        self.value = _linear(hidden[1], 1, generator)

    def forward(self, state: Tensor, action: Tensor) -> Tensor:
        """Gives the values."""
        value: Tensor = self.value(F.relu(self.second(F.relu(self.state(state) + self.action(action)))))
        return value


class Agent:
    """Acts, remembers and learns.

    Args:
        state_size: length of a state.
        steps: steps of one episode.
        episodes: how many episodes the run is planned for; the noise schedule and the warm-up refer to it.
        options: learning rates and the like.
        seed: seed of both generators.
    """

    def __init__(self, state_size: int, steps: int, episodes: int, options: AgentOptions, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        self._draw = np.random.default_rng(seed)
        self._options = options
        self._steps = steps
        self._episodes = episodes
        self._warm_up = math.ceil(round(options.warm_up * episodes, 9))  # 21/600 of 600 is 21, and not 22
        self._baseline: float | None = None
        self._actor = Actor(state_size, options.hidden, generator)
        self._critic = Critic(state_size, options.hidden, generator)
        self._actor_target, self._critic_target = deepcopy(self._actor), deepcopy(self._critic)
        self._actor_step = torch.optim.Adam(self._actor.parameters(), lr=options.actor_rate)
        self._critic_step = torch.optim.Adam(self._critic.parameters(), lr=options.critic_rate)
        self._replay = Replay(max(1, options.replay_episodes * steps), state_size)

    def sigma(self, episode: int) -> float:
        """Gives the standard deviation of the noise in an episode, counted from 0."""
        o = self._options
        elapsed = max(0, episode - self._warm_up) * o.noise_episodes / self._episodes
        return o.noise * math.pow(o.noise_decay, elapsed)

    def act(self, state: Array, episode: int, widening: float = 1.0) -> float:
        """Gives an exploring action in [0, 1]: uniform during the warm-up, then truncated normal around the actor's.

        Args:
            state: what the agent sees, shape ``[state_size]``.
            episode: the episode's number, counted from 0.
            widening: factor on the noise, which stays below where it began.
        """
        if episode < self._warm_up:
            return float(self._draw.uniform())
        return self._truncated_normal(self.choose(state), min(self._options.noise, widening * self.sigma(episode)))

    def choose(self, state: Array) -> float:
        """Gives the actor's own action in [0, 1], without noise."""
        with torch.no_grad(), _one_thread():
            action: Tensor = self._actor(torch.from_numpy(state).unsqueeze(0))
            return float(action.item())

    def remember(self, episode: Episode) -> None:
        """Stores an episode and moves the baseline towards its reward."""
        keep = self._options.baseline_decay
        past = episode.reward if self._baseline is None else self._baseline
        self._baseline = keep * past + (1 - keep) * episode.reward
        self._replay.add(episode, episode.reward)

    def train(self, episodes: int = 1) -> None:
        """Learns from the replay memory, for so many new episodes; does nothing before the warm-up ends."""
        if self._replay.stored < self._warm_up * self._steps:
            return
        with _one_thread():
            for _ in range(math.ceil(episodes * self._steps * self._options.updates_per_step)):
                self._update()

    def state(self) -> dict[str, Array]:
        """Gives copies of the weights of actor and critic by name, for comparison and inspection."""
        named = {f"actor.{name}": value for name, value in self._actor.state_dict().items()}
        named |= {f"critic.{name}": value for name, value in self._critic.state_dict().items()}
        return {name: value.numpy().copy() for name, value in named.items()}

    def load(self, weights: Mapping[str, Array]) -> None:
        """Goes on from the weights of another agent, as :meth:`state` gave them; what that one remembered is not known.

        Raises:
            ValueError: they are of another shape, or not finite.
        """
        expected = {name: value.shape for name, value in self.state().items()}
        found = {name: value.shape for name, value in weights.items()}
        if expected != found or not all(np.isfinite(value).all() for value in weights.values()):
            raise ValueError("these are not the weights of such an agent")
        for name, network in (("actor", self._actor), ("critic", self._critic)):
            for part, parameter in network.state_dict().items():
                parameter.copy_(torch.from_numpy(np.ascontiguousarray(weights[f"{name}.{part}"], np.float32)))
        self._actor_target.load_state_dict(self._actor.state_dict())
        self._critic_target.load_state_dict(self._critic.state_dict())

    def _truncated_normal(self, mean: float, sigma: float) -> float:
        """Draws from a normal distribution confined to [0, 1], by inverting its distribution function."""
        normal = NormalDist(mean, max(sigma, 1e-9))
        level = self._draw.uniform(normal.cdf(0.0), normal.cdf(1.0))
        return min(1.0, max(0.0, normal.inv_cdf(min(max(level, 1e-12), 1 - 1e-12))))

    def _update(self) -> None:
        """Does one step of critic and actor. Target: R - B + gamma Q'(next, pi'(next)), as in HAQ."""
        o = self._options
        state, action, reward, next_state, goes_on = self._replay.draw(o.minibatch, self._draw)
        with torch.no_grad():
            future = self._critic_target(next_state, self._actor_target(next_state))
            target = reward - (self._baseline or 0.0) + o.discount * goes_on * future
        critic_loss = F.mse_loss(self._critic(state, action), target)
        self._critic_step.zero_grad()
        critic_loss.backward()  # type: ignore[no-untyped-call]
        self._critic_step.step()

        actor_loss = -self._critic(state, self._actor(state)).mean()
        self._actor_step.zero_grad()
        actor_loss.backward()
        self._actor_step.step()

        _follow(self._actor_target, self._actor, o.soft_update)
        _follow(self._critic_target, self._critic, o.soft_update)


def _linear(inputs: int, outputs: int, generator: torch.Generator) -> nn.Linear:
    """Makes a fully connected layer whose weights come from ``generator``, uniform in +-1/sqrt(inputs)."""
    layer: nn.Linear = nn.utils.skip_init(nn.Linear, inputs, outputs)  # type: ignore[no-untyped-call]
    bound = 1 / math.sqrt(inputs)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.uniform_(-bound, bound, generator=generator)
    return layer


def _follow(target: nn.Module, source: nn.Module, share: float) -> None:
    with torch.no_grad():
        for slow, fast in zip(target.parameters(), source.parameters(), strict=True):
            slow.lerp_(fast, share)


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Confines torch to one thread: sums over threads differ from run to run, and these matrices are small."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
