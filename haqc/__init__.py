"""haqc compiles an ONNX model into a mixed-precision ONNX model that fits a hardware budget.

>>> import haqc
>>> priced = haqc.cost("models/digits.onnx", "edge", bits="4/8")
>>> priced.total.weight_bytes < priced.baseline.weight_bytes
True

:func:`compile`, :func:`sweep`, :func:`cost` and :func:`load` are the Python interface (:mod:`haqc.api`),
:mod:`haqc.cli` is the command line, :mod:`haqc.compiler` the compiler. Importing the package loads none of the heavy
libraries.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from haqc.api import Front, Result, compile, cost, load, sweep

__all__ = ["Front", "Result", "__version__", "compile", "cost", "load", "sweep"]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Loads the interface when something of it is asked for (PEP 562)."""
    if name in __all__:
        return getattr(import_module("haqc.api"), name)
    raise AttributeError(f"module 'haqc' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
