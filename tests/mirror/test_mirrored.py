"""The list of mirrored operators that is known without torch."""

from __future__ import annotations

import haqc.mirror.operators  # noqa: F401 (registers the operators)
from haqc.mirror.node import REGISTRY
from haqc.mirrored import MIRRORED


def test_the_list_is_the_registry() -> None:
    registered = set(REGISTRY.builders)
    assert sorted(registered - MIRRORED) == [], "add these to haqc/mirrored.py"
    assert sorted(MIRRORED - registered) == [], "remove these from haqc/mirrored.py"
