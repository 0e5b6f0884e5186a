"""Ends an emitted model: the policy on its nodes, everything in its metadata, the lowest version that holds it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import onnx
import onnx_ir as ir

from haqc.errors import ModelError
from haqc.onnxfile import METADATA_KEY
from haqc.policy import Policy

MAX_IR_VERSION = 13
"""The highest IR version that runtimes read."""


def annotate(model: ir.Model, policy: Policy, annotations: Mapping[str, Any]) -> None:
    """Writes the policy on the nodes (a convenience) and everything as one JSON in the model's metadata."""
    nodes = {str(node.name): node for node in model.graph}
    for layer, bits in zip(policy.graph.layers, policy.layer_bits, strict=True):
        props = nodes[layer.nodes[0]].metadata_props
        if layer.float_reason:
            props["haqc.float"] = layer.float_reason
            continue
        props["haqc.weight_bits"] = str(bits.weight)
        if not layer.data_reason:
            props["haqc.activation_bits"] = str(bits.activation)
    model.metadata_props[METADATA_KEY] = json.dumps(annotations, ensure_ascii=False, separators=(",", ":"))


def finish(model: ir.Model, annotations: Mapping[str, Any]) -> None:
    """Sorts the nodes, and writes who made the model and the lowest IR version that holds it.

    Raises:
        ModelError: the model's operators need an IR version that runtimes do not read.
    """
    model.graph.sort()
    model.ir_version = _lowest_ir_version(model)
    model.producer_name, model.producer_version = "haqc", str(annotations.get("haqc", ""))


def _lowest_ir_version(model: ir.Model) -> int:
    opsets = [onnx.helper.make_opsetid(domain, version) for domain, version in model.opset_imports.items()]
    version = onnx.helper.find_min_ir_version_for(opsets, ignore_unknown=True)
    if version > MAX_IR_VERSION:
        raise ModelError(
            f"the model needs ONNX IR version {version}, runtimes read {MAX_IR_VERSION}; export an older opset"
        )
    return int(max(version, 10))
