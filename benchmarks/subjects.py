"""Networks that can be quantised at any policy and emitted, without a search and without training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import onnx_ir as ir

from benchmarks.networks import SHARED
from benchmarks.zoo.catalogue import SMALL
from benchmarks.zoo.exporters import export
from haqc.calibration import Calibration
from haqc.frontend import pose
from haqc.graph import Graph
from haqc.mirror import Mirror, from_onnx
from haqc.mirror.quantised import QuantisedMirror
from haqc.passes.calibrate import calibrate
from haqc.policy import Policy, Space
from haqc.precision import Precision
from models.build import build

ROOT = Path(__file__).resolve().parents[1]
WIDTHS = tuple(range(1, 9))

FILES: Mapping[str, Path] = {
    "digits": ROOT / "models" / "digits.onnx",
    "resnet8": SHARED / "resnet8-cifar10" / "resnet8.onnx",
    "fashion": SHARED / "fashion-mobilenet" / "fashion_mobilenet.onnx",
}
BUILT = ("mobilenet-v2", "resnet18")
EXPORTED = {"vit": "vit-s16"}
NAMES = (*FILES, *BUILT, *EXPORTED)
ASKED = tuple(name for name in NAMES if name != "resnet18")
"""Those whose files are held against every consumer."""


def model_file(name: str, folder: Path) -> Path:
    """Gives the file of a network; those without one are made in a folder, with random weights."""
    if name in FILES:
        return FILES[name]
    path = folder / f"{name}.onnx"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        if name in BUILT:
            path.write_bytes(build(name).SerializeToString(deterministic=True))
        else:
            export(SMALL[EXPORTED[name]], "dynamo", path)
    return path


@dataclass(frozen=True)
class Subject:
    """A network with all its grids, calibrated on normal numbers: accuracy means nothing here, arithmetic does.

    Attributes:
        model: the cleaned model.
        graph: its layers.
        space: the widths that policies draw from.
        calibration: the grids.
    """

    model: ir.Model
    graph: Graph
    space: Space
    calibration: Calibration

    @classmethod
    def of(cls, path: Path, min_bits: int = 1) -> Subject:
        """Reads and calibrates a network; first and last layers are at 8/8, as by default."""
        model, graph = pose(path)
        space = Space.of(graph, Precision(WIDTHS, WIDTHS), min_bits=min_bits)
        return cls(model, graph, space, calibrate(from_onnx(model), space, [drawn(model, 4, seed=1)]))

    @cached_property
    def mirror(self) -> Mirror:
        """The network in torch."""
        return from_onnx(self.model)

    def random_policy(self, seed: int) -> Policy:
        """Draws a width for every operand that may have several."""
        random = np.random.default_rng(seed)
        return self.space.policy({c.operand.tensor: int(random.choice(c.widths)) for c in self.space.free})

    def quantised(self, policy: Policy) -> QuantisedMirror:
        """Gives the mirror at a policy."""
        return QuantisedMirror(self.mirror, policy, self.calibration)


def drawn(model: ir.Model, count: int, seed: int) -> tuple[np.ndarray, ...]:
    """Draws standard normal inputs, one array per graph input."""
    random = np.random.default_rng(seed)
    shapes = [[count, *(int(str(extent)) for extent in list(value.shape or [])[1:])] for value in model.graph.inputs]
    return tuple(random.standard_normal(shape).astype(np.float32) for shape in shapes)
