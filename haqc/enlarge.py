"""Adds mirror images to the training samples where the network itself takes them for the same."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from haqc.data.reflect import reflect
from haqc.data.split import Split
from haqc.judge import Judge, rows_of
from haqc.metrics import TopK
from haqc.runtime import Runtime

_PROOF = 2000
"""Training samples that are looked at."""

_LOSS = 1.0
"""Points that the network may have fewer right of the mirror images than of the images."""

_LARGEST_BYTES = 1 << 29
"""Stored samples that are no larger are stored twice; larger ones are many without mirror images."""


def enlarge(train: Split, judge: Judge, runtime: Runtime, run: int) -> Split:
    """Gives the training samples, and behind them their mirror images where these do not harm.

    They do not where samples are single images with one class each, of which the float network has hardly fewer right
    when they are mirrored: letters and left hands are told from mirrored ones, cats are not.

    Args:
        train: the training split.
        judge: what networks are judged by.
        runtime: the float network.
        run: samples that run forward together at most.
    """
    stored = sum(array.nbytes for array in train.arrays)
    mirrored = reflect(train) if isinstance(judge.metric, TopK) and stored <= _LARGEST_BYTES else None
    if mirrored is None or train.labels is None or train.labels.ndim != 1:
        return train
    plain, other = (_value(split.take(slice(0, _PROOF)), judge, runtime, run) for split in (train, mirrored))
    if other < plain - _LOSS:
        return train
    arrays = tuple(np.concatenate(pair) for pair in zip(train.arrays, mirrored.arrays, strict=True))
    return replace(train, arrays=arrays, labels=np.concatenate([train.labels, train.labels]))


def _value(split: Split, judge: Judge, runtime: Runtime, run: int) -> float:
    return judge.metric.value(rows_of(judge.metric, split, runtime.runs(judge.outputs, split, run), None))
