"""What is trained, on how many samples and from what: as asked for, else by the model's size and the labels."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from haqc.budget import Demand
from haqc.data.split import Dataset, Split, Transform
from haqc.effort import Effort
from haqc.errors import DataError
from haqc.plan import Plan
from haqc.request import Request

EFFORT = Effort(
    **{field.name: 64 for field in fields(Effort)}
    | {"search": 2000, "short": 1000, "long": 300_000, "reconstruct": 9600, "run": 250, "made_up": (1024, 256, 512)}
)
REQUEST = Request(Path("model.onnx"), "edge", (Demand.parse("energy=0.5"),), Path("out"))


@pytest.fixture
def dataset() -> Dataset:
    split = Split((np.zeros((1000, 4), np.float32),), np.zeros(1000, np.int64), (Transform(),))
    return Dataset(split, split, split, "data.npz", "0", False)


def test_with_labels_the_float_network_is_trained_first(dataset: Dataset) -> None:
    plan = Plan.of(REQUEST, EFFORT, dataset, has_targets=True)
    assert [recipe.samples for recipe in (plan.start, plan.short, plan.middle, plan.long)] == [
        30_000,
        1000,
        8000,
        60_000,
    ]
    assert {recipe.label_share for recipe in (plan.start, plan.short, plan.middle, plan.long)} == {0.8}
    assert replace(plan.start, samples=60_000, relative_rate=0.004) == plan.long
    assert plan.long.checkpoints > 0
    assert plan.short.checkpoints == plan.middle.checkpoints == 0


@pytest.mark.parametrize(
    ("count", "allowed", "long"),
    [(1_000, 300_000, 60_000), (3_001, 300_000, 60_020), (18_000, 300_000, 300_000), (18_000, 40_000, 40_000)],
)
def test_the_winner_trains_longer_on_more_samples(count: int, allowed: int, long: int) -> None:
    """Twenty times the training split, 60,000 to 300,000, or what the model's size allows; the start stays short."""
    split = Split((np.zeros((count, 1), np.uint8),), np.zeros(count, np.int64), (Transform(),))
    data = Dataset(split, split, split, "data.npz", "0", False)
    plan = Plan.of(REQUEST, replace(EFFORT, long=allowed), data, has_targets=True)
    assert (plan.start.samples, plan.long.samples) == (min(long // 2, 30_000), long)


def test_with_distillation_alone_the_original_teaches(dataset: Dataset) -> None:
    plan = Plan.of(replace(REQUEST, label_share=0.0), EFFORT, dataset, has_targets=True)
    assert plan.start.samples == 0
    assert (plan.long.samples, plan.long.label_share, plan.short.label_share) == (60_000, 0.0, 0.0)


def test_without_labels_the_winner_is_reconstructed_then_distilled(dataset: Dataset) -> None:
    plan = Plan.of(REQUEST, EFFORT, dataset, has_targets=False)
    assert [recipe.samples for recipe in (plan.start, plan.short, plan.middle, plan.long)] == [0, 0, 0, 0]
    assert (plan.fitting.samples, plan.closing.samples, plan.final_samples) == (9600, 19_200, 19_200)
    assert plan.closing.label_share == 0.0
    assert plan.closing.checkpoints > 0


def test_inputs_that_are_made_up_teach_no_whole_network(dataset: Dataset) -> None:
    made_up = replace(dataset, synthetic=True)
    plan = Plan.of(REQUEST, EFFORT, made_up, has_targets=False)
    assert (plan.fitting.samples, plan.closing.samples, plan.final_samples) == (9600, 0, 0)
    assert Plan.of(replace(REQUEST, final_finetune=640), EFFORT, made_up, has_targets=False).closing.samples == 640


@pytest.mark.parametrize(
    ("options", "fitted", "distilled", "tuned"),
    [
        ({"final_finetune": 640}, 9600, 640, 0),
        ({"final_finetune": 0}, 9600, 0, 0),
        ({"finetune": 0}, 9600, 0, 0),
        ({"reconstruct": 100}, 100, 200, 0),
        ({"reconstruct": 0}, 0, 0, 0),
        ({"reconstruct": 0, "final_finetune": 640}, 0, 0, 640),
        ({"quantiser": "haq"}, 0, 0, 0),
        ({"finetune": 100, "final_finetune": 640}, 0, 0, 640),
    ],
)
def test_without_labels_options_decide(
    dataset: Dataset, options: dict[str, Any], fitted: int, distilled: int, tuned: int
) -> None:
    plan = Plan.of(replace(REQUEST, **options), EFFORT, dataset, has_targets=False)
    assert (plan.fitting.samples, plan.closing.samples, plan.long.samples) == (fitted, distilled, tuned)


def test_labels_take_no_part_in_a_distillation(dataset: Dataset) -> None:
    without = replace(REQUEST, finetune=0, final_finetune=640, label_share=0.0)
    plan = Plan.of(without, EFFORT, dataset, has_targets=True)
    assert (plan.closing.samples, plan.closing.label_share, plan.long.samples) == (640, 0.0, 0)
    plan = Plan.of(replace(without, label_share=None), EFFORT, dataset, has_targets=True)
    assert (plan.closing.samples, plan.long.samples, plan.fitting.samples) == (0, 640, 0)
    plan = Plan.of(replace(REQUEST, finetune=0), EFFORT, dataset, has_targets=True)
    assert (plan.closing.samples, plan.long.samples, plan.fitting.samples) == (0, 0, 9600)


def test_without_a_long_fine_tune_nothing_is_trained_first(dataset: Dataset) -> None:
    plan = Plan.of(replace(REQUEST, final_finetune=0), EFFORT, dataset, has_targets=True)
    assert (plan.start.samples, plan.long) == (0, plan.short)


def test_a_share_of_labels_that_are_not_there_is_refused(dataset: Dataset) -> None:
    with pytest.raises(
        DataError, match=r"^--label-share 0.5 needs labels that the metric can be trained on, and 'data.npz' has none"
    ):
        Plan.of(replace(REQUEST, label_share=0.5), EFFORT, dataset, has_targets=False)
    assert Plan.of(replace(REQUEST, label_share=0.0), EFFORT, dataset, has_targets=False).long.samples == 0


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_share_is_a_number_from_0_to_1(dataset: Dataset, share: float) -> None:
    with pytest.raises(DataError, match=r"^--label-share (-0.1|1.1|nan) is no share; give a number from 0, "):
        Plan.of(replace(REQUEST, label_share=share), EFFORT, dataset, has_targets=True)
