"""The collector is paused while a function runs, and as it was before afterwards, whatever happens."""

from __future__ import annotations

import gc

import pytest

from haqc import collector


@collector.paused()
def failing() -> None:
    assert not gc.isenabled()
    raise ValueError


def test_a_failure_leaves_it_running() -> None:
    with pytest.raises(ValueError):
        failing()
    assert gc.isenabled()


def test_one_that_was_off_stays_off() -> None:
    gc.disable()
    try:
        with collector.paused():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
