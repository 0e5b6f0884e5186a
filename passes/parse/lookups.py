"""Recognises a Gather of rows of a float constant, which is what an embedding is exported as."""

from __future__ import annotations

import onnx_ir as ir

from haqc.passes.parse.reading import int_attribute, is_float, is_standard

ROWS_AND_COLUMNS = 2
"""Axes of a table: rows, and the values of one."""


def reads_rows(node: ir.Node) -> bool:
    """Whether a node is a Gather along the first axis of a float constant of at least two."""
    table = node.inputs[0] if is_standard(node) and node.op_type == "Gather" else None
    if table is None or table.const_value is None or not is_float(table):
        return False
    rank = len(table.const_value.shape)
    return rank >= ROWS_AND_COLUMNS and int_attribute(node, "axis", 0) in (0, -rank)


def is_table(node: ir.Node) -> bool:
    """Whether a node is a layer that looks rows of a table up."""
    table = node.inputs[0] if reads_rows(node) else None
    return table is not None and table.const_value is not None and len(table.const_value.shape) == ROWS_AND_COLUMNS
