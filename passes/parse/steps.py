"""The steps of a graph in its order: layers with what is fused behind them, other operators, and what is left out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import onnx_ir as ir

from haqc.graph import RECURRENT, Layer, LeftOut
from haqc.passes.parse.chains import fused_chain
from haqc.passes.parse.convolutions import convolution_layer
from haqc.passes.parse.lookups import is_table, reads_rows
from haqc.passes.parse.operators import COMPUTE, CONVOLUTIONS, PRODUCTS, RESHAPING, UNMODELLED
from haqc.passes.parse.products import product_layer
from haqc.passes.parse.reading import captured, is_constant, is_standard, known_shape, operator, subgraphs
from haqc.passes.parse.recurrent import recurrent_layers
from haqc.passes.parse.setting import Setting
from haqc.passes.parse.tables import table_layer


@dataclass(frozen=True, slots=True)
class Step:
    """One node that runs, with what is fused behind it.

    Attributes:
        chain: the node, then the fused ones.
        layers: the layers that it is; none for other operators, two for a recurrent one.
        reads: values that it really reads, reshapes seen through, without constants.
    """

    chain: tuple[ir.Node, ...]
    layers: tuple[Layer, ...]
    reads: tuple[ir.Value, ...]

    @property
    def node(self) -> ir.Node:
        """The node that gives the step its name."""
        return self.chain[0]

    @property
    def writes(self) -> tuple[ir.Value, ...]:
        """Values that it writes and that anything reads."""
        return tuple(v for v in self.chain[-1].outputs if v.uses() or v.is_graph_output())


def steps_of(graph: ir.Graph, setting: Setting) -> Iterator[Step]:
    """Yields the steps; nodes that reshape, and those that follow from constants alone, are none.

    Raises:
        ModelError: the shape of something that a layer reads or writes is not known.
    """
    fused: set[ir.Node] = set()
    for node in graph:
        if node in fused or _is_nothing(node, setting):
            continue
        is_layer = is_layer_node(node)
        chain = [node, *(fused_chain(node) if is_layer and node.op_type in CONVOLUTIONS | PRODUCTS else ())]
        fused.update(chain)
        layers = _layers(node, chain, setting) if is_layer else ()
        yield Step(tuple(chain), layers, _reads(chain, setting))


def left_out(graph: ir.Graph, setting: Setting) -> Iterator[LeftOut]:
    """Yields the nodes that compute and are no layers."""
    for node in graph:
        if _is_nothing(node, setting):
            continue
        reason = _reason(node)
        if reason:
            yield LeftOut(str(node.name), operator(node), reason)
        for body in subgraphs(node):
            for inner in body.all_nodes():
                if not is_standard(inner) or inner.op_type in COMPUTE | UNMODELLED:
                    yield LeftOut(
                        str(inner.name or inner.outputs[0].name),
                        operator(inner),
                        f"it stands inside the body of {node.op_type} '{node.name}', which runs in float",
                    )


def is_layer_node(node: ir.Node) -> bool:
    """Whether a node is one or two layers."""
    if is_table(node):
        return not _is_empty(node)
    return is_standard(node) and node.op_type in COMPUTE and not _is_empty(node)


def _reason(node: ir.Node) -> str:
    """Gives the reason why a node that computes is no layer, or an empty string."""
    if not is_standard(node):
        return f"operators of domain '{node.domain}' have no cost model; export the model with ONNX's own operators"
    if node.op_type in UNMODELLED:
        return f"there is no cost model for {node.op_type}"
    if node.op_type in COMPUTE and _is_empty(node):
        return "one of its tensors holds nothing"
    if reads_rows(node) and not is_table(node):
        return "its table has more than two axes"
    return ""


def _is_empty(node: ir.Node) -> bool:
    return any(0 in (known_shape(value) or ()) for value in (*node.inputs, *node.outputs) if value is not None)


def _is_nothing(node: ir.Node, setting: Setting) -> bool:
    if is_standard(node) and node.op_type in RESHAPING:
        return True
    if is_table(node):
        return False
    known = node.inputs and all(setting.flow.is_known(value) for value in node.inputs)
    return bool(known and not captured(node)) or (not node.inputs and not any(subgraphs(node)))


def _layers(node: ir.Node, chain: list[ir.Node], setting: Setting) -> tuple[Layer, ...]:
    if is_table(node):
        return (table_layer(node, setting),)
    if node.op_type in RECURRENT:
        return recurrent_layers(node, setting)
    if node.op_type in CONVOLUTIONS:
        return (convolution_layer(node, chain, setting),)
    return (product_layer(node, chain, setting),)


def _reads(chain: list[ir.Node], setting: Setting) -> tuple[ir.Value, ...]:
    found: dict[ir.Value, None] = {}
    for node in chain:
        for value in (*node.inputs, *captured(node)):
            if value is None or is_constant(value) or setting.flow.is_known(value) or value.producer() in chain:
                continue
            found[setting.flow.root(value)] = None
    return tuple(found)
