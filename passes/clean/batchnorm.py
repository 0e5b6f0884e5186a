"""Folds batch-normalisations into the layers beside them, where that is exact."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import onnx_ir as ir

from haqc.errors import ModelError
from haqc.passes.clean.dequantise import replace_by
from haqc.passes.clean.lazy import lazy_constant
from haqc.passes.clean.scaling import LayerForm


class FoldBatchNormPass(ir.passes.InPlacePass):
    """Folds every BatchNormalization into the layer that it alone reads, or else into the one that alone reads it.

    A layer behind it takes a shift only if it pads nothing. What cannot be folded stays. Layers that share weights
    share them no more, unless the same normalisation is folded into each.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Folds in the main graph and in the branches and bodies of its nodes; weights are computed when read."""
        folding = _Folding(model.graph)
        nodes = [n for n in ir.traversal.RecursiveGraphIterator(model.graph) if n.op_type == "BatchNormalization"]
        folded = [node for node in nodes if folding.into_layer_before(node) or folding.into_layer_behind(node)]
        return ir.passes.PassResult(model, bool(folded))


@dataclass(frozen=True)
class _Affine:
    """What a normalisation does to each channel: ``(x - mean) * factor + shift``; float32 vectors."""

    factor: np.ndarray
    mean: np.ndarray
    shift: np.ndarray
    key: tuple[object, ...]

    @classmethod
    def of(cls, node: ir.Node) -> _Affine | None:
        """Reads a BatchNormalization's parameters, ``None`` if they are computed while the model runs.

        Raises:
            ModelError: they are no vectors of one length.
        """
        tensors = [None if value is None else value.const_value for value in node.inputs[1:]]
        stored = [tensor for tensor in tensors if tensor is not None]
        if len(stored) != 4 or node.domain not in ("", "ai.onnx"):
            return None
        shapes = [tuple(tensor.shape.numpy()) for tensor in stored]
        if len(shapes[0]) != 1 or len(set(shapes)) != 1:
            found = ", ".join(str(list(shape)) for shape in shapes)
            raise ModelError(
                f"BatchNormalization '{node.name}' has parameters of shapes {found}, where vectors with one value for "
                "each channel are needed; export the model again"
            )
        scale, shift, mean, variance = (tensor.numpy() for tensor in stored)
        epsilon = node.attributes.get_float("epsilon", 1e-5)
        key = (*node.inputs[1:], epsilon)  # the values themselves: an id may be given again
        return cls(scale / np.sqrt(variance + epsilon), mean, shift, key)

    @property
    def offset(self) -> np.ndarray:
        """What a zero becomes."""
        return np.asarray(self.shift - self.mean * self.factor)


@dataclass
class _Folding:
    """The folding of one model: the weights made so far, by what they were made of."""

    graph: ir.Graph
    made: dict[tuple[object, ...], ir.Value] = field(default_factory=dict)

    def into_layer_before(self, node: ir.Node) -> bool:
        """Folds a normalisation into the layer that it reads."""
        layer = node.inputs[0].producer() if node.inputs[0] is not None else None
        form = None if layer is None or not _is_sole_use(layer.outputs[0]) else LayerForm.of(layer)
        affine = _Affine.of(node)
        if layer is None or form is None or affine is None or not _has_stored_bias(layer):
            return False

        def normalised(bias: np.ndarray) -> np.ndarray:
            return np.asarray((form.beta * bias - affine.mean) * affine.factor + affine.shift)

        self._set_bias(layer, affine.factor.size, normalised)
        self._set_weight(layer, form, affine, lambda weights: form.scale_outputs(weights, affine.factor))
        replace_by(node, layer.outputs[0])
        return True

    def into_layer_behind(self, node: ir.Node) -> bool:
        """Folds a normalisation into the layer that reads it."""
        affine, data = _Affine.of(node), node.inputs[0]
        if affine is None or data is None or not _is_sole_use(node.outputs[0]):
            return False
        ((layer, index),) = node.outputs[0].uses()
        form = LayerForm.of(layer) if index == 0 else None
        offset = affine.offset
        shifts = bool(offset.any())
        if form is None or not _has_stored_bias(layer) or (shifts and _pads(layer)):
            return False
        if shifts:
            weight = layer.inputs[1]
            assert weight is not None and weight.const_value is not None
            tensor = weight.const_value
            size = form.outputs(tuple(int(extent) for extent in tensor.shape.numpy()))
            self._set_bias(layer, size, lambda bias: form.beta * bias + form.sum_inputs(tensor.numpy(), offset))
        self._set_weight(layer, form, affine, lambda weights: form.scale_inputs(weights, affine.factor))
        layer.replace_input_with(0, data)
        return True

    def _set_weight(
        self, layer: ir.Node, form: LayerForm, affine: _Affine, change: Callable[[np.ndarray], np.ndarray]
    ) -> None:
        """Gives a layer new weights; layers that share the old ones and get the same change share the new ones."""
        weight = layer.inputs[1]
        assert weight is not None and weight.const_value is not None
        tensor, key = weight.const_value, (weight, form, affine.key)
        if key not in self.made:
            name = self._take_name(weight, f"{weight.name}_of_{layer.name or layer.outputs[0].name}")
            shape = [int(extent) for extent in tensor.shape.numpy()]
            self.made[key] = lazy_constant(name, tensor.dtype, shape, lambda: change(tensor.numpy()))
            self.graph.register_initializer(self.made[key])
        layer.replace_input_with(1, self.made[key])

    def _set_bias(self, layer: ir.Node, size: int, change: Callable[[np.ndarray], np.ndarray]) -> None:
        """Gives a layer a new bias, of what was there or of zeros; a MatMul becomes a Gemm for it."""
        weight, bias = layer.inputs[1], layer.inputs[2] if len(layer.inputs) > 2 else None
        assert weight is not None and weight.const_value is not None
        tensor = ir.tensor(np.zeros(size, np.float32)) if bias is None else bias.const_value
        assert tensor is not None
        shape = np.broadcast_shapes(tuple(int(extent) for extent in tensor.shape.numpy()), (size,))
        fallback = f"{weight.name}_bias"
        name = self._free_name(fallback) if bias is None else self._take_name(bias, fallback)
        value = lazy_constant(name, weight.const_value.dtype, shape, lambda: change(tensor.numpy()))
        self.graph.register_initializer(value)
        layer.resize_inputs(3)
        layer.replace_input_with(2, value)
        layer.attributes.pop("beta", None)
        layer.op_type = "Gemm" if layer.op_type == "MatMul" else layer.op_type

    def _take_name(self, value: ir.Value, other: str) -> str:
        """Gives the name of a constant that only one node reads, which is dropped, or another that is free."""
        if len(value.uses()) > 1 or value.is_graph_output() or str(value.name) not in self.graph.initializers:
            return self._free_name(other)
        del self.graph.initializers[str(value.name)]
        return str(value.name)

    def _free_name(self, name: str) -> str:
        return name if name not in self.graph.initializers else self._free_name(f"{name}_")


def _is_sole_use(value: ir.Value) -> bool:
    return len(value.uses()) == 1 and not value.is_graph_output()


def _has_stored_bias(layer: ir.Node) -> bool:
    """Whether a layer's bias is stored, or absent."""
    bias = layer.inputs[2] if len(layer.inputs) > 2 else None
    return bias is None or bias.const_value is not None


def _pads(layer: ir.Node) -> bool:
    """Whether a layer reads zeros beside its data, or spreads it so that a constant does not stay one."""
    attributes = layer.attributes
    if layer.op_type in ("Gemm", "MatMul"):
        return False
    if layer.op_type == "ConvTranspose" or attributes.get_string("auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
        return True
    return any(attributes.get_ints("pads", []))
