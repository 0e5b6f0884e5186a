"""Which layers a name or a pattern means."""

from __future__ import annotations

import fnmatch

from haqc.errors import PolicyError, nearest
from haqc.graph import Graph, Layer


def matching(graph: Graph, pattern: str, what: str) -> tuple[Layer, ...]:
    """Gives the quantised layers that a name or pattern (``fnmatch``, case counts) means, in graph order.

    Args:
        graph: the graph.
        pattern: the name or pattern.
        what: the option that holds it, for messages.

    Raises:
        PolicyError: it means none.
    """
    matched = [layer for layer in graph.layers if fnmatch.fnmatchcase(layer.name, pattern)]
    quantised = tuple(layer for layer in matched if not layer.float_reason)
    if quantised:
        return quantised
    if matched:
        reason = matched[0].float_reason
        raise PolicyError(
            f"{what} '{pattern}' matches no layer that is quantised: '{matched[0].name}' stays in float ({reason}) and "
            "has no widths; leave it out"
        )
    hint = nearest(pattern, graph.layer)
    raise PolicyError(f"{what} '{pattern}' matches no layer{hint}; 'haqc cost' lists the layers' names")
