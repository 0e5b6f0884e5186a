"""Adds up what a layer's weights multiply, and its products, batch by batch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from haqc.graph import Graph, Layer
from haqc.mirror import Mirror
from haqc.mirror.step import Step

LARGEST_REDUCTION = 2_048
"""Inputs of a dot product up to which all their products are added up; beyond, only their squares."""

_PATCH_VALUES = 1 << 22
"""Values of a convolution's patches that are made at a time."""


class Sums:
    """What one layer reads, added up: for every group, the inputs of its dot products and their products.

    Attributes:
        data: the tensor that the layer reads.
        key: equal for layers that have equal sums.
        is_shared: whether its groups share the scales of their output channels.
        count: how many dot products of a channel were seen.
        total: sum of the inputs ``[groups, inputs]``.
        square: sum of their products ``[groups, inputs, inputs]``; of long dot products, of squares like ``total``.
    """

    def __init__(self, layer: Layer, step: Step, weight: Tensor) -> None:
        self._function = step.function
        self.data, self.is_shared = step.inputs[0], layer.op == "ConvTranspose"
        is_product = layer.op in ("Gemm", "MatMul")
        self.key = (self.data, "" if is_product else step.name)
        self._taps = () if is_product else tuple(weight.shape[2:])
        columns = weight.shape[1] * layer.groups if self.is_shared else weight.shape[layer.weight_axis]
        self._groups = 1 if is_product else layer.groups
        self._inputs = weight.numel() // columns
        kept = (self._groups, self._inputs)
        self.count, self.total = 0, torch.zeros(kept, dtype=torch.float64)
        is_long = self._inputs > LARGEST_REDUCTION
        self.square = torch.zeros(kept if is_long else (*kept, self._inputs), dtype=torch.float64)

    @classmethod
    def of(cls, mirror: Mirror, graph: Graph, weights: Iterable[str]) -> dict[str, tuple[Sums, ...]]:
        """Makes those of all layers that read each weight.

        There are none where one of the layers is no product, or reads the weight reshaped.
        """
        steps = {step.name: step for step in mirror.steps}
        readers: dict[str, list[Layer]] = {}
        for layer in graph.layers:
            readers.setdefault(layer.weight, []).append(layer)
        return {weight: cls._of_readers(mirror.value(weight), readers.get(weight, []), steps) for weight in weights}

    @classmethod
    def _of_readers(cls, value: Tensor, layers: list[Layer], steps: Mapping[str, Step]) -> tuple[Sums, ...]:
        found = []
        for layer in layers:
            step = steps.get(layer.nodes[0])
            is_dense, is_known = layer.op in ("Gemm", "MatMul"), layer.op in ("Conv", "ConvTranspose")
            if step is None or step.inputs[1] != layer.weight or not (is_known or (is_dense and value.ndim == 2)):
                return ()
            found.append(cls(layer, step, value))
        return tuple(found)

    @property
    def bytes(self) -> int:
        """What it keeps."""
        return 8 * (self.square.numel() + self.total.numel())

    @torch.no_grad()
    def add(self, x: Tensor) -> None:
        """Takes values of the tensor that the layer reads, samples first."""
        if not self._taps:
            self._take(x.reshape(1, -1, self._inputs))
            return
        positions = self._function(x[:1], self._kernel(torch.zeros(1, self._inputs)))[0, 0].numel()
        if self.square.ndim == 3:
            for part in torch.split(x, max(1, _PATCH_VALUES // (self.total.numel() * positions))):
                self._take(self._patches(part))
        else:
            self.count += positions * len(x)
            self.total += self._summed(x)
            self.square += self._summed(x.square())

    def _take(self, rows: Tensor) -> None:
        """Takes inputs of dot products, shape ``[groups, products, inputs]``."""
        self.count += rows.shape[1]
        self.total += rows.sum(dim=1)
        self.square += torch.bmm(rows.mT, rows) if self.square.ndim == 3 else rows.square().sum(dim=1)

    def _patches(self, x: Tensor) -> Tensor:
        """Gives what each weight multiplies: what the layer gives with that weight alone, and that one 1."""
        found: Tensor = self._function(x, self._kernel(torch.eye(self._inputs)))
        apart = found.reshape(len(x), self._groups, self._inputs, -1)
        return apart.permute(1, 0, 3, 2).reshape(self._groups, -1, self._inputs)

    @torch.enable_grad()
    def _summed(self, x: Tensor) -> Tensor:
        """Gives the sum of what each weight multiplies: the gradient of the sum of all that the layer gives."""
        kernel = self._kernel(torch.zeros(1, self._inputs)).requires_grad_()
        gradient: Tensor = torch.autograd.grad(self._function(x, kernel).sum(), kernel)[0]
        return gradient.reshape(self._groups, self._inputs)

    def _kernel(self, columns: Tensor) -> Tensor:
        """Gives weights of the layer's form in which each group has the same output channels ``[channels, inputs]``."""
        kernel = columns.reshape(len(columns), -1, *self._taps)
        kernel = kernel.transpose(0, 1) if self.is_shared else kernel
        return kernel.repeat(self._groups, *[1] * (kernel.ndim - 1))
