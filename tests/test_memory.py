"""What may be loaded is bounded by a constant and by the memory there is."""

from __future__ import annotations

from pathlib import Path

import pytest

from haqc.errors import DataError
from haqc.memory import LIMIT_BYTES, available_bytes, check_size


def test_the_system_file_is_read_in_kib(tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text("MemTotal: 9 kB\nMemAvailable:     2048 kB\n")
    assert available_bytes(tmp_path / "meminfo") == 2048 * 1024


def test_a_system_without_the_file_has_some_memory(tmp_path: Path) -> None:
    assert available_bytes(tmp_path / "none") > 0


def test_over_32_gib_is_refused_with_both_sizes() -> None:
    assert LIMIT_BYTES == 32 * 2**30
    check_size(1, "d.npz")
    with pytest.raises(DataError, match=r"d\.npz: the arrays would take 4096\.0 GiB of the [0-9.]+ GiB"):
        check_size(2**42, "d.npz")
