"""haqc compiles an ONNX model into a mixed-precision ONNX model that fits a hardware budget.

Importing the package loads none of the heavy libraries; :mod:`haqc.compiler` is the compiler, :mod:`haqc.cli` the
command line.
"""

__version__ = "0.1.0"
