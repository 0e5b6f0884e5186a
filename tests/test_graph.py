"""The layer IR's derived counts and kinds, and what a graph refuses to be."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace

import pytest

from haqc.graph import Graph, Layer, Operand, element_count
from tests.costmodel.mobilenet_v2_layers import chain, convolution, dense

CONV = convolution("c", "x", (6, 12), kernel=3, stride=2, groups=1, size_in=8)


def test_macs_are_the_product_of_the_matrix_form() -> None:
    assert CONV.macs == 12 * 6 * 9 * 4 * 4
    assert replace(CONV, groups=2, reduction=27, columns=6).macs == 12 * 27 * 4 * 4
    assert dense("d", "x", 10, 7).macs == 70
    assert dense("d", "x", 10, 7, rows=5, groups=2).macs == 700


@pytest.mark.parametrize(
    ("layer", "kind", "depthwise"),
    [
        (CONV, "conv", False),
        (replace(CONV, groups=6), "depthwise", True),
        (replace(CONV, groups=2), "grouped", False),
        (replace(CONV, in_channels=1), "conv", False),
        (replace(CONV, op="ConvTranspose"), "transposed", False),
        (replace(CONV, op="ConvTranspose", groups=2), "transposed", False),
        (dense("d", "x", 4, 4), "dense", False),
        (dense("d", "x", 4, 4, groups=3), "dense", False),
    ],
)
def test_every_layer_has_a_kind(layer: Layer, kind: str, depthwise: bool) -> None:
    assert (layer.kind, layer.is_depthwise, layer.is_dense) == (kind, depthwise, kind == "dense")


def test_a_graph_adds_its_layers_up_and_finds_them_by_name() -> None:
    first, second = dense("a", "x", 4, 3), replace(dense("b", "a.out", 3, 2), float_reason="its weights are a vector")
    graph = chain([first, second])
    assert graph.macs == 12 + 6
    assert graph.weight_values == 12 + 6
    assert graph.layer == {"a": first, "b": second}
    assert graph.quantised_layers == (first,)
    assert {tensor: operand.tensor for tensor, operand in graph.operand.items()} == {
        operand.tensor: operand.tensor for operand in graph.operands
    }


def test_names_are_unique() -> None:
    layer = dense("a", "x", 4, 4)
    operand = Operand("x", "activation", ("a",), 4)
    with pytest.raises(ValueError, match="layer names must be unique"):
        Graph("g", (layer, layer), (), (), {}, ("x",), ("y",))
    with pytest.raises(ValueError, match="operand tensors must be unique"):
        Graph("g", (layer,), (operand, replace(operand, kind="weight")), (), {}, ("x",), ("y",))


@pytest.mark.parametrize("value", [CONV, Operand("x", "activation", (), 4), chain([dense("a", "x", 4, 4)])])
def test_values_are_frozen(value: object) -> None:
    name = "tensor" if isinstance(value, Operand) else "name"
    with pytest.raises(FrozenInstanceError):
        setattr(value, name, "other")


def test_elements_of_a_shape() -> None:
    assert (element_count(()), element_count((3, 4)), element_count((3, 0))) == (1, 12, 0)
