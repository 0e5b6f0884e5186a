"""Metrics of networks that read text: perplexity of a language model, correlation of sentence embeddings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from haqc.errors import DataError
from haqc.metrics.metric import Batch, Rows


@dataclass(frozen=True, slots=True)
class Perplexity:
    """The exponential of the mean negative log-likelihood of the next token.

    The output is logits ``[N, length, vocabulary]``. Labels ``[N, length]`` are the tokens to predict, negative where
    none is; without labels, each position should predict the first input's next token.
    """

    name: str = "perplexity"
    unit: str = ""
    higher_is_better: bool = False
    needs_labels: bool = False
    group: int = 1
    is_mean: bool = False

    def rows(self, batch: Batch) -> Rows:
        """Gives the sum of the negative log-likelihoods, and how many tokens there are."""
        logits, tokens = batch.outputs[0], batch.inputs[0]
        if batch.labels is None and logits.ndim == 3 and tokens.shape == logits.shape[:2] and tokens.dtype.kind in "iu":
            wanted = np.concatenate([tokens[:, 1:], np.full((len(tokens), 1), -1)], axis=1).astype(np.int64)
        elif batch.labels is not None and logits.ndim == 3 and batch.labels.shape == logits.shape[:2]:
            wanted = batch.labels.astype(np.int64)
        else:
            raise DataError(
                f"metric 'perplexity' needs logits [samples, length, vocabulary] and tokens [samples, length], and the "
                f"output is {list(logits.shape)}; choose another --metric"
            )
        if wanted.max(initial=-1) >= logits.shape[2]:
            raise DataError(f"metric 'perplexity': a token is above the vocabulary of {logits.shape[2]}; correct 'y'")
        peak = logits.max(axis=2)
        normaliser = peak + np.log(np.exp(logits - peak[..., None]).sum(axis=2, dtype=np.float64))
        chosen = np.take_along_axis(logits, np.maximum(wanted, 0)[..., None], axis=2)[..., 0]
        counts = wanted >= 0
        return np.stack([((normaliser - chosen) * counts).sum(axis=1), counts.sum(axis=1)], axis=1).astype(np.float64)

    def value(self, rows: Rows) -> float:
        """Gives the perplexity."""
        total, count = rows.sum(axis=0)
        with np.errstate(over="ignore"):
            return float(np.exp(total / count)) if count else float("nan")


@dataclass(frozen=True, slots=True)
class PairCorrelation:
    """Spearman's correlation between the cosine of two sentences' embeddings and the likeness that people gave.

    Samples 0 and 1 are the first pair, 2 and 3 the second; a pair's label stands at both of its samples.
    """

    name: str = "sts"
    unit: str = "%"
    higher_is_better: bool = True
    needs_labels: bool = True
    group: int = 2
    is_mean: bool = False

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


def _mean_ranks(numbers: Rows) -> Rows:
    """Gives the rank of every number, equal ones sharing the mean of theirs."""
    _, place, count = np.unique(numbers, return_inverse=True, return_counts=True)
    ranks: Rows = (np.cumsum(count) - (count - 1) / 2)[place]
    return ranks
