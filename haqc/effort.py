"""How much a compile runs: as much as serves small networks, and what can be afforded of large ones.

Every phase may spend a fixed amount of work; what it runs follows from the work that one sample takes. Time plays no
part, so equal inputs give equal counts on every machine.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

from haqc.graph import Graph

_OPERATIONS_PER_VALUE = 16
"""Work of storing, quantising and reading one activation value, in multiply-accumulates."""

_CALIBRATION_WORK = 64e9
_CLIP_WORK = 4e12
_SENSITIVITY_WORK = 4e12
_SCORE_WORK = 256e9
_SHORT_WORK = 128e9
_LONG_WORK = 14e12
_RECONSTRUCT_WORK = 10e12
_PROBE_WORK = 8e9
TRAINING_FACTOR = 3
"""A training step runs forward once and backward at twice the work."""

_SMALLEST_TRAINING = 128
"""A fine-tune on fewer samples changes nothing but the noise, so it is left out."""

_LARGEST_RUN_VALUES = 1 << 20
"""Values of the largest tensor in one run forward: so few that a processor's caches hold most of what moves."""

_LARGEST_STEP_VALUES = 1 << 26
"""Values of all tensors in one training step."""


@dataclass(frozen=True, slots=True)
class Effort:
    """What a compile runs of a model.

    Attributes:
        calibration: training samples that choose the grids.
        clip: training samples on which the steps of activations are chosen by the tensors behind them.
        sensitivity: training samples on which each operand alone is quantised at each width.
        search: samples of the search split that score a policy.
        short, long: training samples of the fine-tune behind every score, and of the winner's, where there are labels.
        reconstruct: samples, counted with repetition, on which each stretch of a network without labels is fitted.
        run: samples that run forward together at most.
        step: samples of one training step at most.
        probes: samples with which each range is tried that an input may have, where there are no data.
        made_up: samples that are made up to train, to search and to report on, where there are no data.
    """

    calibration: int
    clip: int
    sensitivity: int
    search: int
    short: int
    long: int
    reconstruct: int
    run: int
    step: int
    probes: int
    made_up: tuple[int, int, int]

    @classmethod
    def of(cls, graph: Graph, settings: int) -> Effort:
        """Chooses the counts.

        Args:
            graph: the model.
            settings: widths of free operands, summed over the operands: what sensitivity measures.
        """
        values = [*graph.tensor_values.values(), 1]
        work = max(1, graph.macs + _OPERATIONS_PER_VALUE * sum(values))
        return cls(
            calibration=_count(_CALIBRATION_WORK, work, 16, 512),
            clip=_count(_CLIP_WORK, work * max(1, settings), 4, 64),
            sensitivity=_count(_SENSITIVITY_WORK, work * max(1, settings), 1, 128),
            search=_count(_SCORE_WORK, work, 16, 2_000),
            short=_training(_SHORT_WORK, work, 1_000),
            long=_training(_LONG_WORK, work, 300_000),
            reconstruct=_training(_RECONSTRUCT_WORK, work, 9_600),
            run=_count(_LARGEST_RUN_VALUES, max(values), 1, 250),
            step=_count(_LARGEST_STEP_VALUES, sum(values), 4, 64),
            probes=_count(_PROBE_WORK, work, 12, 64),
            made_up=(
                _count(_SCORE_WORK, work, 64, 1_024),
                _count(_SCORE_WORK, work, 16, 256),
                _count(_SCORE_WORK, work, 64, 512),
            ),
        )

    def to_json(self) -> dict[str, int | list[int]]:
        """Gives the counts for the report."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}


def _count(allowance: float, each: int, least: int, most: int) -> int:
    return max(least, min(most, int(allowance // each)))


def _training(allowance: float, work: int, most: int) -> int:
    count = _count(allowance, TRAINING_FACTOR * work, 0, most)
    return count if count >= _SMALLEST_TRAINING else 0
