"""What quantising one operand alone does, added up from runs of some samples each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Effect:
    """What one operand (with the operands that share its width) does when it alone is quantised, at one width.

    Attributes:
        output: squared error of the network's output, relative to the output's spread over the samples.
        layer: squared error of what the layers that read it give, each on its exact data, relative to their squares.
        lost: points of accuracy lost on the samples; without labels, of agreement with the float network's classes;
            ``None`` where the output is no row of classes.
    """

    output: float
    layer: float
    lost: float | None

    @classmethod
    def of(cls, shares: Sequence[Share], samples: int) -> Effect:
        """Adds up the shares of all runs."""
        square = sum(share.layer_square for share in shares)
        lost = [share.lost for share in shares if share.lost is not None]
        return cls(
            output=sum(share.output for share in shares),
            layer=sum(share.layer_error for share in shares) / square if square else 0.0,
            lost=100 * sum(lost) / samples if lost else None,
        )

    def to_numbers(self) -> tuple[float, float, float, float]:
        """Gives the effect as numbers for a file; the third says whether the last one counts."""
        return self.output, self.layer, float(self.lost is not None), self.lost or 0.0

    @classmethod
    def of_numbers(cls, numbers: Sequence[float]) -> Effect:
        """Gives the effect that has these numbers."""
        output, layer, counts, lost = numbers
        return cls(output, layer, lost if counts else None)


def output_errors(effects: Mapping[tuple[str, int], Effect]) -> dict[tuple[str, int], float]:
    """Gives what each operand alone, at each width, does to the output, by (tensor, bits)."""
    return {key: effect.output for key, effect in effects.items()}


@dataclass(frozen=True, slots=True)
class Share:
    """What a run of some samples adds to an effect.

    Attributes:
        output: its part of the output's error.
        layer_error, layer_square: sums over what the layers give.
        lost: samples that are right no more, less those that are now; ``None`` where the output is no row of classes.
    """

    output: float
    layer_error: float
    layer_square: float
    lost: float | None
