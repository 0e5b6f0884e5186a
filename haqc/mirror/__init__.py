"""The torch mirror of an ONNX graph: :func:`from_onnx` gives a module that trains, saves and exports back."""

from haqc.mirror.entry import from_onnx
from haqc.mirror.module import Mirror

__all__ = ["Mirror", "from_onnx"]
