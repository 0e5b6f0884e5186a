"""The list of mirrored operators that is known without torch."""

from __future__ import annotations

from haqc.mirror.node import REGISTRY
from haqc.mirrored import MIRRORED
from tests import mirrored


def test_the_list_is_the_registry() -> None:
    assert mirrored.PATH.read_text(encoding="utf-8") == mirrored.written(), "run 'python -m tests.mirrored'"
    assert set(REGISTRY.builders) == MIRRORED
