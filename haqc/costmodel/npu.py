"""Prices of a neural processing unit of fixed width, after the performance model of Arm's own compiler.

The figures that the formulas rest on are those of Vela 5.2.0 (Arm, package ethos-u-vela, Apache-2.0), which estimates
a layer as the longest of multiplication, output stage and memory. Restated here without its search for blocks:

- A core computes a micro-block of outputs at a time, ``dot_length`` products of each per cycle. It takes the input
  channels in multiples of ``depth_step`` one tap after another, or gathers taps in multiples of ``tap_step`` and takes
  channels in multiples of ``dot_length``; the faster is taken. A depthwise layer has one channel to take, and uses one
  lane of each dot product.
- The weights of one step serve all micro-blocks of a plane, and take the decoder as long as their number says: layers
  of few pixels, dense ones above all, are bound by it.
- The output stage takes a fixed time per value. It works on one block while the multipliers fill the next, so a layer
  takes as long as the slower of the two, and one block of the other.
- Activations pass one port, and weights with their biases and scales another. Weights pass once; the input is read
  once for every ``channels_per_pass`` output channels, except by a depthwise layer.

Multiplication is 8 bits wide whatever the weights: lower widths of weights are stored and fetched in fewer bits, and
change nothing else. The borders that neighbouring blocks both read and the bursts of the memories are not modelled, so
that most layers lie a little below Vela's figure, and a layer that reads an image of few channels from DRAM far below
it. Feature maps with two axes are taken to be square.

Traffic is what passes the unit's two ports, both of which leave it; leakage is not known and not counted.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from haqc.costmodel.prices import NOTHING, Axes, Context, Energy, Prices, Reals, Traffic
from haqc.costmodel.tensors import TensorSizes
from haqc.errors import ModelError
from haqc.graph import Layer
from haqc.hardware.npu import Npu

_BITS_PER_BYTE = 8


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class PortPrices(Prices):
    """Prices on hardware with two ports.

    Attributes:
        activation_cycles, weight_cycles: the least cycles that each kind of traffic takes on its port.
    """

    activation_cycles: Reals
    weight_cycles: Reals

    def bounds(self) -> npt.NDArray[np.int8]:
        """Gives what binds each cell; of two ports the one that is busy for longer, whatever bits it moves."""
        traffic = np.where(self.weight_cycles > self.activation_cycles, 2, 1)
        bounds: npt.NDArray[np.int8] = np.where(self.compute_cycles >= self.memory_cycles, 0, traffic).astype(np.int8)
        return bounds


def price_npu(
    layers: Sequence[Layer], hardware: Npu, axes: Axes, batch: int, mode: str, context: Context
) -> PortPrices:
    """Prices layers at every combination of widths; see :mod:`haqc.costmodel.prices`.

    Args:
        layers: layers of the network, at least one.
        hardware: the unit.
        axes: the widths.
        batch: inferences of one batch; they run one after another, but the rows of dense layers run together.
        mode: ``estimate``.
        context: which products are of two activations.

    Raises:
        ModelError: a layer multiplies two activations.
    """
    _require_stored_weights(layers, context)
    shared = np.array([batch if layer.is_dense else 1 for layer in layers], np.float64).reshape(-1, 1, 1, 1)
    repeats = batch / shared
    sizes = TensorSizes.of(layers)
    values = sizes.outputs * shared
    multiplying = _column([_mac_cycles(y, hardware, batch if y.is_dense else 1) for y in layers])
    writing = values * hardware.output_cycles_per_value
    last_block = np.minimum(hardware.values_per_block / values, 1.0)
    compute = repeats * (np.maximum(multiplying, writing) + np.minimum(multiplying, writing) * last_block)

    containers = context.precision.activation_container_bits
    data = np.array([containers(bits) for bits in axes.activation_bits], np.float64).reshape(1, 1, -1, 1)
    results = np.array([containers(bits) for bits in axes.output_bits], np.float64).reshape(1, 1, 1, -1)
    traffic = Traffic(
        activations=sizes.inputs * batch * data * _column([_passes(layer, hardware) for layer in layers]),
        weights=repeats * _weight_bits(layers, hardware, axes, sizes),
        outputs=sizes.outputs * batch * results,
    )
    mapped = traffic.activations + traffic.outputs
    spilt = _is_spilt(sizes.inputs * data + sizes.outputs * results, hardware)
    sram_bits, off_chip_bits = np.where(spilt, 0.0, mapped), traffic.weights + np.where(spilt, mapped, 0.0)
    rate = np.where(spilt, hardware.off_chip_bits_per_s, hardware.sram_bits_per_s)
    memory_s = np.maximum(sram_bits / hardware.sram_bits_per_s, off_chip_bits / hardware.off_chip_bits_per_s)
    memory = memory_s * hardware.clock_hz
    return PortPrices(
        cycles=np.broadcast_to(np.maximum(compute, memory), (len(layers), *axes.lengths)).copy(),
        energy=Energy(
            compute=_column([layer.macs * batch for layer in layers]) * hardware.mac_energy_j,
            on_chip=sram_bits * hardware.sram_energy_j_per_bit,
            off_chip=off_chip_bits * hardware.off_chip_energy_j_per_bit,
            leakage=NOTHING,
        ),
        moved_bits=traffic,
        compute_cycles=compute,
        memory_cycles=memory,
        activation_cycles=mapped / rate * hardware.clock_hz,
        weight_cycles=traffic.weights / hardware.off_chip_bits_per_s * hardware.clock_hz,
    )


def _mac_cycles(layer: Layer, hardware: Npu, batch: int) -> float:
    """Gives the cycles that the multipliers take for the rows of ``batch`` inferences of a layer."""
    taps = math.prod(layer.kernel)
    rows, channels, columns = layer.rows * batch, layer.reduction // taps, layer.columns
    groups = layer.groups
    if layer.op == "ConvTranspose":  # runs as a convolution over its input with zeros in between
        rows, channels, columns = rows * math.prod(layer.stride), layer.reduction, layer.columns // taps
    gathered = _up(taps, hardware.tap_step)
    if layer.is_depthwise and not layer.is_dense:
        steps, columns, groups = gathered, layer.out_channels, 1
    else:
        by_depth = taps * _up(channels, hardware.depth_step) // hardware.dot_length
        steps = min(by_depth, gathered * -(-channels // hardware.dot_length))
    # Weights of one step: a dot product for each output channel of the micro-block.
    decoding = -(-hardware.block_depth * hardware.dot_length // hardware.weights_per_cycle)
    planes = max(_plane_blocks(rows, len(layer.kernel), hardware), decoding)
    return groups * planes * -(-columns // hardware.block_depth) * steps / hardware.cores


def _passes(layer: Layer, hardware: Npu) -> int:
    """Gives how often a layer reads its input."""
    if layer.is_depthwise and not layer.is_dense:
        return 1
    columns = layer.columns // math.prod(layer.kernel) if layer.op == "ConvTranspose" else layer.columns
    return -(-columns // hardware.channels_per_pass)


def _plane_blocks(rows: int, axes: int, hardware: Npu) -> int:
    """Gives the micro-blocks that cover one channel of the output: a square, or a line where there is one axis."""
    height = 1 if axes == 1 else math.isqrt(rows - 1) + 1
    width = -(-rows // height)
    if height == 1:  # a line is cut into blocks of one row and as many columns as a block has pixels
        return -(-width // (hardware.block_height * hardware.block_width))
    return -(-height // hardware.block_height) * -(-width // hardware.block_width)


def _weight_bits(layers: Sequence[Layer], hardware: Npu, axes: Axes, sizes: TensorSizes) -> Reals:
    """Gives the bits of weights, biases and scales that are fetched for one pass, [layer, weight, 1, 1]."""
    stored = dict(hardware.stored_bits)
    bits = np.array([stored[width] for width in axes.weight_bits], np.float64).reshape(1, -1, 1, 1)
    channels = _column([layer.out_channels for layer in layers])
    return np.asarray(sizes.weights * bits + channels * hardware.channel_bits, np.float64)


def _is_spilt(mapped_bits: Reals, hardware: Npu) -> npt.NDArray[np.bool_]:
    """Whether the input and the result of a layer do not fit the SRAM together and lie off the chip."""
    if hardware.cache_bytes is None:
        return np.zeros((1, 1, 1, 1), np.bool_)
    return np.asarray(mapped_bits > hardware.cache_bytes * _BITS_PER_BYTE)


def _require_stored_weights(layers: Sequence[Layer], context: Context) -> None:
    for layer in layers:
        if layer.name in context.unshared:
            raise ModelError(
                f"layer '{layer.name}' multiplies two activations, and the formulas of kind 'npu' hold for stored "
                "weights only; choose a target of another kind for this model"
            )


def _up(value: int, step: int) -> int:
    return -(-value // step) * step


def _column(values: Sequence[Any]) -> Reals:
    return np.array(values, np.float64).reshape(-1, 1, 1, 1)
