"""What a format's emitter gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import onnx_ir as ir

from haqc.formats import Fallback


@dataclass(frozen=True)
class Emission:
    """A network in one format.

    Attributes:
        model: the ONNX model; the float one where documents say how it is quantised.
        documents: JSON by file name.
        fallbacks: tensors that the format cannot hold as the policy asks.
    """

    model: ir.Model
    documents: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    fallbacks: tuple[Fallback, ...] = ()
