"""Metrics of networks that read text: perplexity of a language model, correlation of sentence embeddings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from haqc.errors import DataError
from haqc.metrics.metric import Batch, Rows, Shape, Traits

_ROUNDING = 1e-3
"""How far the sum of chances may lie from 1: those of a Softmax in 16 bits do."""


@dataclass(frozen=True, slots=True)
class Perplexity:
    """The exponential of the mean negative log-likelihood of the next token.

    The output is ``[N, length, vocabulary]``: logits, or what a Softmax makes of them. Labels ``[N, length]`` are the
    tokens to predict, negative where none is; without labels, each position should predict the first input's next
    token.
    """

    name: str = "perplexity"
    traits: ClassVar[Traits] = Traits(higher_is_better=False, reads_inputs=True, is_mean=False)

    def refusal(self, labels: np.ndarray | None, shape: Shape, *, judges: bool) -> str:
        """Refuses an output that is no logits, and labels that are no tokens."""
        if len(shape) != 3 or (labels is not None and labels.shape[1:] != shape[1:2]):
            beside = "" if labels is None else f", and the labels are {list(labels.shape)}"
            return (
                "metric 'perplexity' needs logits [samples, length, vocabulary] and tokens [samples, length], and the "
                f"output is {list(shape)}{beside}; choose another --metric, or correct 'y'"
            )
        if labels is None:
            return ""
        if labels.dtype.kind not in "iu":
            return f"metric 'perplexity' needs tokens as labels, and 'y' holds {labels.dtype}; store them as integers"
        if int(labels.max()) >= shape[2]:
            return (
                f"metric 'perplexity': token {int(labels.max())} is above the vocabulary of {shape[2]}; correct 'y', "
                "where negative numbers stand for positions that do not count"
            )
        return "metric 'perplexity': no label counts; correct 'y'" if judges and int(labels.max()) < 0 else ""

    def rows(self, batch: Batch) -> Rows:
        """Gives the sum of the negative log-likelihoods, and how many tokens there are."""
        logits = batch.outputs[0].astype(np.float32, copy=False)
        refusal = self.refusal(batch.labels, logits.shape, judges=False)
        wanted = None if refusal else self.targets(batch.inputs, batch.labels, logits.shape)
        if wanted is None:
            raise DataError(
                refusal
                or "metric 'perplexity' needs tokens [samples, length], as the first input or as labels; give "
                "'y' with negative numbers where nothing is to be predicted"
            )
        if wanted.max(initial=-1) >= logits.shape[2]:
            raise DataError(
                f"metric 'perplexity': token {wanted.max()} is above the vocabulary of {logits.shape[2]}; correct the "
                "data"
            )
        counts = wanted >= 0
        chosen = np.take_along_axis(logits, np.maximum(wanted, 0)[..., None], axis=2)[..., 0]
        if _are_chances(logits):
            with np.errstate(divide="ignore"):
                losses = -np.log(chosen.astype(np.float64))
        else:
            peak = logits.max(axis=2)
            losses = peak + np.log(np.exp(logits - peak[..., None]).sum(axis=2, dtype=np.float64)) - chosen
        return np.stack([np.where(counts, losses, 0).sum(axis=1), counts.sum(axis=1)], axis=1).astype(np.float64)

    def value(self, rows: Rows) -> float:
        """Gives the perplexity."""
        total, count = rows.sum(axis=0)
        with np.errstate(over="ignore"):
            return float(np.exp(total / count)) if count else float("nan")

    def targets(self, inputs: tuple[np.ndarray, ...], labels: np.ndarray | None, shape: Shape) -> np.ndarray | None:
        """Gives the labels, or each position's next token in the first input."""
        if labels is not None:
            return labels.astype(np.int64, copy=False)
        tokens = inputs[0]
        if tokens.shape != shape[:2] or tokens.dtype.kind not in "iu":
            return None
        return np.concatenate([tokens[:, 1:], np.full((len(tokens), 1), -1)], axis=1).astype(np.int64)

    def class_axis(self, labels: np.ndarray | None, shape: Shape) -> int | None:
        """Gives the axis of the vocabulary."""
        return 2


@dataclass(frozen=True, slots=True)
class PairCorrelation:
    """Spearman's correlation between the cosine of two sentences' embeddings and the likeness that people gave.

    Samples 0 and 1 are the first pair, 2 and 3 the second; a pair's label stands at both of its samples.
    """

    name: str = "sts"
    traits: ClassVar[Traits] = Traits(unit="%", needs_labels=True, group=2, is_mean=False)

    def refusal(self, labels: np.ndarray | None, shape: Shape, *, judges: bool) -> str:
        """Refuses an output that is no embedding, and labels that are not one number for both samples of a pair."""
        if len(shape) != 2:
            return (
                f"metric 'sts' needs embeddings [samples, width], and the output is {list(shape)}; add the pooling to "
                "the model"
            )
        if labels is None:
            return ""
        if labels.size != len(labels):
            return f"metric 'sts' needs one label per sample, not {list(labels.shape)}; correct 'y'"
        flat = labels.reshape(-1)
        if len(flat) % 2 or (flat[::2] != flat[1::2]).any():
            return (
                "metric 'sts' reads samples in pairs, and a pair's label stands at both; give samples 0 and 1 the same "
                "label, 2 and 3 the next"
            )
        return "metric 'sts' needs pairs of unequal likeness; correct 'y'" if judges and len(set(flat)) < 2 else ""

    def rows(self, batch: Batch) -> Rows:
        """Gives the embedding, then the label."""
        output, labels = batch.outputs[0], batch.labels
        if output.ndim != 2 or labels is None or labels.size != len(output):
            raise DataError(
                f"metric 'sts' needs embeddings [samples, width] and one label per sample, and the output is "
                f"{list(output.shape)}; add the pooling to the model, and labels to the data"
            )
        return np.concatenate([output, labels.reshape(-1, 1)], axis=1).astype(np.float64)

    def value(self, rows: Rows) -> float:
        """Gives the correlation in percent; NaN where all cosines or all labels are equal."""
        count = len(rows) // 2 * 2
        left, right = rows[0:count:2, :-1], rows[1:count:2, :-1]
        norms = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
        cosine = (left * right).sum(axis=1) / np.where(norms > 0, norms, 1)
        ranks = [_mean_ranks(numbers) for numbers in (cosine, rows[0:count:2, -1])]
        a, b = (rank - rank.mean() for rank in ranks)
        scale = float(np.sqrt((a**2).sum() * (b**2).sum()))
        return float((a * b).sum()) / scale * 100 if scale else float("nan")

    def targets(self, inputs: tuple[np.ndarray, ...], labels: np.ndarray | None, shape: Shape) -> np.ndarray | None:
        """Gives nothing: the float network's output is the target."""
        return None

    def class_axis(self, labels: np.ndarray | None, shape: Shape) -> int | None:
        """Gives nothing: an embedding is no row of classes."""
        return None


def _are_chances(output: np.ndarray) -> bool:
    """Whether every row is a distribution already, so that no Softmax is to be applied again."""
    return bool(output.min() >= 0 and np.abs(output.sum(axis=-1, dtype=np.float64) - 1).max() <= _ROUNDING)


def _mean_ranks(numbers: Rows) -> Rows:
    """Gives the rank of every number, equal ones sharing the mean of theirs."""
    _, place, count = np.unique(numbers, return_inverse=True, return_counts=True)
    ranks: Rows = (np.cumsum(count) - (count - 1) / 2)[place]
    return ranks
