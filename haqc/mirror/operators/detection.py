"""Operators of detectors: non-maximum suppression and pooling of regions."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.fx

from haqc.mirror.node import Function, Node, operator


@operator("NonMaxSuppression")
def non_max_suppression(node: Node) -> Function:
    """Builds the (sample, class, box) triples of the best boxes that overlap no better one of their class."""
    centred = bool(node.attribute("center_point_box", 0))

    def run(
        boxes: torch.Tensor,
        scores: torch.Tensor,
        most: torch.Tensor | None = None,
        overlap: torch.Tensor | None = None,
        least: torch.Tensor | None = None,
    ) -> torch.Tensor:
        return best_boxes(boxes, scores, most, overlap, least, centred)

    return run


def best_boxes(
    boxes: torch.Tensor,
    scores: torch.Tensor,
    most: torch.Tensor | None,
    overlap: torch.Tensor | None,
    least: torch.Tensor | None,
    centred: bool,
) -> torch.Tensor:
    """Selects boxes greedily, class by class.

    Args:
        boxes: [batch, boxes, 4], as two corners, or as centre and extents.
        scores: [batch, classes, boxes].
        most: boxes of a class at most; none are selected where it is absent.
        overlap: intersection over union above which the worse of two boxes goes.
        least: score that must be exceeded.
        centred: whether boxes are given by their centres.
    """
    corners = _corners(boxes.detach().to(torch.float32), centred)
    limit = 0 if most is None else int(most.item())
    bound = 0.0 if overlap is None else float(overlap.item())
    found = []
    for sample in range(scores.shape[0]):
        for kind in range(scores.shape[1]):
            score = scores[sample, kind].detach()
            order = torch.sort(score, descending=True, stable=True).indices
            if least is not None:
                order = order[score[order] > least.reshape(())]
            chosen = 0
            while len(order) and chosen < limit:
                best, order = order[0], order[1:]
                found.append([sample, kind, int(best)])
                chosen += 1
                order = order[_overlap(corners[sample, best], corners[sample, order]) <= bound]
    return torch.tensor(found, dtype=torch.int64, device=boxes.device).reshape(-1, 3)


def _corners(boxes: torch.Tensor, centred: bool) -> torch.Tensor:
    """Gives least and largest coordinates: [..., (a, b, a', b')]."""
    first, last = boxes[..., :2], boxes[..., 2:]
    if centred:
        return torch.cat([first - last / 2, first + last / 2], -1)
    return torch.cat([torch.minimum(first, last), torch.maximum(first, last)], -1)


def _overlap(box: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """Gives intersection over union of one box with others; zero where either has no area."""
    inner = torch.minimum(box[2:], others[:, 2:]) - torch.maximum(box[:2], others[:, :2])
    shared = inner.clamp(min=0).prod(-1)
    area, areas = (box[2:] - box[:2]).prod(), (others[:, 2:] - others[:, :2]).prod(-1)
    whole = area + areas - shared
    return torch.where((area > 0) & (areas > 0) & (whole > 0), shared / whole, torch.zeros_like(shared))


@dataclass(frozen=True, slots=True)
class Regions:
    """How RoiAlign samples: bins, samples of a bin (0: as many as it has pixels), scale, shift, and what joins them."""

    bins: tuple[int, int]
    samples: int
    scale: float
    shift: float
    largest: bool


@operator("RoiAlign")
def roi_align(node: Node) -> Function:
    """Builds the mean, or the largest, of bilinear samples of every bin of every region (He et al., 2017).

    Raises:
        ModelError: the mode or the coordinates are none that ONNX defines.
    """
    mode, pixel = node.attribute("mode", "avg"), node.attribute("coordinate_transformation_mode", "half_pixel")
    if mode not in ("avg", "max") or pixel not in ("half_pixel", "output_half_pixel"):
        raise node.refuse(f"pools by '{mode}' at '{pixel}', which ONNX does not define")
    regions = Regions(
        bins=(node.attribute("output_height", 1), node.attribute("output_width", 1)),
        samples=node.attribute("sampling_ratio", 0),
        scale=node.attribute("spatial_scale", 1.0),
        shift=0.5 if pixel == "half_pixel" else 0.0,
        largest=mode == "max",
    )
    return lambda x, boxes, samples: align_regions(x, boxes, samples, regions)


def align_regions(x: torch.Tensor, boxes: torch.Tensor, samples: torch.Tensor, regions: Regions) -> torch.Tensor:
    """Pools regions [count, (x, y, x', y')] of the samples they name into [count, channels, *bins]."""
    pooled = [_align(x[int(sample)], box, regions) for box, sample in zip(boxes, samples, strict=True)]
    return torch.stack(pooled) if pooled else x.new_zeros(0, x.shape[1], *regions.bins)


def _align(x: torch.Tensor, box: torch.Tensor, regions: Regions) -> torch.Tensor:
    """Pools one region of one sample, [channels, rows, columns]."""
    column, row, column_end, row_end = (box * regions.scale - regions.shift).unbind()
    low_r, high_r, part_r, count_r = _samples(row, row_end, x.shape[1], regions.bins[0], regions)
    low_c, high_c, part_c, count_c = _samples(column, column_end, x.shape[2], regions.bins[1], regions)
    weighted = [
        x[:, r][:, :, c] * weight_r.unsqueeze(1) * weight_c
        for r, weight_r in ((low_r, part_r[0]), (high_r, part_r[1]))
        for c, weight_c in ((low_c, part_c[0]), (high_c, part_c[1]))
    ]
    blocks = [part.reshape(len(x), regions.bins[0], count_r, regions.bins[1], count_c) for part in weighted]
    if regions.largest:
        # ONNX takes the largest of the weighted corners, not of their sum.
        return torch.stack(blocks).amax((0, 3, 5))
    return torch.stack(blocks).sum(0).mean((2, 4))


def _samples(
    first: torch.Tensor, last: torch.Tensor, length: int, bins: int, regions: Regions
) -> tuple[torch.Tensor, torch.Tensor, tuple[torch.Tensor, torch.Tensor], int]:
    """Gives, for the samples along one axis, the pixels on both sides, their weights, and the samples of a bin."""
    extent = last - first if regions.shift else (last - first).clamp(min=1.0)
    count = regions.samples or max(math.ceil(float(extent) / bins), 1)
    steps = (torch.arange(bins * count, device=first.device) + 0.5) / count
    at = first + steps.to(first.dtype) * extent / bins
    inside = (at >= -1) & (at <= length)
    at = at.clamp(0, length - 1)
    low = at.detach().floor().long()
    share = at - low
    weights = (1 - share) * inside, share * inside
    return low, (low + 1).clamp(max=length - 1), weights, count


@operator("MaxRoiPool")
def max_roi_pool(node: Node) -> Function:
    """Builds the largest value of every bin of every region, at whole pixels (Girshick, 2015)."""
    bins, scale = tuple(node.attribute("pooled_shape")), node.attribute("spatial_scale", 1.0)
    return lambda x, boxes: pool_regions(x, boxes, bins, scale)


def pool_regions(x: torch.Tensor, boxes: torch.Tensor, bins: tuple[int, int], scale: float) -> torch.Tensor:
    """Pools regions [count, (sample, x, y, x', y')] into [count, channels, *bins]; an empty bin is zero."""
    pooled = []
    for box in boxes.tolist():
        column, row, column_end, row_end = (math.floor(edge * scale + 0.5) for edge in box[1:])
        rows = _bins(row, row_end, bins[0], x.shape[2])
        columns = _bins(column, column_end, bins[1], x.shape[3])
        plane = x[int(box[0])]
        pooled += [_largest(plane[:, r, c]) for r in rows for c in columns]
    if not pooled:
        return x.new_zeros(0, x.shape[1], *bins)
    return torch.stack(pooled).reshape(len(boxes), *bins, -1).permute(0, 3, 1, 2)


def _largest(x: torch.Tensor) -> torch.Tensor:
    return x.amax((1, 2)) if x.numel() else x.new_zeros(len(x))


def _bins(first: int, last: int, bins: int, length: int) -> list[slice]:
    """Cuts a region, both ends included, into bins that may share a pixel, within the image."""
    step = max(last - first + 1, 1) / bins
    edges = [(first + math.floor(index * step), first + math.ceil((index + 1) * step)) for index in range(bins)]
    return [slice(min(max(low, 0), length), min(max(high, 0), length)) for low, high in edges]


for _leaf in ("best_boxes", "align_regions", "pool_regions"):
    torch.fx.wrap(_leaf)
