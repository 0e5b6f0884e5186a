"""Symbols of inputs: which count samples, what binds them, and what is said when nothing does."""

from __future__ import annotations

import onnx_ir as ir
import pytest

from haqc.dimensions import Dimensions, Shape, read_shape
from haqc.errors import ModelError


def dimensions(**inputs: tuple[int | str, ...] | None) -> Dimensions:
    return Dimensions(inputs, {})


@pytest.mark.parametrize(
    ("text", "name", "shape"),
    [
        ("x=1,3,224,224", "x", (1, 3, 224, 224)),
        ("serving_default:0=1,8", "serving_default:0", (1, 8)),
        ("a=b=2", "a=b", (2,)),
        ("x=1x3x8", "x", (1, 3, 8)),
        ("scale=", "scale", ()),
    ],
)
def test_read_shape(text: str, name: str, shape: Shape) -> None:
    assert read_shape(text) == (name, shape)


@pytest.mark.parametrize(
    "text", ["", "x", "=1,2", "x=1,-2", "x=1,,2", "x=a", "x=1,0", "x=1,2147483648", "x=1,2,", "x= 1"]
)
def test_malformed_shapes_are_refused(text: str) -> None:
    with pytest.raises(ModelError, match=r"malformed; write NAME=|out of range; allowed are 1 to"):
        read_shape(text)


@pytest.mark.parametrize(
    ("inputs", "batch"),
    [
        ({"x": ("N", 3, 8, 8)}, {"N"}),
        ({"x": ("s0", "s1"), "y": ("s0", "s1")}, {"s0"}),
        ({"x": ("s0", 3), "y": ("s7", 3)}, {"s0", "s7"}),
        ({"x": ("length", "batch", 64)}, {"batch"}),
        ({"x": ("length", "batch", 64), "y": ("s0", 4)}, {"batch", "s0"}),
        ({"graph": ("n", "n"), "x": (1, "n")}, set()),
        ({"x": (4, 3), "scalar": ()}, set()),
        ({"x": None}, set()),
        ({"x": (3, "batch_size")}, {"batch_size"}),
    ],
)
def test_which_symbols_count_samples(inputs: dict[str, tuple[int | str, ...] | None], batch: set[str]) -> None:
    assert dimensions(**inputs).batch == batch


def test_one_shape_binds_its_symbols_in_all_inputs() -> None:
    given = dimensions(ids=("batch", "length"), mask=("batch", "length"), scale=())
    bound = given.bind({"ids": (1, 128)})
    assert bound.shapes() == {"ids": (1, 128), "mask": (1, 128), "scale": ()}
    assert bound.axes("mask") == (None, 128)
    assert given.axes("mask") == (None, None)
    assert given.open_axes("mask") == (1,)
    assert bound.open_axes("mask") == ()


@pytest.mark.parametrize("placeholder", ["?", "*", "-1", "None", "unknown"])
def test_placeholders_are_no_symbols(placeholder: str) -> None:
    """Converters write them for every axis of which they know nothing, so that two may differ."""
    image = ir.Value(name="x", shape=ir.Shape([placeholder, 3, placeholder, placeholder]))
    model = ir.Model(ir.Graph([image], [], nodes=[]), ir_version=10)
    given = Dimensions.of(model)
    assert given.batch == {"?x.0"}
    assert given.text("x") == "[?, 3, ?, ?]"
    assert given.bind({"x": (1, 3, 48, 192)}).shapes() == {"x": (1, 3, 48, 192)}


def test_an_input_without_axes_gets_those_of_its_shape() -> None:
    bound = dimensions(x=None).bind({"x": (1, 3, 8, 8)})
    assert bound.shapes() == {"x": (1, 3, 8, 8)}
    with pytest.raises(
        ModelError, match=r"input 'x' has no shape; state what you mean, for example --shape x=1,3,224,224$"
    ):
        dimensions(x=None).shapes()


@pytest.mark.parametrize(
    ("inputs", "shapes", "message"),
    [
        ({"image": ("b", 3)}, {"imge": (1, 3)}, r"no input 'imge' .did you mean 'image'.*its inputs are 'image'"),
        ({"x": ("batch", 3)}, {"x": (1, 3, 3)}, r"has the 2 axes \[batch, 3\].*\[1, 3, 3\] has 3; give one number"),
        ({"x": ("batch", 3)}, {"x": (1, 4)}, "axis 1 of input 'x' is 3 in the model, not 4; give x=1,3"),
        ({"x": ("batch", 3)}, {"x": (8, 3)}, "axis 0 of input 'x' counts samples and is given as 8; give 1"),
        (
            {"x": ("b", "L"), "y": ("b", "L")},
            {"x": (1, 8), "y": (1, 9)},
            "axis 1 of input 'y', the symbol 'L', is 9, but 8",
        ),
    ],
)
def test_shapes_that_contradict_are_refused(inputs, shapes, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ModelError, match=message):
        dimensions(**inputs).bind(shapes)


def test_what_is_open_is_asked_for_once_with_the_option_to_give() -> None:
    given = dimensions(ids=("batch", "length"), mask=("batch", "length"), image=("?image.0", 3, "?image.2", "w"))
    with pytest.raises(ModelError) as caught:
        given.shapes(or_else="or give data")
    assert str(caught.value) == (
        "input 'ids' of shape [batch, length] has no length for 'length' (axis 1) and input 'image' of shape "
        "[?, 3, ?, w] has no length for axis 2 and 'w' (axis 3); state what you mean, for example "
        "--shape ids=1,128 --shape image=1,3,224,224, or give data"
    )
    assert given.bind(dict(read_shape(option.removeprefix("--shape ")) for option in given.options())).shapes()
