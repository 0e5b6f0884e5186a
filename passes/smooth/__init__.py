"""Takes outlying channels out of activations, without changing what the network computes.

In transformers a few channels of the tensors between blocks are a hundred times the others, and a step that reaches
them rounds everything else off. Dividing these channels where the tensor is written, and multiplying where it is read,
is exact (Xiao et al., ICML 2023; the factors of a sum as in Wei et al., NeurIPS 2022).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import onnx_ir as ir

from haqc.passes.smooth.factors import factors
from haqc.passes.smooth.places import Place, places

__all__ = ["smooth", "smoothable"]


def smoothable(model: ir.Model) -> tuple[str, ...]:
    """Gives the tensors whose channels could be scaled."""
    return tuple(str(place.tensor.name) for place in places(model))


def smooth(model: ir.Model, largest: Mapping[str, np.ndarray]) -> ir.Model | None:
    """Gives a copy of a cleaned model with outlying channels scaled down, or ``None`` where there are none.

    Args:
        model: the cleaned model; it is not changed.
        largest: largest magnitude of each channel of the tensors of :func:`smoothable`.
    """
    copy = model.clone()
    is_changed, taken = False, _names(copy.graph)
    for place in list(places(copy)):
        factor = factors(largest[str(place.tensor.name)], has_weights=bool(place.rows))
        if (factor != 1).any():
            _scale(copy.graph, place, factor, taken)
            is_changed = True
    return copy if is_changed else None


def _names(graph: ir.Graph) -> set[str]:
    """Gives the names of everything in a graph, bodies of control flow included."""
    nodes = [*graph.all_nodes()]
    values = {str(value.name) for node in nodes for value in (*node.inputs, *node.outputs) if value is not None}
    return values | {str(node.name) for node in nodes} | {str(v.name) for v in graph.inputs} | {*graph.initializers}


def _scale(graph: ir.Graph, place: Place, factor: np.ndarray, taken: set[str]) -> None:
    for constant in place.columns:
        _set(constant, _array(constant) / factor)
    for weight in place.rows:
        _set(weight, _array(weight) * factor[:, None])
    if not place.columns:
        readers = list(place.tensor.uses())
        _multiply(graph, place.tensor, 1 / factor, readers, _free(f"{place.tensor.name}_smoothed", taken))
    if place.sums:
        _multiply(graph, place.tensor, factor, place.sums, _free(f"{place.tensor.name}_scaled", taken))


def _multiply(
    graph: ir.Graph, tensor: ir.Value, factor: np.ndarray, readers: Iterable[tuple[ir.Node, int]], name: str
) -> None:
    """Has some readers of a tensor read its product with a factor for each channel, which gets a name."""
    constant = ir.Value(
        name=f"{name}_factors",
        const_value=ir.tensor(factor),
        shape=ir.Shape(factor.shape),
        type=ir.TensorType(ir.DataType.FLOAT),
    )
    graph.register_initializer(constant)
    product = ir.node("Mul", [tensor, constant], name=f"{name}_product", num_outputs=1)
    result = product.outputs[0]
    result.name, result.shape, result.type = name, tensor.shape, tensor.type
    producer = tensor.producer()
    assert producer is not None
    graph.insert_after(producer, product)
    for node, index in readers:
        node.replace_input_with(index, result)


def _free(name: str, taken: set[str]) -> str:
    """Gives a name that nothing has, nor what is named after it, and takes it."""
    while not taken.isdisjoint((name, f"{name}_factors", f"{name}_product")):
        name += "_"
    taken.update((name, f"{name}_factors", f"{name}_product"))
    return name


def _array(value: ir.Value) -> np.ndarray:
    assert value.const_value is not None
    return value.const_value.numpy()


def _set(value: ir.Value, array: np.ndarray) -> None:
    value.const_value = ir.tensor(np.ascontiguousarray(array, np.float32), name=value.name)
