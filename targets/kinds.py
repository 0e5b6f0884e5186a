"""The kinds of hardware that a target file may describe: one line a kind."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from haqc.targets.bit_composable import BitComposableDescription
from haqc.targets.bit_serial import BitSerialDescription
from haqc.targets.description import Description
from haqc.targets.lookup import LookupDescription
from haqc.targets.npu import NpuDescription
from haqc.targets.tensor_core import TensorCoreDescription
from haqc.targets.vector import VectorDescription

DESCRIPTIONS: Mapping[str, type[Description]] = MappingProxyType(
    {
        "bit-composable": BitComposableDescription,
        "bit-serial": BitSerialDescription,
        "lookup": LookupDescription,
        "npu": NpuDescription,
        "tensor-core": TensorCoreDescription,
        "vector": VectorDescription,
    }
)
"""What a file of each kind may say, by its key ``kind``."""
