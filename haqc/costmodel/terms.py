"""Lays a cost table out as terms: one for each layer, over the widths of what it reads and of what it writes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from haqc.costmodel.flat import FlatPrices
from haqc.costmodel.links import Links
from haqc.costmodel.memory import Schedule
from haqc.graph import FULL_BITS
from haqc.policy import Space
from haqc.precision import Precision
from haqc.terms import FIGURES, Axis, Moment, Reals, Terms, gather


def terms_of(space: Space, flat: FlatPrices, links: Links, schedule: Schedule, precision: Precision) -> Terms:
    """Gives the cost of every policy of a space as terms.

    Args:
        space: the policies.
        flat: prices of the layers.
        links: what each layer writes, and what is moved beside the layers.
        schedule: lifetimes of the activations.
        precision: widths and containers of the chip.
    """
    fixed = space.narrowest.widths
    parts = [*_of_layers(space, flat, links, fixed), *_of_rest(space, links, fixed)]
    return gather(space, parts, list(_moments(space, schedule, precision, fixed)))


def _of_layers(
    space: Space, flat: FlatPrices, links: Links, fixed: Mapping[str, int]
) -> Iterator[tuple[tuple[str, ...], Reals]]:
    for place, (layer, written) in enumerate(zip(space.graph.layers, links.network.written, strict=True)):
        axis = Axis.of(space, (layer.weight, layer.activation, written))
        weight = axis.bits(layer.weight, fixed.get(layer.weight, FULL_BITS))
        activation = axis.bits(layer.activation, fixed.get(layer.activation, FULL_BITS))
        output = links.place(axis.bits(written, links.bits(written, fixed)))
        costs = flat.cells(place, weight, activation, output)[..., :FIGURES]
        whole = np.broadcast_to(costs, (*axis.shape, FIGURES))
        yield axis.tensors, np.where(np.isnan(whole), np.inf, whole)


def _of_rest(space: Space, links: Links, fixed: Mapping[str, int]) -> Iterator[tuple[tuple[str, ...], Reals]]:
    """Gives what moving tensors costs that no layer reads."""
    for tensor in links.unread:
        axis = Axis.of(space, (tensor,))
        widths = axis.bits(tensor, links.bits(tensor, fixed)).ravel().tolist()
        figures = [(*links.moved(tensor, bits), 0.0) for bits in widths]
        yield axis.tensors, np.array(figures, np.float64).reshape(*axis.shape, FIGURES)


def _moments(space: Space, schedule: Schedule, precision: Precision, fixed: Mapping[str, int]) -> Iterator[Moment]:
    """Gives what is stored during operations, without those that store a part of what another stores."""
    begin, end = dict[int, list[int]](), dict[int, list[int]]()
    for tensor, (first, last) in enumerate(zip(schedule.first.tolist(), schedule.last.tolist(), strict=True)):
        begin.setdefault(first, []).append(tensor)
        end.setdefault(last, []).append(tensor)
    live: set[int] = set()
    has_grown = False
    for step in range(schedule.length):
        has_grown |= step in begin
        live.update(begin.get(step, ()))
        if step in end:
            if has_grown:  # what is stored until the next tensor begins is only less
                yield _moment(space, schedule, precision, fixed, sorted(live))
            has_grown = False
            live.difference_update(end[step])


def _moment(
    space: Space, schedule: Schedule, precision: Precision, fixed: Mapping[str, int], live: list[int]
) -> Moment:
    constant, stored = 0.0, dict[str, Reals]()
    for index in live:
        tensor, values = schedule.tensors[index], int(schedule.values[index])
        axis = Axis.of(space, (tensor,))
        bits = axis.bits(tensor, fixed.get(tensor, 0)).ravel()
        containers = [precision.activation_container_bits(int(b)) if b else precision.unquantised_bits for b in bits]
        sizes = -(-values * np.array(containers, np.int64) // 8).astype(np.float64)
        if axis.tensors:
            stored[axis.tensors[0]] = stored.get(axis.tensors[0], 0.0) + sizes
        else:
            constant += float(sizes[0])
    return Moment(constant, stored)
