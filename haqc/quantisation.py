"""How widths become codes: what ``policy.json`` says beside them, so that they can be applied again in the same way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from haqc.calibration import QUANTISERS, RANGES, QuantiserName, Ranges
from haqc.errors import PolicyError
from haqc.policy import read_content
from haqc.request import WEIGHTS, Request, Weights


@dataclass(frozen=True, slots=True)
class Quantisation:
    """The options of a compile that bear on the codes and that no width says.

    Attributes:
        weights, quantiser, ranges, equalise, keep_float: as in :class:`haqc.request.Request`.
    """

    weights: Weights = "linear"
    quantiser: QuantiserName = "lsq"
    ranges: Ranges | None = None
    equalise: bool = False
    keep_float: tuple[str, ...] = ()

    @classmethod
    def of(cls, request: Request) -> Quantisation:
        """Gives that of a request."""
        return cls(request.weights, request.quantiser, request.ranges, request.equalise, request.keep_float)

    @classmethod
    def read(cls, path: Path) -> Quantisation:
        """Reads that of a ``policy.json``; the usual one where the file has none, as those of schema 1.

        Raises:
            PolicyError: it is no policy, of a newer schema, or names a way to quantise that there is not.
        """
        content = read_content(path).get("quantisation", {})
        if not isinstance(content, dict):
            raise _unknown(path, "quantisation", content)
        listed = content.get("keep_float", [])
        if not (isinstance(listed, list) and all(isinstance(name, str) for name in listed)):
            raise _unknown(path, "keep_float", listed)
        return cls(
            _one_of(path, content, "weights", WEIGHTS, "linear"),
            _one_of(path, content, "quantizer", QUANTISERS, "lsq"),
            _one_of(path, content, "ranges", (*RANGES, None), None),
            _one_of(path, content, "equalise", (False, True), False),
            tuple(listed),
        )

    def asked(self, request: Request) -> Request:
        """Gives a request with this added to what it asks for itself.

        Raises:
            PolicyError: the two contradict each other.
        """
        return replace(
            request,
            weights=self.weights,
            quantiser=self.quantiser,
            ranges=self.ranges,
            equalise=self.equalise or request.equalise,
            keep_float=tuple(dict.fromkeys((*self.keep_float, *request.keep_float))),
            min_bits=max(request.min_bits, 2) if self.quantiser == "haq" else request.min_bits,
        )

    def to_json(self) -> dict[str, Any]:
        """Gives it as it stands in ``policy.json``, under the options' names."""
        return {
            "weights": self.weights,
            "quantizer": self.quantiser,
            "ranges": self.ranges,
            "equalise": self.equalise,
            "keep_float": list(self.keep_float),
        }


def _one_of(path: Path, content: Mapping[str, Any], name: str, known: tuple[Any, ...], usual: Any) -> Any:
    value = content.get(name, usual)
    if not any(value is each or (isinstance(value, str) and value == each) for each in known):
        raise _unknown(path, name, value)
    return value


def _unknown(path: Path, name: str, value: object) -> PolicyError:
    return PolicyError(f"'{path}' has {name} {value!r:.60}, which no version of haqc wrote; compile again")
