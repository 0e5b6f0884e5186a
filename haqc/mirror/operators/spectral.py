"""Fourier transforms, their windows, and the mel scale."""

from __future__ import annotations

import math

import torch
import torch.fx

from haqc.mirror.node import Function, Node, operator
from haqc.mirror.operators.constant import Integers, element_type, integers, listed

WINDOWS: dict[str, tuple[float, ...]] = {
    "HannWindow": (0.5, -0.5),
    "HammingWindow": (25 / 46, -21 / 46),
    "BlackmanWindow": (0.42, -0.5, 0.08),
}
"""Coefficients of the cosines whose sum is the window."""


@operator(*WINDOWS)
def window(node: Node) -> Function:
    """Builds a window of cosines, of one period or symmetric."""
    kind = element_type(node, node.attribute("output_datatype", 1))
    periodic, factors = bool(node.attribute("periodic", 1)), WINDOWS[node.op]
    return lambda size: cosine_sum(size, factors, periodic, kind)


def cosine_sum(size: torch.Tensor, factors: tuple[float, ...], periodic: bool, kind: torch.dtype) -> torch.Tensor:
    """Sums cosines of whole multiples of the window's angle."""
    (length,) = listed(size)
    angle = torch.arange(length, dtype=torch.float64) * (2 * math.pi / max(length if periodic else length - 1, 1))
    total = torch.zeros(length, dtype=torch.float64)
    for order, factor in enumerate(factors):
        total = total + factor * torch.cos(order * angle)
    return total.to(size.device, kind)


@operator("DFT")
def fourier(node: Node) -> Function:
    """Builds the discrete Fourier transform along an axis; the last axis holds real, or real and imaginary parts."""
    inverse, half = bool(node.attribute("inverse", 0)), bool(node.attribute("onesided", 0))
    known_length, known_axis = integers(node, 1), integers(node, 2)

    def run(x: torch.Tensor, length: torch.Tensor | None = None, axis: torch.Tensor | None = None) -> torch.Tensor:
        along = axis if known_axis is None else known_axis
        return transform(x, length if known_length is None else known_length, along, inverse, half)

    return run


def transform(
    x: torch.Tensor, length: Integers | None, axis: Integers | None, inverse: bool, half: bool
) -> torch.Tensor:
    """Transforms, cut or padded to ``length``; half of a spectrum stands for all of it where the signal is real."""
    along = -2 if axis is None else listed(axis)[0]
    along = (along % x.dim()) - x.dim() + 1
    count = None if length is None else listed(length)[0]
    signal = x[..., 0] if x.shape[-1] == 1 else torch.view_as_complex(x.contiguous())
    if inverse and half:
        whole: torch.Tensor = torch.fft.irfft(signal, count, along)
        return whole.unsqueeze(-1)
    spectrum = (torch.fft.ifft if inverse else torch.fft.fft)(signal, count, along)
    if half:
        spectrum = spectrum.narrow(along, 0, spectrum.shape[along] // 2 + 1)
    return torch.view_as_real(spectrum.resolve_conj())


@operator("STFT")
def short_time_fourier(node: Node) -> Function:
    """Builds the Fourier transforms of frames of a signal, [batch, length, 1 or 2], under a window."""
    half, known_step, known_size = bool(node.attribute("onesided", 1)), integers(node, 1), integers(node, 3)

    def run(
        x: torch.Tensor,
        step: torch.Tensor,
        weights: torch.Tensor | None = None,
        size: torch.Tensor | None = None,
    ) -> torch.Tensor:
        extent = size if known_size is None else known_size
        return transform_frames(x, step if known_step is None else known_step, weights, extent, half)

    return run


def transform_frames(
    x: torch.Tensor, step: Integers, weights: torch.Tensor | None, size: Integers | None, half: bool
) -> torch.Tensor:
    """Gives [batch, frames, frequencies, 2]; a real signal may come without its last axis."""
    signal = x.unsqueeze(-1) if x.dim() == 2 else x
    length = listed(size)[0] if size is not None else signal.shape[1] if weights is None else len(weights)
    frames = signal.unfold(1, length, listed(step)[0]).transpose(2, 3)
    if weights is not None:
        frames = frames * weights.reshape(-1, 1)
    return transform(frames, None, None, False, half)


@operator("MelWeightMatrix")
def mel_weights(node: Node) -> Function:
    """Builds the matrix of triangular filters that takes a spectrum to the mel scale."""
    kind = element_type(node, node.attribute("output_datatype", 1))

    def run(*inputs: torch.Tensor) -> torch.Tensor:
        return mel_filters(inputs, kind)

    return run


def mel_filters(inputs: tuple[torch.Tensor, ...], kind: torch.dtype) -> torch.Tensor:
    """Makes the filters for (bands, transform's length, sample rate, lowest, highest frequency in Hz)."""
    bands, length = (int(value) for value in inputs[:2])
    rate, low, high = (float(value.detach()) for value in inputs[2:])
    first, last = (2595 * math.log10(1 + edge / 700) for edge in (low, high))
    step = (last - first) / (bands + 2)
    edges = [700 * (10 ** ((first + index * step) / 2595) - 1) for index in range(bands + 2)]
    bins = [int((length + 1) * edge // rate) for edge in edges]
    filters = torch.zeros(length // 2 + 1, bands, dtype=torch.float64)
    for band, (left, centre, right) in enumerate(zip(bins, bins[1:], bins[2:], strict=False)):
        for position in range(left, centre + 1):
            filters[position, band] = (position - left) / (centre - left) if centre > left else 1.0
        for position in range(centre, right):
            filters[position, band] = (right - position) / (right - centre)
    return filters.to(inputs[0].device, kind)


for _leaf in ("cosine_sum", "transform", "transform_frames", "mel_filters"):
    torch.fx.wrap(_leaf)
