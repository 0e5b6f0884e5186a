"""What training or a reconstruction makes of a network, and the choice among what was tried on the way."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from haqc.mirror.quantised import QuantisedMirror, State
from haqc.recovery import Reconstruction, Recovery


@dataclass(frozen=True, slots=True)
class Tuned:
    """A network after the long fine-tune or a reconstruction.

    Attributes:
        state: what became of it.
        accuracy: its quality on the search split.
        recovery: what a reconstruction did; ``None`` after a fine-tune.
    """

    state: State
    accuracy: float
    recovery: Recovery | None = None

    def beside(self, later: Tuned) -> Tuned:
        """Gives the better of two ways to recover one network, the later of equals, with what both have tried."""
        assert self.recovery is not None
        assert later.recovery is not None
        best = later if later.accuracy >= self.accuracy else self
        return replace(best, recovery=self.recovery.beside(later.recovery))


@dataclass
class Best:
    """The best of some states, the last among equal ones."""

    score: float = -math.inf
    state: State | None = None

    def offer(self, score: float, state: Callable[[], State]) -> None:
        """Takes a state if no other scored better."""
        if score >= self.score:
            self.score, self.state = score, state()


class Attempts:
    """What is tried on one network, each scored; the network as it was is the first of them."""

    def __init__(self, network: QuantisedMirror, quality: Callable[[QuantisedMirror], float]) -> None:
        self._network, self._quality = network, quality
        self.plain, self._before = network.state(), quality(network)
        self._best, self._tried = Best(self._before, self.plain), dict[str, float]()

    def offer(self, name: str) -> None:
        """Scores the network as it is now; of several of one name the best score stands."""
        score = self._quality(self._network)
        self._tried[name] = max(score, self._tried.get(name, score))
        self._best.offer(score, self._network.state)

    def tuned(self, done: Reconstruction) -> Tuned:
        """Gives the best, the last of equals."""
        assert self._best.state is not None
        return Tuned(self._best.state, self._best.score, Recovery(done, self._before, self._tried))
