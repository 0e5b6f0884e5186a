"""Fits the free factors of a target file to measurements, and says how well they predict what was left out.

The factors are the speed of each class of operators, the overhead of a layer, and the energy of a cycle, as multiples
of what the file states. Few networks are ever measured, so the fit is a regularised one: all speeds share one factor
that is free, and each class may depart from it, which costs as a normal prior on the logarithm would. A class that no
measurement contains follows the shared factor.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.optimize import least_squares

from haqc.errors import DataError, TargetError
from haqc.hardware.vector import Scales, Vector
from haqc.measured_layers import MeasuredLayers
from haqc.measurements import Measurement
from haqc.target import Target

Reals = npt.NDArray[np.float64]

NOISE = 0.05
"""Standard deviation of a measurement about the model, in natural logarithms."""

SPREAD = 0.1
"""Standard deviation of what a class, or the overhead, departs from the shared factor by, likewise."""

_MOST = 12.0
_PARTS = 5


@dataclass(frozen=True, slots=True)
class HeldOut:
    """One measurement, and what a fit without its network makes of it.

    Attributes:
        measurement: the measurement.
        latency_s, energy_j: the prediction.
    """

    measurement: Measurement
    latency_s: float
    energy_j: float

    @property
    def latency_error(self) -> float:
        """Error of the latency as a share of what was measured, signed."""
        return self.latency_s / self.measurement.latency_s - 1

    @property
    def energy_error(self) -> float | None:
        """Error of the energy likewise; ``None`` where it was not measured."""
        measured = self.measurement.energy_j
        return None if measured is None else self.energy_j / measured - 1


@dataclass(frozen=True, slots=True)
class TargetFit:
    """What a target was fitted to, and how far that holds.

    Attributes:
        scales: the factors, fitted to all measurements.
        held_out: every measurement, predicted by a fit to the other networks.
        networks: how many networks there were.
    """

    scales: Scales
    held_out: tuple[HeldOut, ...]
    networks: int

    @property
    def latency_error(self) -> float:
        """Mean absolute held-out error of latencies, as a share."""
        return float(np.mean([abs(each.latency_error) for each in self.held_out]))

    @property
    def energy_error(self) -> float | None:
        """Mean absolute held-out error of energies, as a share; ``None`` where fewer than two networks have any."""
        errors = [(each.measurement.model, each.energy_error) for each in self.held_out]
        known = [(model, abs(error)) for model, error in errors if error is not None]
        if len({model for model, _ in known}) < 2:
            return None
        return float(np.mean([error for _, error in known]))


def calibrate_target(target: Target, measurements: Sequence[Measurement]) -> TargetFit:
    """Fits a target's factors, to all measurements and with each network left out in turn.

    Args:
        target: the target; factors that it already has are not read.
        measurements: of at least two networks.

    Raises:
        TargetError: the target's kind has no such factors.
        DataError: there are fewer than two networks, or a measurement names a layer that its model lacks.
        ModelError: a model cannot be read.
        PolicyError: a measurement has widths that the target lacks.
    """
    if not isinstance(target.hardware, Vector):
        raise TargetError(
            f"target '{target.name}' is of kind '{target.kind}', whose formulas have no free factors; calibrate a "
            "target of kind 'vector', or put measured layers into one of kind 'lookup'"
        )
    networks = len({measurement.model for measurement in measurements})
    if networks < 2:
        raise DataError(
            f"a fit is judged on networks that it has not seen, and there is {networks}; measure at least two networks"
        )
    layers = MeasuredLayers.of(target, target.hardware, measurements)
    latency_s, energy_j = np.zeros(len(measurements)), np.zeros(len(measurements))
    for network in range(networks):
        left_out = layers.network == network
        scales = _fit(layers.only(~left_out))
        latency_s[left_out] = layers.only(left_out).predict_s(scales)
        energy_j[left_out] = layers.only(left_out).predict_j(scales)
    predicted = zip(measurements, latency_s.tolist(), energy_j.tolist(), strict=True)
    return TargetFit(_fit(layers), tuple(HeldOut(*each) for each in predicted), networks)


def _fit(layers: MeasuredLayers) -> Scales:
    """Fits the factors to all measurements."""
    measured = np.log(layers.latency_s)

    def residuals(x: Reals) -> Reals:
        return np.concatenate(((np.log(layers.predict_s(_scales(x))) - measured) / NOISE, x[1:] / SPREAD))

    scales = _scales(least_squares(residuals, np.zeros(1 + _PARTS), x_scale=0.1).x)
    return replace(scales, energy=_energy(layers, scales))


def _scales(x: Reals) -> Scales:
    """Makes factors of logarithms: the shared one, and the departures of the four classes and the overhead."""
    shared, conv, pointwise, depthwise, dense, overhead = np.clip(x, -_MOST, _MOST).tolist()
    return Scales(
        conv=math.exp(shared + conv),
        pointwise=math.exp(shared + pointwise),
        depthwise=math.exp(shared + depthwise),
        dense=math.exp(shared + dense),
        overhead=math.exp(overhead - shared),
    )


def _energy(layers: MeasuredLayers, scales: Scales) -> float:
    """Gives the factor on the energy of a cycle that has the measured power, in the mean of logarithms."""
    known = ~np.isnan(layers.energy_j)
    if not known.any():
        return 1.0
    core_j = layers.power_w * layers.latency_s[known]
    rest_j = (layers.rest_j * layers.latency_s / layers.predict_s(scales))[known]
    measured = np.log(layers.energy_j[known])
    found = least_squares(lambda x: np.log(np.exp(np.clip(x, -_MOST, _MOST)) * core_j + rest_j) - measured, np.zeros(1))
    return math.exp(float(np.clip(found.x[0], -_MOST, _MOST)))
