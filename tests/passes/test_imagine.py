"""Inputs are made of the model itself: the values that it was trained on, in the structure of images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest
import torch

from haqc.channelstatistics import ChannelStatistics
from haqc.data import Counts, InputSpec, Role
from haqc.data.span import Span
from haqc.effort import Effort
from haqc.frontend import input_specs
from haqc.mirror import Mirror, from_onnx
from haqc.passes.imagine import Imagined, Telling, imagine
from haqc.passes.imagine.matching import Matching
from haqc.passes.imagine.picture import draw, draw_smooth, structure
from haqc.passes.imagine.span import RAW, UNIT, candidates, conventional
from haqc.stated import kept_statistics
from tests.small_model import draw as constant
from tests.small_model import small_model

DIGITS = Path(__file__).parents[2] / "models" / "digits.onnx"
F32 = np.dtype(np.float32)
COUNTS = Counts(40, 8, 24)
EFFORT = Effort(
    **dict.fromkeys(("calibration", "clip", "sensitivity", "search", "short", "long", "reconstruct"), 64),
    run=64,
    step=64,
    probes=64,
    made_up=(40, 8, 24),
)
TWO = """(float[N,1,8,8] left, float[N,6] right, int64[N,3] ids) => (float[N,4] y) {
    [conv] a = Conv <strides=[8,8]> (left, kernel)
    [flat] b = Flatten (a)
    [one] c = MatMul (right, square)
    [look] d = Gather (table, ids)
    [mean] e = ReduceMean <keepdims=0> (d, axis)
    [first] f = Add (b, c)
    [second] y = Add (f, e)
}"""
TWO_CONSTANTS = {
    "kernel": constant(4, 1, 8, 8),
    "square": constant(6, 4),
    "table": constant(9, 4),
    "axis": [1],
}


def spec(*shape: int, name: str = "image", dtype: type = np.float32) -> InputSpec:
    return InputSpec(name, np.dtype(dtype), (None, *shape))


def digits(factor: float = 1.0) -> Mirror:
    """The trained example, which reads values from 0 to 1, made to read them ``factor`` times as large."""
    mirror = from_onnx(DIGITS)
    with torch.no_grad():
        mirror.value("stem.weight").div_(factor)
    return mirror


def imagined(
    mirror: Mirror,
    inputs: tuple[InputSpec, ...],
    telling: Telling,
    seed: int = 0,
    stated: dict[str, Span] | None = None,
    statistics: tuple[ChannelStatistics, ...] = (),
) -> Imagined:
    roles = {each.name: Role() if each.dtype.kind == "f" else Role("index", 9) for each in inputs}
    return imagine(mirror, inputs, roles, stated or {}, statistics, telling, COUNTS, EFFORT, seed)


@pytest.mark.parametrize(
    ("factor", "spans"),
    [
        (1.0, (Span(0, 1), UNIT)),
        (255.0, (Span(0, RAW), Span(-128, 128))),
        (16.0, (Span(0, 32), Span(-16, 16))),  # within a factor of two of the truth, and nobody's convention
    ],
)
def test_the_values_that_a_network_was_trained_on_are_recovered(factor: float, spans: tuple[Span, ...]) -> None:
    made = imagined(digits(factor), (spec(1, 8, 8),), Telling("logits", True))
    found = made.recovered["image"]
    assert (found.spans, found.known) == (spans, "outputs")  # the sign cannot be told
    assert found.gain > 0.5
    images = made.arrays["image"]
    assert (images.shape, images.dtype) == ((72, 1, 8, 8), F32)
    for turn, span in enumerate(spans):
        assert span.low <= images[turn::2].min() < span.low + 0.1 * span.width
        assert span.high - 0.1 * span.width < images[turn::2].max() <= span.high
    assert made.words["image"] == (
        "pictures of shapes that hide each other, "
        f"values from {spans[0]} or {spans[1]}, recovered from what the outputs tell"
    )


def test_the_same_seed_gives_the_same_inputs() -> None:
    first, again, other = (
        imagined(digits(), (spec(1, 8, 8),), Telling("logits", True), seed).arrays["image"] for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_network_that_tells_nothing_gets_inputs_of_unit_deviation() -> None:
    mirror = digits()
    with torch.no_grad():
        for parameter in mirror.parameters():
            parameter.mul_(0.01)
    found = imagined(mirror, (spec(1, 8, 8),), Telling("logits", True)).recovered["image"]
    assert (found.spans, found.known) == ((UNIT,), "assumed")


def test_outputs_that_overflow_tell_nothing() -> None:
    mirror = digits()
    with torch.no_grad():
        mirror.value("stem.weight").mul_(float("inf"))
    assert imagined(mirror, (spec(1, 8, 8),), Telling("logits", True)).recovered["image"].known == "assumed"


NORMALISED = """(float[N,1,8,8] image) => (float[N,4] y) {
    [conv] a = Conv <strides=[4,4]> (image, kernel)
    [norm] b = BatchNormalization (a, scale, bias, mean, variance)
    [relu] c = Relu (b)
    [pool] d = GlobalAveragePool (c)
    [flat] y = Flatten (d)
}"""


@pytest.mark.parametrize("span", [Span(0, RAW), UNIT])
def test_statistics_of_batch_normalisations_tell_the_values(span: Span) -> None:
    """Their channels have seen pictures of these values, and the network was not trained to tell them apart."""
    kernel, images = constant(4, 1, 4, 4), span.place(draw(spec(1, 8, 8), 500, np.random.default_rng(7)), F32)
    seen = np.einsum("nikjl,ckl->cnij", images.reshape(500, 2, 4, 2, 4), kernel[:, 0]).reshape(4, -1)
    kept = {"kernel": kernel, "scale": constant(4, seed=1), "bias": constant(4, seed=2)}
    model = small_model(NORMALISED, {**kept, "mean": seen.mean(1), "variance": seen.var(1)})
    statistics = kept_statistics(ir.from_proto(model))
    mirror = from_onnx(model)
    made = imagined(mirror, (spec(1, 8, 8),), Telling("y", True), statistics=statistics)
    found = made.recovered["image"]
    assert (found.spans, found.known) == ((span,), "statistics")
    assert -0.5 < found.gain < 0
    matching = Matching.of(mirror, statistics)
    assert matching is not None
    fit, misfit = (matching.measure(mirror, (images * factor,), 64) for factor in (np.float32(1), np.float32(4)))
    assert -0.01 < fit <= 0
    assert misfit < -1


def test_statistics_of_tensors_that_are_gone_are_not_asked() -> None:
    assert Matching.of(digits(), (ChannelStatistics("gone", np.zeros(1), np.ones(1)),)) is None


def test_directions_tell_as_classes_do() -> None:
    node = next(node for node in ir.load(DIGITS).graph if node.outputs[0].name == "logits")
    assert node.inputs[0] is not None
    made = imagined(digits(255.0), (spec(1, 8, 8),), Telling(str(node.inputs[0].name), False))
    assert made.recovered["image"].known == "outputs"
    assert 64 <= made.recovered["image"].spans[0].width <= 1024  # of 255: less sharp than classes


def test_what_is_stated_is_believed() -> None:
    made = imagined(digits(), (spec(1, 8, 8),), Telling("logits", True), stated={"image": Span(0, 7)})
    assert (made.recovered["image"].spans, made.recovered["image"].known) == ((Span(0, 7),), "graph")
    assert made.words["image"].endswith("values from 0 to 7, which the graph states")
    assert made.arrays["image"].max() == pytest.approx(7, abs=0.1)


def test_every_input_gets_its_own() -> None:
    model = ir.from_proto(small_model(TWO, TWO_CONSTANTS))
    made = imagined(from_onnx(model), input_specs(model), Telling("y", True))
    assert list(made.arrays) == list(made.words) == ["left", "right", "ids"]
    assert set(made.recovered) == {"left", "right"}
    assert made.words["right"].startswith("normal noise, values from ")
    assert set(np.unique(made.arrays["ids"])) == set(range(9))


def test_a_fixed_number_of_samples_is_kept() -> None:
    model = ir.from_proto(small_model(TWO.replace("N,", "5,"), TWO_CONSTANTS))
    assert imagined(from_onnx(model), input_specs(model), Telling("y", True)).arrays["left"].shape == (72, 1, 8, 8)


@pytest.mark.parametrize("shape", [(3, 16, 24), (16, 24, 3)])
def test_pictures_have_edges_and_flat_parts(shape: tuple[int, ...]) -> None:
    pictures = draw(spec(*shape), 64, np.random.default_rng(0))
    assert pictures.shape == (64, *shape)
    assert 0 <= pictures.min() < 0.01
    assert 0.99 < pictures.max() <= 1
    moved = pictures if shape[0] == 3 else pictures.transpose(0, 3, 1, 2)
    steps = np.abs(np.diff(moved, axis=3))
    assert 0.5 < (steps == 0).mean() < 0.95  # most neighbours belong to one shape
    assert (steps > 0.1).mean() > 0.05
    assert 0.2 < np.ptp(moved, axis=1).max() <= 0.25  # nearly grey


def test_smooth_pictures_have_the_spectrum_of_natural_ones() -> None:
    pictures = draw_smooth(spec(1, 32, 32), 256, np.random.default_rng(0))
    assert pictures.mean() == pytest.approx(0.5, abs=1e-6)
    assert pictures.std() == pytest.approx(0.25, abs=1e-4)
    power = (np.abs(np.fft.fft(pictures[:, 0] - 0.5, axis=-1)) ** 2).mean((0, 1))
    slope = np.polyfit(np.log([2, 4, 8]), np.log(power[[2, 4, 8]]), 1)[0]
    assert -2.2 < slope < -1  # of a line through a picture whose power falls with the square


def test_series_and_other_inputs() -> None:
    series, noise = (draw(spec(*shape), 128, np.random.default_rng(0)) for shape in ((1, 64), (64,)))
    assert np.corrcoef(series[:, 0, 1:].ravel(), series[:, 0, :-1].ravel())[0, 1] > 0.5
    assert abs(np.corrcoef(noise[:, 1:].ravel(), noise[:, :-1].ravel())[0, 1]) < 0.05
    assert (structure(spec(1, 64)), structure(spec(64))) == ("series whose spectrum is 1/f", "normal noise")


def test_whole_numbers_are_rounded_and_kept_in_their_type() -> None:
    placed = Span(0, RAW).place(np.array([-0.2, 0.5, 1.3]), np.dtype(np.uint8))
    assert (placed.dtype, placed.tolist()) == (np.uint8, [0, 128, 255])


def test_spans_that_people_use_are_preferred() -> None:
    assert conventional(Span(0, 512)) == conventional(Span(0, 128)) == Span(0, RAW)
    assert conventional(Span(-1, 1)) == UNIT
    assert conventional(Span(0, 32)) == Span(0, 32)
    assert len(set(candidates())) == 34
