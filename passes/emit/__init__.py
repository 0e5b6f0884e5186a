"""Writes a quantised network as ONNX; one file per format."""

from haqc.passes.emit.codebook import emit_codebooks
from haqc.passes.emit.qcdq import emit_qcdq

__all__ = ["emit_codebooks", "emit_qcdq"]
