"""The torch mirror of an ONNX graph."""

from haqc.mirror.module import Mirror, from_onnx

__all__ = ["Mirror", "from_onnx"]
