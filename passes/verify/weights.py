"""Whether a runtime unpacks the weights that the mirror has, bit for bit."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx_ir as ir
from onnx_ir.passes.common import RemoveUnusedNodesPass

from haqc.content import Content
from haqc.errors import ModelError
from haqc.onnxfile import UNPACKED_KEY
from haqc.passes.verify.consumer import Consumer, TensorDifference, consumer
from haqc.runtime import VERSION, Runtime


def compare_weights(model: ir.Model, weights: Mapping[str, np.ndarray]) -> Consumer:
    """Runs what unpacks the weights alone, at the runtime's defaults.

    Args:
        model: an emitted model.
        weights: the mirror's weights, float32, by name.

    Raises:
        ModelError: the model unpacks no weight of such a name, or the runtime refuses it.
    """
    copy = model.clone()
    unpacked = {
        node.metadata_props[UNPACKED_KEY]: node.outputs[0] for node in copy.graph if UNPACKED_KEY in node.metadata_props
    }
    missing = sorted({*weights} - {*unpacked})
    if missing:
        raise ModelError(f"the file unpacks no weight '{missing[0]}'; verify what one compile wrote")
    copy.graph.outputs[:] = [unpacked[name] for name in weights]
    RemoveUnusedNodesPass()(copy)
    copy.graph.inputs.clear()
    got = Runtime(Content.of(copy)).run({})
    found = {name: got[str(unpacked[name].name)] for name in weights}
    differences = []
    for name, expected in weights.items():
        same = found[name].shape == expected.shape and found[name].dtype == expected.dtype
        wrong = int((found[name].view(np.int32) != expected.view(np.int32)).sum()) if same else expected.size
        largest = float(np.abs(found[name] - expected).max(initial=0.0)) if same else float("inf")
        differences.append(TensorDifference(name, expected.size, wrong, largest, not wrong))
    return consumer("onnxruntime, defaults, weights alone", VERSION, "mirror", "weights", differences, None)
