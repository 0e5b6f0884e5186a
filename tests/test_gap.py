"""How far two results lie apart."""

from __future__ import annotations

import numpy as np
import pytest

from haqc.gap import gap_between


def test_gap_between() -> None:
    inf, nan = float("inf"), float("nan")
    a = np.array([1.0, -4.0, inf, nan], np.float32)
    assert gap_between(a, a) == 0
    assert gap_between(np.array([1.0, -4.4, inf, nan], np.float32), a) == pytest.approx(0.1)
    assert gap_between(np.array([1.0, -4.0, 9.0, nan], np.float32), a) == inf
    assert gap_between(a[:2], a) == inf
    assert gap_between(a.astype(np.float64), a) == inf
    assert gap_between(np.zeros(0, np.float32), np.zeros(0, np.float32)) == 0
    numbers = np.arange(200)
    assert gap_between(numbers, numbers) == 0
    assert gap_between(np.where(numbers == 7, 8, numbers), numbers) == 0
    assert gap_between(np.where(numbers % 50 == 7, 0, numbers), numbers) == 1
    assert gap_between(np.array(True), np.array(False)) == 1
