"""The formats that a quantised network is written in, and the names of their files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from haqc.errors import PolicyError

FormatName = Literal["qcdq", "qdq-native", "matmulnbits", "qonnx", "encodings", "overrides", "codebook"]
FORMATS: tuple[FormatName, ...] = get_args(FormatName)

CHOICES: tuple[FormatName, ...] = tuple(name for name in FORMATS if name != "codebook")
"""What ``--format`` takes; codebooks are what ``--weights kmeans`` asks for."""

RUNNABLE: frozenset[FormatName] = frozenset({"qcdq", "qdq-native", "matmulnbits", "codebook"})
"""The formats that onnxruntime runs, so that accuracy can be measured on them; one of them is ``model.onnx``."""

MAIN_FILE = "model.onnx"
FLOAT_FILE = "model.float.onnx"
"""The float model that lies beside documents which say how to quantise it."""

ENCODINGS_FILES = {"1.0.0": "encodings-1.0.0.json", "2.0.0": "encodings-2.0.0.json"}
OVERRIDES_FILE = "overrides.json"

_DOCUMENTS: Mapping[FormatName, tuple[str, ...]] = {
    "encodings": tuple(ENCODINGS_FILES.values()),
    "overrides": (OVERRIDES_FILE,),
}
"""Files of the formats that lie beside :data:`FLOAT_FILE`."""


@dataclass(frozen=True, slots=True)
class Fallback:
    """A tensor that a format cannot hold as the policy asks.

    Attributes:
        tensor: its name in the float graph.
        asked, stored: what the policy asks for and what the file holds, in words such as ``3 bits``.
        reason: why.
    """

    tensor: str
    asked: str
    stored: str
    reason: str

    def to_json(self) -> dict[str, Any]:
        """Gives the fallback as in ``report.json``."""
        return asdict(self)


def settled(asked: Sequence[FormatName], *, is_codebook: bool = False) -> tuple[FormatName, ...]:
    """Gives the formats to write, ``model.onnx``'s first: the first that onnxruntime runs, ``qcdq`` where none is.

    Raises:
        PolicyError: formats are asked for beside codebooks.

    >>> settled([])
    ('qcdq',)
    """
    if is_codebook and asked:
        raise PolicyError(
            "--weights kmeans is written as codebooks and in no other format; leave --format out, or --weights kmeans"
        )
    usual: FormatName = "codebook" if is_codebook else "qcdq"
    main = next((name for name in asked if name in RUNNABLE), usual)
    return tuple(dict.fromkeys((main, *asked)))


def carried_name(name: FormatName) -> str:
    """Gives what a format's ONNX file says that it is; formats that share the float model say the same."""
    return "float" if name in _DOCUMENTS else name


def model_file(name: FormatName, *, is_main: bool) -> str:
    """Gives the name of a format's ONNX file.

    >>> model_file("qcdq", is_main=False)
    'model.qcdq.onnx'
    """
    if is_main:
        return MAIN_FILE
    return FLOAT_FILE if name in _DOCUMENTS else f"model.{name}.onnx"


def beside_files() -> tuple[str, ...]:
    """Gives the names of all files but ``model.onnx`` that formats may leave in a folder."""
    models = tuple(dict.fromkeys(model_file(name, is_main=False) for name in CHOICES))
    data = (data_file(file) for file in (MAIN_FILE, *models))
    return (*models, *data, *dict.fromkeys(file for files in _DOCUMENTS.values() for file in files))


def data_file(file: str) -> str:
    """Gives the name of the file that holds the weights of a model which one file cannot hold."""
    return f"{file}.data"
