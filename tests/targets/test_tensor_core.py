"""Target files of graphics processors: the built-in ones in SI units, and what may be wrong in one."""

from __future__ import annotations

from pathlib import Path

import pytest

from haqc import targets
from haqc.hardware.tensor_core import TensorCore, TensorRate

T4 = (Path(targets.__file__).parent / "t4.toml").read_text(encoding="utf-8")


def test_the_t4_in_si_units() -> None:
    hardware = targets.load("t4").hardware
    assert isinstance(hardware, TensorCore)
    assert hardware.rates == (TensorRate(8, 8, 65e12), TensorRate(4, 4, 130e12))
    assert hardware.tiles == ((128, 128), (64, 128), (32, 64), (16, 64))
    assert hardware.vector_macs_per_s == pytest.approx(4.05e12, rel=1e-12)
    assert hardware.dram_bits_per_s == pytest.approx(2.56e12, rel=1e-12)
    assert hardware.launch_s == pytest.approx(0.5e-6, rel=1e-12)
    assert hardware.dram_energy_j_per_bit == pytest.approx(14e-12, rel=1e-12)


@pytest.mark.parametrize("name", ["t4", "a100", "h100"])
def test_says_what_is_from_memory(name: str) -> None:
    sources = dict(targets.load(name).sources)
    unverified = {table for table, source in sources.items() if "from memory, not re-verified" in source}
    assert unverified == {"widths", "kernel", *(("matrix", "vector") if name == "h100" else ())}


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('"8/8" = 130, ', "", """key 'peak_tera_ops_per_s' in [matrix] must have "8/8", which budgets refer to"""),
        ('"4/4"', '"4x4"', """must be by pairs of widths like "8/8", which '4x4' is not"""),
        ("tiles = [[128, 128],", "tiles = [[128, 0],", "must be greater than 0, not 0"),
        ("efficiency = 1.0", "efficiency = 1.5", "key 'efficiency' in [matrix] must be less than or equal to 1"),
        ("gigabytes_per_s = 320", "gigabytes_per_s = -320", "key 'gigabytes_per_s' in [dram] must be greater than 0"),
        ("launch_us = 0.5", "launch = 0.5", "key 'launch' in [kernel] lacks its unit; write 'launch_us'"),
        ("[vector]", "[vectors]", "unknown key 'vectors' (did you mean 'vector'?)"),
        ("static_power_w = 29", "static_power_w = 70", "a board of 70.0 W cannot idle at 70.0 W"),
    ],
)
def test_mistakes_get_their_sentence(old: str, new: str, expected: str, tmp_path: Path) -> None:
    assert T4.count(old) == 1
    path = tmp_path / "mine.toml"
    path.write_text(T4.replace(old, new), encoding="utf-8")
    assert any(expected in mistake for mistake in targets.check(path)), targets.check(path)
