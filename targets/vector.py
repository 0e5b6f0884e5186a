"""What a target file of kind ``vector`` may say."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from haqc.errors import TargetError
from haqc.hardware.vector import Rates, Scales, Unpacking, Vector, Work
from haqc.precision import FLOAT_BITS
from haqc.targets.description import Description, Quantity, Table, Text

_MEGA, _MILLI, _PICO = 1e6, 1e-3, 1e-12

OrZero = Annotated[float, Field(ge=0, le=1e9)]
Bits = Annotated[tuple[Annotated[int, Field(ge=1, le=FLOAT_BITS)], ...], Field(strict=False, min_length=1)]
Quantities = Annotated[tuple[Quantity, ...], Field(strict=False, min_length=1)]
Cycles = Annotated[tuple[OrZero, ...], Field(strict=False, min_length=1)]


class RatesTable(Table):
    """Multiply-accumulates per cycle, one for each width of ``bits`` (32: float); wider operands of a pair decide."""

    clock_mhz: Quantity
    bits: Bits
    conv_macs_per_cycle: Quantities
    pointwise_macs_per_cycle: Quantities
    depthwise_macs_per_cycle: Quantities
    dense_macs_per_cycle: Quantities


class UnpackTable(Table):
    """What unpacking one operand of each width of ``bits`` takes; weights again for every ``rows`` output positions."""

    bits: Bits
    weight_cycles: Cycles
    activation_cycles: Cycles
    rows: Annotated[int, Field(gt=0, le=2**20)]


class WorkTable(Table):
    """What layers take beside their multiply-accumulates."""

    requantise_cycles_per_output: OrZero
    im2col_cycles_per_byte: OrZero
    elementwise_cycles_per_byte: Quantity
    overhead_cycles_per_layer: OrZero


class MemoryTable(Table):
    """The memory of weights (flash, DRAM) and that of data and results (SRAM, a cache)."""

    weights_mbyte_per_s: Quantity
    activations_mbyte_per_s: Quantity
    weights_energy_pj_per_bit: OrZero
    activations_energy_pj_per_bit: OrZero


class EnergyTable(Table):
    """Power of the processor while it runs, or energy of one cycle; memories included where they are zero above."""

    power_mw: Quantity | None = None
    energy_pj_per_cycle: Quantity | None = None


class CalibrationTable(Table):
    """What ``haqc targets calibrate`` found: factors on speeds, overhead and energy, and how far they hold."""

    conv_speed: Quantity
    pointwise_speed: Quantity
    depthwise_speed: Quantity
    dense_speed: Quantity
    overhead: Quantity
    energy: Quantity
    networks: Annotated[int, Field(gt=0)]
    measurements: Annotated[int, Field(gt=0)]
    held_out_latency_error_percent: OrZero
    held_out_energy_error_percent: OrZero | None = None
    fitted_on: Text


class VectorDescription(Description):
    """A whole target file of kind ``vector``."""

    kind: Literal["vector"]
    rates: RatesTable
    unpack: UnpackTable | None = None
    work: WorkTable
    memory: MemoryTable
    energy: EnergyTable
    calibration: CalibrationTable | None = None

    def hardware(self) -> Vector:
        """Converts to SI.

        Raises:
            TargetError: the parameters contradict one another.
        """
        clock_hz = self.rates.clock_mhz * _MEGA
        return Vector(
            clock_hz=clock_hz,
            rates=self._rates(),
            unpacking=self._unpacking(),
            work=Work(
                self.work.requantise_cycles_per_output,
                self.work.im2col_cycles_per_byte,
                self.work.elementwise_cycles_per_byte,
                self.work.overhead_cycles_per_layer,
            ),
            weights_bytes_per_s=self.memory.weights_mbyte_per_s * _MEGA,
            activations_bytes_per_s=self.memory.activations_mbyte_per_s * _MEGA,
            cycle_energy_j=self._cycle_energy_j(clock_hz),
            weights_energy_j_per_bit=self.memory.weights_energy_pj_per_bit * _PICO,
            activations_energy_j_per_bit=self.memory.activations_energy_pj_per_bit * _PICO,
            scales=self._scales(),
        )

    def _rates(self) -> Rates:
        rates = self.rates
        if self.widths.has_float and FLOAT_BITS not in rates.bits:
            raise TargetError(f"key 'bits' in [rates] must hold {FLOAT_BITS}, for [widths] says has_float; add it")
        return Rates(
            rates.bits,
            rates.conv_macs_per_cycle,
            rates.pointwise_macs_per_cycle,
            rates.depthwise_macs_per_cycle,
            rates.dense_macs_per_cycle,
        )

    def _unpacking(self) -> Unpacking:
        unpack = self.unpack
        if unpack is None:
            return Unpacking()
        return Unpacking(unpack.bits, unpack.weight_cycles, unpack.activation_cycles, unpack.rows)

    def _cycle_energy_j(self, clock_hz: float) -> float:
        power_mw, cycle_pj = self.energy.power_mw, self.energy.energy_pj_per_cycle
        if power_mw is not None and cycle_pj is None:
            return power_mw * _MILLI / clock_hz
        if cycle_pj is not None and power_mw is None:
            return cycle_pj * _PICO
        raise TargetError("[energy] must have one of 'power_mw' and 'energy_pj_per_cycle'; give the one that is known")

    def _scales(self) -> Scales:
        found = self.calibration
        if found is None:
            return Scales()
        return Scales(
            conv=found.conv_speed,
            pointwise=found.pointwise_speed,
            depthwise=found.depthwise_speed,
            dense=found.dense_speed,
            overhead=found.overhead,
            energy=found.energy,
        )
