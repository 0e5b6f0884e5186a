"""Parses a cleaned ONNX graph into the layer IR."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import onnx_ir as ir
from onnx_ir.passes import common

from haqc.errors import ModelError
from haqc.graph import FULL_BITS, Graph, Layer, Operand, Operation, element_count

COMPUTE = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
"""Operators that are layers."""

RESHAPING = frozenset({"Reshape", "Flatten", "Transpose", "Squeeze", "Unsqueeze", "Identity", "Dropout"})
"""Operators that only rename or reorder values: quantisers and memory see through them."""

JOINING = frozenset({"Add", "Concat"})
POOLING = frozenset(
    {"MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "LpPool", "GlobalLpPool", "ReduceMean"}
)
"""Operators whose inputs are quantised at 8 bits when no layer reads them."""

FUSED_ACTIVATIONS = frozenset(
    {"Relu", "Clip", "LeakyRelu", "PRelu", "Elu", "Selu", "Celu", "Sigmoid", "HardSigmoid", "HardSwish", "Tanh",
     "Softplus", "Softsign", "Gelu", "Mish", "ThresholdedRelu"}
)  # fmt: skip
"""Unary operators that hardware applies while a layer's result is written."""

_NONNEGATIVE = frozenset({"Relu", "Sigmoid", "HardSigmoid", "Softmax", "Softplus", "Abs", "Exp", "Sqrt"})
_KEEPS_SIGN = RESHAPING | JOINING | POOLING


def parse(model: ir.Model, name: str) -> Graph:
    """Turns a cleaned model into layers, operands and a schedule.

    Args:
        model: a model as :func:`haqc.passes.clean.clean` leaves it; it is not changed.
        name: the model's name (file stem).

    Raises:
        ModelError: a shape cannot be inferred, or the model holds no layer.
    """
    return _Parser(_with_batch_of_one(model), name).parse()


def _with_batch_of_one(model: ir.Model) -> ir.Model:
    """Gives a copy with a symbolic batch bound to one and every shape inferred anew from it."""
    copy = model.clone()
    for value in copy.graph.inputs:
        if value.shape is None or not len(value.shape):
            continue
        first, *rest = value.shape
        unknown = [str(extent) for extent in rest if not isinstance(extent, int)]
        if unknown:
            raise ModelError(
                f"input '{value.name}' has symbolic dimensions {', '.join(unknown)} beside its batch; "
                "export the model with fixed sizes"
            )
        value.shape = ir.Shape([first if isinstance(first, int) else 1, *rest])
    inputs = set(copy.graph.inputs)
    for node in copy.graph:
        for output in node.outputs:
            if output not in inputs:
                output.shape = None
    common.ShapeInferencePass(strict_mode=False)(copy)  # what cannot be inferred stays unknown, and is refused by name
    return copy


@dataclass
class _Parser:
    """The state of one parse; made, used once and dropped."""

    model: ir.Model
    name: str
    layers: list[Layer] = field(default_factory=list)
    operations: list[Operation] = field(default_factory=list)
    fused: set[ir.Node] = field(default_factory=set)
    counted_weights: set[str] = field(default_factory=set)
    nodes: dict[str, ir.Node] = field(init=False)
    values: dict[str, ir.Value] = field(init=False)

    def __post_init__(self) -> None:
        graph = self.model.graph
        self.nodes = {str(node.name): node for node in graph}
        self.values = {_name(v): v for v in [*graph.inputs, *(v for node in graph for v in node.outputs)]}

    def parse(self) -> Graph:
        for node in self.model.graph:
            if node not in self.fused:
                self._add(node)
        if not self.layers:
            raise ModelError(f"'{self.name}' holds no Conv, Gemm or MatMul; there is nothing to quantise")
        graph = self.model.graph
        return Graph(
            name=self.name,
            layers=tuple(self.layers),
            operands=self._operands(),
            operations=tuple(self.operations),
            tensor_values=self._tensor_values(),
            inputs=tuple(_name(value) for value in graph.inputs),
            outputs=tuple(_name(value) for value in graph.outputs),
            last_layers=self._last_layers(),
            batch=_static_batch(self.model),
            opset=self.model.opset_imports.get("", 0),
        )

    def _add(self, node: ir.Node) -> None:
        if node.op_type in RESHAPING or all(is_constant(value) for value in node.inputs):
            return
        is_layer = node.domain in ("", "ai.onnx") and node.op_type in COMPUTE
        chain = [node, *fused_chain(node)] if is_layer else [node]
        self.fused.update(chain)
        written = [value for value in chain[-1].outputs if value.uses() or value.is_graph_output()]
        self.operations.append(
            Operation(
                name=str(node.name),
                op=node.op_type,
                reads=_unique(_name(root(v)) for n in chain for v in n.inputs if v is not None and _is_read(v, chain)),
                writes=_unique(_name(value) for value in written),
                layer=str(node.name) if is_layer else None,
            )
        )
        if is_layer:
            self.layers.append(self._layer(node, chain))

    def _layer(self, node: ir.Node, chain: list[ir.Node]) -> Layer:
        data, weight = node.inputs[0], node.inputs[1]
        assert data is not None and weight is not None  # the checker has seen to it
        data_shape, weight_shape = _shape(data), _shape(weight)
        output_shape = _shape(node.outputs[0])
        batch = _static_batch(self.model)
        groups = 1
        kernel: tuple[int, ...] = ()
        stride: tuple[int, ...] = ()
        if node.op_type in ("Conv", "ConvTranspose"):
            groups = _int(node, "group", 1)
            kernel = weight_shape[2:]
            stride = _ints(node, "strides", (1,) * len(kernel))
            in_channels, out_channels = data_shape[1], output_shape[1]
            read = weight_shape[1] * groups if node.op_type == "Conv" else weight_shape[0]
            if read != in_channels or groups < 1 or in_channels % groups or out_channels % groups:
                raise ModelError(
                    f"the weights of layer '{node.name}', of shape {list(weight_shape)} in {groups} groups, do not fit "
                    f"{in_channels} channels of data; export the model again"
                )
            feature_size = element_count(data_shape[2:])
            if node.op_type == "Conv":
                rows, columns = element_count(output_shape[2:]), out_channels // groups
                reduction = in_channels // groups * element_count(kernel)
            else:
                rows, reduction = feature_size, in_channels // groups
                columns = out_channels // groups * element_count(kernel)
        else:
            reduction = data_shape[0 if _int(node, "transA", 0) else -1]
            in_channels, out_channels, columns = reduction, output_shape[-1], output_shape[-1]
            rows = max(1, element_count(output_shape) // columns // batch)
            if not is_constant(weight) and len(weight_shape) > 2:  # one product per head, each with its own operands
                groups = max(1, element_count(weight_shape[:-2]) // batch)
                rows = max(1, rows // groups)
            feature_size = reduction
        weight_name = _name(root(weight))
        stored = element_count(weight_shape) if is_constant(weight) and weight_name not in self.counted_weights else 0
        self.counted_weights.add(weight_name)
        bias = bias_of(node)
        return Layer(
            name=str(node.name),
            op=node.op_type,
            nodes=tuple(str(n.name) for n in chain),
            activation=_name(root(data)),
            weight=weight_name,
            output=_name(chain[-1].outputs[0]),
            in_channels=in_channels,
            out_channels=out_channels,
            kernel=kernel,
            stride=stride,
            groups=groups,
            rows=rows,
            reduction=reduction,
            columns=columns,
            weight_values=stored,
            bias_values=element_count(_shape(bias)) if bias is not None else 0,
            feature_size=feature_size,
            bias=_name(bias) if bias is not None and _shape(bias) == (out_channels,) else "",
            weight_axis=channel_axis(node) if is_constant(weight) else 0,
            float_reason=_float_reason(node),
        )

    def _operands(self) -> tuple[Operand, ...]:
        readers: dict[tuple[str, str], list[str]] = {}
        for layer in self.layers:
            if layer.float_reason:
                continue
            kind = "weight" if self._is_stored(layer.weight) else "activation"
            readers.setdefault((layer.weight, kind), []).append(layer.name)
            readers.setdefault((layer.activation, "activation"), []).append(layer.name)
        operands = {
            tensor: Operand(tensor, "weight" if kind == "weight" else "activation", _unique(names),
                            self._values(tensor), self._signed(tensor))
            for (tensor, kind), names in readers.items()
        }  # fmt: skip
        for operation in self.operations:
            if operation.op not in JOINING | POOLING:
                continue
            if operation.op == "Add" and len(operation.reads) < 2 and not self._adds_to_itself(operation):
                continue  # adding a constant is no join: it stays in float beside its neighbours
            for tensor in operation.reads:
                if tensor not in operands and _is_float(self._value(tensor)):  # shapes are computed in integers
                    reason = f"read only by {operation.op}, which runs at {FULL_BITS} bits"
                    operands[tensor] = Operand(
                        tensor, "activation", (), self._values(tensor), self._signed(tensor), FULL_BITS, reason
                    )
        return tuple(operands.values())

    def _adds_to_itself(self, operation: Operation) -> bool:
        return not any(is_constant(value) for value in self.nodes[operation.name].inputs)

    def _value(self, tensor: str) -> ir.Value:
        return self.values.get(tensor) or self.model.graph.initializers[tensor]

    def _is_stored(self, tensor: str) -> bool:
        return tensor in self.model.graph.initializers

    def _values(self, tensor: str) -> int:
        count = element_count(_shape(self._value(tensor)))
        return count if self._is_stored(tensor) else max(1, count // _static_batch(self.model))

    def _signed(self, tensor: str) -> bool:
        return self._is_stored(tensor) or not is_nonnegative(self._value(tensor))

    def _tensor_values(self) -> dict[str, int]:
        names = [_name(value) for value in self.model.graph.inputs]
        names += [tensor for operation in self.operations for tensor in operation.writes]
        return {tensor: self._values(tensor) for tensor in names}

    def _last_layers(self) -> tuple[str, ...]:
        """Gives the layers nearest to each output, found by walking back from it."""
        layer_of = {node: layer.name for layer in self.layers for node in layer.nodes}
        last: dict[str, None] = {}
        pending = list(self.model.graph.outputs)
        seen: set[ir.Node] = set()
        while pending:
            node = pending.pop().producer()
            if node is None or node in seen:
                continue
            seen.add(node)
            if str(node.name) in layer_of:
                last[layer_of[str(node.name)]] = None
            else:
                pending.extend(value for value in node.inputs if value is not None)
        return tuple(name for name in layer_of.values() if name in last and last.pop(name, True) is None)


def is_constant(value: ir.Value | None) -> bool:
    """Whether a value is absent or known before the model runs."""
    return value is None or value.const_value is not None


def root(value: ir.Value) -> ir.Value:
    """Gives the value that is really stored: reshaping operators are seen through."""
    while True:
        node = value.producer()
        if node is None or node.op_type not in RESHAPING or node.inputs[0] is None:
            return value
        value = node.inputs[0]


def fused_chain(node: ir.Node) -> list[ir.Node]:
    """Gives the nodes that run while a layer's result is written: a constant bias, then one activation function."""
    chain: list[ir.Node] = []
    value = node.outputs[0]
    follower = _sole_reader(value)
    if follower is not None and follower.op_type == "Add" and node.op_type == "MatMul":
        other = follower.inputs[1] if follower.inputs[0] is value else follower.inputs[0]
        if is_constant(other):
            chain.append(follower)
            value = follower.outputs[0]
            follower = _sole_reader(value)
    applies = follower is not None and follower.op_type in FUSED_ACTIVATIONS and follower.inputs[0] is value
    if follower is not None and applies and all(is_constant(other) for other in follower.inputs[1:]):
        chain.append(follower)
    return chain


def bias_of(node: ir.Node) -> ir.Value | None:
    """Gives the constant bias of a Conv, ConvTranspose or Gemm, or ``None``."""
    bias = node.inputs[2] if node.op_type != "MatMul" and len(node.inputs) > 2 else None
    return bias if bias is not None and bias.const_value is not None else None


def is_nonnegative(value: ir.Value) -> bool:
    """Whether a value cannot be negative by the operators that lead to it."""
    pending, seen = [value], set()
    while pending:
        value = pending.pop()
        node = value.producer()
        if node is None:
            return False
        if node in seen or node.op_type in _NONNEGATIVE:
            continue
        seen.add(node)
        if node.op_type == "Clip":
            low = node.inputs[1] if len(node.inputs) > 1 else None
            if low is None or low.const_value is None or float(low.const_value.numpy()) < 0:
                return False
        elif node.op_type in _KEEPS_SIGN:
            inputs = node.inputs[:1] if node.op_type in RESHAPING | POOLING else node.inputs
            pending.extend(v for v in inputs if v is not None)
        else:
            return False
    return True


def _float_reason(node: ir.Node) -> str:
    """Gives the reason why a layer stays in float, or an empty string."""
    data, weight = node.inputs[0], node.inputs[1]
    if is_constant(data):
        return "its left operand is constant"
    if not all(value is not None and _is_float(value) for value in (data, weight)):
        return "its operands are no floating-point numbers"
    if not is_constant(weight):
        return "" if node.op_type == "MatMul" else "its weights are computed while the model runs"
    assert weight is not None
    if node.op_type == "Gemm" and _int(node, "transA", 0):
        return "it reads its data transposed"
    if len(_shape(weight)) < 2:
        return "its weights are a vector"
    others = [reader for reader, index in weight.uses() if index != 1 or reader.op_type not in COMPUTE]
    if others:
        return f"its weights are also read by {others[0].op_type} '{others[0].name}'"
    axes = {channel_axis(reader) for reader, _ in weight.uses()}
    return "its weights are shared with a layer that reads them along another axis" if len(axes) > 1 else ""


def channel_axis(node: ir.Node) -> int:
    """Gives the axis of a layer's weights along which each output channel has its own scale."""
    if node.op_type == "ConvTranspose":
        return 1
    if node.op_type == "MatMul":
        weight = node.inputs[1]
        assert weight is not None and weight.shape is not None
        return len(weight.shape) - 1
    return 0 if node.op_type == "Conv" or _int(node, "transB", 0) else 1


def _sole_reader(value: ir.Value) -> ir.Node | None:
    uses = list(value.uses())
    return uses[0].node if len(uses) == 1 and not value.is_graph_output() else None


def _is_read(value: ir.Value, chain: list[ir.Node]) -> bool:
    return not is_constant(value) and value.producer() not in chain


def _is_float(value: ir.Value) -> bool:
    dtype = value.const_value.dtype if value.const_value is not None else value.dtype
    return dtype is None or dtype.is_floating_point()


def _static_batch(model: ir.Model) -> int:
    for value in model.graph.inputs:
        if value.shape is not None and len(value.shape) and isinstance(value.shape[0], int):
            return max(1, value.shape[0])
    return 1


def _shape(value: ir.Value) -> tuple[int, ...]:
    """Gives a concrete shape.

    Raises:
        ModelError: the shape is unknown or symbolic, or has an extent under 1.
    """
    shape = value.const_value.shape if value.const_value is not None else value.shape
    if shape is None or not all(isinstance(extent, int) for extent in shape):
        raise ModelError(
            f"the shape of tensor '{value.name}' cannot be inferred (it is {shape}); export the model with fixed sizes "
            "or look for its mistake with onnx.shape_inference.infer_shapes(model, strict_mode=True)"
        )
    extents = tuple(int(str(extent)) for extent in shape)
    if any(extent < 1 for extent in extents):
        raise ModelError(f"tensor '{value.name}' of shape {list(extents)} holds nothing; export the model again")
    return extents


def _int(node: ir.Node, name: str, default: int) -> int:
    attribute = node.attributes.get(name)
    return default if attribute is None else int(attribute.as_int())


def _ints(node: ir.Node, name: str, default: tuple[int, ...]) -> tuple[int, ...]:
    attribute = node.attributes.get(name)
    return default if attribute is None else tuple(int(v) for v in attribute.as_ints())


def _name(value: ir.Value) -> str:
    return str(value.name)


def _unique(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))
