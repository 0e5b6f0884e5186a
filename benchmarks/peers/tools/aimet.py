"""AIMET's post-training simulation for ONNX: any width; ranges, equalisation, sequential MSE, learned rounding."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aimet_onnx
import numpy as np
import onnx
from aimet_onnx.cross_layer_equalization import equalize_model

if TYPE_CHECKING:
    from benchmarks.peers.tools.job import Forward, Job, main
else:
    from job import Forward, Job, main  # the script runs by itself, beside this module

BATCH = 32
ROUNDING_STEPS = 2_000
"""Its own default of 10,000 takes ten minutes and more on these networks."""


def quantise(job: Job) -> tuple[Forward, str]:
    model, widths = onnx.load(job.model), job.widths
    if "cle" in job.recipe:
        before = onnx.load(job.model)
        equalize_model(model)
        widths = renamed(widths, before.graph, model.graph)
    # Sequential MSE and learned rounding search the weights' ranges themselves and want plain ones to begin with.
    scheme = "min_max" if job.recipe in ("min_max", "seqmse") else "tf_enhanced"
    sim = aimet_onnx.QuantizationSimModel(
        model,
        param_type=aimet_onnx.qtype.int(job.weights),
        activation_type=aimet_onnx.qtype.int(job.activations),
        quant_scheme=scheme,
    )
    if widths:
        pin(sim, widths)
    parts = range(0, len(job.calibration), BATCH)
    batches = [{job.input: job.calibration[start : start + BATCH]} for start in parts]
    if job.recipe == "seqmse":
        aimet_onnx.apply_seq_mse(sim, batches)
    if job.recipe == "adaround":
        aimet_onnx.apply_adaround(sim, batches, num_iterations=ROUNDING_STEPS)
    sim.compute_encodings(batches)
    return lambda batch: np.asarray(sim.session.run(None, {job.input: batch})[0]), "simulator"


def renamed(widths: dict[str, int], before: onnx.GraphProto, after: onnx.GraphProto) -> dict[str, int]:
    """Gives the widths under the names that tensors have once they are equalised: each Clip has become a Relu."""
    heirs = {node.input[0]: node.output[0] for node in after.node if node.op_type == "Relu"}
    clips = {node.output[0]: heirs.get(node.input[0]) for node in before.node if node.op_type == "Clip"}
    return {clips.get(name) or name: bits for name, bits in widths.items()}


def pin(sim: aimet_onnx.QuantizationSimModel, widths: dict[str, int]) -> None:
    """Gives tensors widths of their own; activations of which nothing is said stay in float.

    Raises:
        ValueError: the simulator has no tensor of a name; it would stay in float where haqc quantises it.
    """
    missing = sorted(widths.keys() - sim.qc_quantize_op_dict.keys())
    if missing:
        raise ValueError(f"the simulator has no tensors {missing}")
    for name, quantizer in sim.qc_quantize_op_dict.items():
        if name in widths:
            quantizer.set_bitwidth(widths[name])
        elif name in sim.activation_names:
            quantizer.enabled = False


if __name__ == "__main__":
    main(quantise, aimet_onnx.__version__)
