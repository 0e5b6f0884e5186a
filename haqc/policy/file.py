"""Reads a ``policy.json``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from haqc.errors import PolicyError, nearest
from haqc.graph import FULL_BITS, Graph
from haqc.policy.policy import POLICY_SCHEMA, Bits, Policy

_LARGEST_BYTES = 1 << 28

OTHER_MODEL = "it is of another model: give the policy of a compile of this one, or compile it"
"""What to do about a policy whose layers are not the model's."""


def read(graph: Graph, path: Path) -> Policy:
    """Reads the ``policy.json`` at ``path`` for ``graph``.

    Raises:
        PolicyError: it cannot be read, or what :func:`load` raises.
    """
    return load(graph, _text(path), str(path))


def read_content(path: Path) -> dict[str, Any]:
    """Reads the ``policy.json`` at ``path`` as JSON, of a schema that this haqc knows.

    Raises:
        PolicyError: it cannot be read, is no policy, or is of a newer schema.
    """
    return _content(_text(path), str(path))


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > _LARGEST_BYTES:
            raise PolicyError(f"'{path}' is larger than any policy; give a policy.json of 'haqc compile'")
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise PolicyError(f"'{path}' cannot be read ({reason}); give a policy.json of 'haqc compile'") from error


def load(graph: Graph, text: str, source: str) -> Policy:
    """Reads a ``policy.json`` for ``graph``.

    Args:
        text: the JSON text.
        source: where it came from, for messages.

    Raises:
        PolicyError: not JSON, a newer schema, or a policy of another model; the message says where it does not fit.
    """
    layers, others = _read(text, source)
    for names, known, what in ((layers, graph.layer, "layer"), (others, graph.operand, "tensor")):
        unknown = next((name for name in names if name not in known), None)
        if unknown is not None:
            raise PolicyError(
                f"'{source}' names {what} '{unknown}', which the model lacks{nearest(unknown, known)}; {OTHER_MODEL}"
            )
    for tensor, width in others.items():
        _require_width(f"'{source}' gives tensor '{tensor}'", width)
    widths: dict[str, int] = {}
    for layer in graph.quantised_layers:
        if layer.name not in layers:
            raise PolicyError(f"'{source}' gives no widths for layer '{layer.name}'; {OTHER_MODEL}")
        bits = layers[layer.name]
        for tensor, width in ((layer.weight, bits.weight), (layer.activation, bits.activation)):
            _require_width(f"'{source}' gives layer '{layer.name}'", width)
            if tensor in graph.operand and widths.setdefault(tensor, width) != width:
                raise PolicyError(
                    f"'{source}' gives tensor '{tensor}' both {widths[tensor]} and {width} bits; "
                    "layers that read one tensor share its width"
                )
    for operand in graph.operands:
        widths.setdefault(operand.tensor, others.get(operand.tensor, operand.fixed_bits or FULL_BITS))
    for tensors in graph.groups.values():
        for tensor in tensors:
            if widths[tensor] != widths[tensors[0]]:
                raise PolicyError(
                    f"'{source}' gives tensor '{tensors[0]}' {widths[tensors[0]]} bits and tensor '{tensor}' "
                    f"{widths[tensor]}; both are of one group and share one width"
                )
    return Policy(graph, {o.tensor: widths[o.tensor] for o in graph.operands})


def _read(text: str, source: str) -> tuple[dict[str, Bits], dict[str, int]]:
    """Gives the widths by layer and those by tensor."""
    content = _content(text, source)
    try:
        layers = {
            str(entry["name"]): Bits(_whole(entry["weight_bits"]), _whole(entry["activation_bits"]))
            for entry in content["layers"]
        }
        return layers, {str(tensor): _whole(bits) for tensor, bits in content["tensors"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _none(source, error) from error


def _content(text: str, source: str) -> dict[str, Any]:
    """Gives the JSON object, whose schema is one that this haqc knows."""
    try:
        content = json.loads(text)
        schema = content["schema"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _none(source, error) from error
    if schema not in range(1, POLICY_SCHEMA + 1):
        raise PolicyError(
            f"'{source}' has policy schema {schema!r:.40}, and this haqc reads schemas 1 to {POLICY_SCHEMA}; "
            "use the version that wrote it"
        )
    return dict(content)


def _none(source: str, error: Exception) -> PolicyError:
    return PolicyError(f"'{source}' is no policy ({type(error).__name__}); a policy.json of 'haqc compile' is")


def _require_width(what: str, width: int) -> None:
    if not 1 <= width <= FULL_BITS:
        raise PolicyError(f"{what} {width} bits; allowed are 1 to {FULL_BITS}")


def _whole(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{value!r} is no whole number")
    return value
