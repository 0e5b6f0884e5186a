"""torch's two exporters, called as their users call them."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Literal

import torch

from benchmarks.zoo.specimen import Specimen

Exporter = Literal["dynamo", "script"]

EXPORTERS: tuple[Exporter, ...] = ("dynamo", "script")


def export(specimen: Specimen, exporter: Exporter, path: Path) -> None:
    """Writes a network as ONNX with all its dynamic extents, at the exporter's own opset.

    Args:
        specimen: the network; its seed is 0.
        exporter: ``dynamo`` for torch.export, ``script`` for TorchScript.
        path: file to write; ``dynamo`` puts the weights beside it, in ``NAME.onnx.data``.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    names = [each.name for each in specimen.inputs]
    axes = {
        each.name: {axis: extent for axis, extent in enumerate(each.shape) if isinstance(extent, str)}
        for each in specimen.inputs
    }
    logging.getLogger("torch.onnx._internal.exporter._registration").setLevel(logging.ERROR)  # names what is not here
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what an exporter warns of, the comparison with onnxruntime finds
        if exporter == "dynamo":
            torch.onnx.export(
                specimen.network(), specimen.sample(0), path, input_names=names, output_names=list(specimen.outputs),
                dynamo=True, dynamic_shapes=tuple(axes.values()), verbose=False,
            )  # fmt: skip
        else:
            outputs = dict.fromkeys(specimen.outputs, axes[names[0]])  # one result for each sample, or each token
            torch.onnx.export(
                specimen.network(), specimen.sample(0), path, input_names=names, output_names=list(specimen.outputs),
                dynamo=False, dynamic_axes={**axes, **outputs},
            )  # fmt: skip
