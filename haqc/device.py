"""Where jobs run networks: on the processor, or on a graphics processor."""

from __future__ import annotations

import torch

from haqc.errors import DeviceError
from haqc.request import DeviceChoice


def chosen(choice: DeviceChoice) -> str:
    """Gives torch's name of the device that is asked for; ``auto`` takes a graphics processor where there is one.

    Raises:
        DeviceError: there is none.
    """
    if choice == "cpu" or (choice == "auto" and not torch.cuda.is_available()):
        return "cpu"
    if not torch.cuda.is_available():
        why = "was built without CUDA" if torch.version.cuda is None else "finds none"
        raise DeviceError(
            f"--device cuda needs a graphics processor that torch can use, and torch {torch.__version__} {why}; "
            "install a torch for CUDA and a driver, or leave --device out to run on the processor"
        )
    return "cuda"


def called(device: str) -> str:
    """Gives what a report calls a device: ``cpu``, or ``cuda`` and the name of the hardware."""
    return device if device == "cpu" else f"{device} ({torch.cuda.get_device_name(device)})"


def settle(device: str) -> None:
    """Has a graphics processor compute in full 32 bits, and the same way each time, in this process."""
    if torch.device(device).type == "cuda":
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False
        torch.backends.cudnn.benchmark = False
        torch.backends.cudnn.deterministic = True


def require_compiler(device: str) -> None:
    """Makes sure that graphs can be compiled for a device.

    Raises:
        DeviceError: it is not the processor, or there is no C++ compiler.
    """
    if device != "cpu":
        raise DeviceError(
            f"--torch-compile compiles for the processor alone, and the jobs run on '{device}'; leave it out, or say "
            "--device cpu"
        )
    from torch._inductor.cpp_builder import get_cpp_compiler  # noqa: PLC0415 (takes seconds to load)
    from torch._inductor.exc import InvalidCxxCompiler  # noqa: PLC0415

    try:
        get_cpp_compiler()
    except InvalidCxxCompiler as error:
        raise DeviceError(
            "--torch-compile needs a C++ compiler, and there is none under the names that torch tries (the variable "
            "CXX, or g++); install g++, or leave the option out"
        ) from error
