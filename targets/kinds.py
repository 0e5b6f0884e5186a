"""The kinds of hardware that a target file may describe: one line a kind."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from haqc.targets.bit_composable import BitComposableDescription
from haqc.targets.bit_serial import BitSerialDescription
from haqc.targets.description import Description
from haqc.targets.npu import NpuDescription
from haqc.targets.tensor_core import TensorCoreDescription

DESCRIPTIONS: Mapping[str, type[Description]] = MappingProxyType({
    "bit-composable": BitComposableDescription,
    "bit-serial": BitSerialDescription,
    "npu": NpuDescription,
    "tensor-core": TensorCoreDescription,
})
"""What a file of each kind may say, by its key ``kind``."""
