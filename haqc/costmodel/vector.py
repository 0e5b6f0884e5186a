"""Prices of a vector processor: a loop of multiply-accumulates with its overheads, or its memories if they are slower.

The form is the common one for microcontrollers, with rates by operator class because one rate does not do: the same
Cortex-M85 was measured at 3.07 multiply-accumulates per cycle on ResNet-8 and at 1.17 on MobileNet-V1 (MLPerf Tiny
v1.2, inference). Beside them count what the kernels of CMSIS-NN (Lai et al., arXiv 1801.06601) do: gather the columns
of a convolution, unpack operands that are narrower than the instructions take, requantise each output.

Weights narrower than that are unpacked again for every few output positions, so 4 bits may be slower than 8: they save
bytes of flash, and time only where flash is what binds. The columns of a convolution are gathered into a small buffer,
which counts in cycles and not as traffic.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from haqc.costmodel.prices import NOTHING, Axes, Context, Energy, Prices, Reals, Traffic
from haqc.costmodel.tensors import sizes
from haqc.errors import TargetError
from haqc.graph import Layer
from haqc.hardware.vector import OPERATOR_CLASSES, OperatorClass, Rates, Unpacking, Vector
from haqc.precision import FLOAT_BITS, Precision


def operator_class(layer: Layer) -> OperatorClass:
    """Gives the class whose rate a layer runs at."""
    if layer.is_dense:
        return "dense"
    if layer.is_depthwise:
        return "depthwise"
    is_pointwise = layer.op == "Conv" and all(extent == 1 for extent in layer.kernel)
    return "pointwise" if is_pointwise else "conv"


@dataclass(frozen=True, slots=True)
class _Counts:
    """What layers count for one batch, each [layer, 1, 1, 1].

    Attributes:
        runs: how often a layer is called.
        macs, outputs: multiply-accumulates and results.
        weights: weights that all calls read.
        passes: how often each of these is unpacked.
        inputs: elements of data.
        gathered: elements of the columns that convolutions gather.
        place: place of the operator class among all.
    """

    runs: Reals
    macs: Reals
    outputs: Reals
    weights: Reals
    passes: Reals
    inputs: Reals
    gathered: Reals
    place: npt.NDArray[np.int64]

    @classmethod
    def of(cls, layers: Sequence[Layer], batch: int, unpacking: Unpacking, context: Context) -> _Counts:
        """Counts layers: a batch is more rows of a dense layer, and calls a convolution once for each inference."""
        figures = []
        for layer in layers:
            name = operator_class(layer)
            is_shared = layer.is_dense and layer.name not in context.unshared
            calls, rows = (1, layer.rows * batch) if is_shared else (batch, layer.rows)
            inputs, weights, outputs = sizes(layer)
            gathered = layer.groups * layer.rows * layer.reduction if name == "conv" else 0
            figures.append(
                (
                    calls,
                    layer.macs * batch,
                    outputs * batch,
                    weights * calls,
                    -(-rows // unpacking.rows),
                    inputs * batch,
                    gathered * batch,
                    OPERATOR_CLASSES.index(name),
                )
            )
        runs, macs, outputs, weights, passes, inputs, gathered, place = np.array(figures, np.float64).T.reshape(
            8, -1, 1, 1, 1
        )
        return cls(runs, macs, outputs, weights, passes, inputs, gathered, place.astype(np.int64))


def price_vector(
    layers: Sequence[Layer], hardware: Vector, axes: Axes, batch: int, mode: str, context: Context
) -> Prices:
    """Prices layers at every combination of widths; see :mod:`haqc.costmodel.prices`.

    Args:
        layers: layers of the network, at least one.
        hardware: the processor.
        axes: the widths.
        batch: inferences of one batch.
        mode: there is only one.
        context: what else is known of the layers.

    Raises:
        TargetError: a layer stays in float and there is no rate for that, or an operand must be unpacked and there is
            no cost for that.
    """
    del mode
    counts = _Counts.of(layers, batch, hardware.unpacking, context)
    has_float, precision = context.precision.has_float, context.precision
    floating = np.array([has_float and layer.name in context.floating for layer in layers]).reshape(-1, 1, 1, 1)
    places, weight_cycles, data_cycles = _unpack_cycles(axes, hardware.rates, hardware.unpacking, precision)
    rate_at = np.array([hardware.rates.of(name) for name in OPERATOR_CLASSES])
    rates = rate_at[counts.place, places]
    unpacked = counts.weights * counts.passes * weight_cycles + counts.inputs * data_cycles
    element_bytes: float | Reals = 1.0
    if floating.any():
        if FLOAT_BITS not in hardware.rates.bits:
            raise TargetError(f"a layer stays in float, and the rates have no width {FLOAT_BITS}; add it to 'bits'")
        float_rates = rate_at[counts.place, hardware.rates.bits.index(FLOAT_BITS)]
        rates, unpacked = np.where(floating, float_rates, rates), np.where(floating, 0.0, unpacked)
        element_bytes = np.where(floating, FLOAT_BITS / 8, 1.0)

    work, scales = hardware.work, hardware.scales
    busy = counts.macs / rates + unpacked + counts.outputs * work.requantise_cycles
    busy = busy + counts.gathered * element_bytes * work.im2col_cycles
    busy = busy / np.array([scales.of(name) for name in OPERATOR_CLASSES])[counts.place]
    overhead = counts.runs * work.overhead_cycles * scales.overhead

    def stored(bits: Sequence[int], contained: Sequence[int], axis: int) -> Reals:
        shape = [1, 1, 1, 1]
        shape[axis] = len(bits)
        return np.where(floating, float(FLOAT_BITS), np.array(contained, np.float64).reshape(shape))

    containers = precision.activation_container_bits
    traffic = Traffic(
        counts.inputs * stored(axes.activation_bits, [containers(bits) for bits in axes.activation_bits], 2),
        counts.weights * stored(axes.weight_bits, list(map(precision.weight_container_bits, axes.weight_bits)), 1),
        counts.outputs * np.array([containers(bits) for bits in axes.output_bits], np.float64),
    )
    data_bits = traffic.activations + traffic.outputs
    memory = np.maximum(
        traffic.weights / 8 * (hardware.clock_hz / hardware.weights_bytes_per_s),
        data_bits / 8 * (hardware.clock_hz / hardware.activations_bytes_per_s),
    )
    cycles = np.broadcast_to(overhead + np.maximum(busy, memory), (len(layers), *axes.lengths)).copy()
    return Prices(
        cycles=cycles,
        energy=Energy(
            compute=cycles * hardware.cycle_energy_j * scales.energy,
            on_chip=data_bits * hardware.activations_energy_j_per_bit,
            off_chip=traffic.weights * hardware.weights_energy_j_per_bit,
            leakage=NOTHING,
        ),
        moved_bits=traffic,
        compute_cycles=overhead + busy,
        memory_cycles=memory,
    )


def _unpack_cycles(
    axes: Axes, rates: Rates, unpacking: Unpacking, precision: Precision
) -> tuple[npt.NDArray[np.int64], Reals, Reals]:
    """Gives the place of the rate of each pair of widths, and what unpacking one weight and one activation takes.

    Returns:
        Three arrays [1, weight, activation, 1]. An operand as wide as the instructions of its pair is not unpacked.

    Raises:
        TargetError: an allowed pair needs an operand unpacked, and there is no cost for that.
    """
    places = np.searchsorted(np.array(rates.bits, np.int64), np.maximum(axes.weights, axes.activations))
    weight_cycles, activation_cycles = np.zeros(places.shape), np.zeros(places.shape)
    for w, weight in enumerate(axes.weight_bits):
        for a, activation in enumerate(axes.activation_bits):
            taken = rates.bits[places[0, w, a, 0]]
            for bits, cycles, known in (
                (weight, weight_cycles, unpacking.weight_cycles),
                (activation, activation_cycles, unpacking.activation_cycles),
            ):
                if bits == taken or not precision.allows(weight, activation):
                    continue
                if bits not in unpacking.bits:
                    raise TargetError(
                        f"at {weight}/{activation} bits (weights/activations) operands of {bits} bits must be unpacked "
                        f"to {taken}, and there is no cost for that; add {bits} to 'bits' of [unpack], or take the "
                        "pair out of [widths]"
                    )
                cycles[0, w, a, 0] = known[unpacking.bits.index(bits)]
    return places, weight_cycles, activation_cycles
