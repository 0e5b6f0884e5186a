"""Target files of Ethos-U: the built-in ones in SI units, and what may be wrong in one."""

from __future__ import annotations

from pathlib import Path

import pytest

from haqc import targets
from haqc.hardware.npu import Npu

U65 = (Path(targets.__file__).parent / "ethos-u65-512.toml").read_text(encoding="utf-8")


def test_the_u65_in_si_units() -> None:
    target = targets.load("ethos-u65-512")
    assert target.precision.activation_widths == (8,) and target.precision.output_bits == 8
    hardware = target.hardware
    assert isinstance(hardware, Npu)
    assert (hardware.block_height, hardware.block_width, hardware.block_depth, hardware.cores) == (2, 2, 8, 2)
    assert hardware.cache_bytes == 384 * 1024
    assert hardware.stored_bits[5] == (6, 6.48)
    assert hardware.sram_bits_per_s == pytest.approx(128e9, rel=1e-12)
    assert hardware.mac_energy_j == pytest.approx(0.3e-12, rel=1e-12)


def test_both_cite_the_version_of_vela() -> None:
    for name in ("ethos-u55-128", "ethos-u65-512"):
        sources = dict(targets.load(name).sources)
        assert all("Vela 5.2.0" in sources[key] for key in ("target", "array", "output", "memory", "compression"))


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("1.00, 1.67, 3.00", "1.00, 3.00", "key 'stored_bits' in [compression] must have at least 8 items"),
        ("1.67, 3.00", "3.00, 1.67", "key 'stored_bits' in [compression] must not fall from one width to the next"),
        ("depth_step = 32", "depth_step = 12", "channels in multiples of 12 leave dot products of 8 ragged"),
        ("cores = 2", "cores = 0", "key 'cores' in [array] must be greater than 0, not 0"),
        ("cycles_per_value", "cycles", "key 'cycles' in [output] lacks its unit; write 'cycles_per_value'"),
        ("off_chip_gigabytes_per_s", "dram_gigabytes_per_s", "unknown key 'dram_gigabytes_per_s' in [memory]"),
        ("cache_bytes = 393216", "cache_bytes = -1", "key 'cache_bytes' in [memory] must be greater than 0, not -1"),
    ],
)
def test_mistakes_get_their_sentence(old: str, new: str, expected: str, tmp_path: Path) -> None:
    assert U65.count(old) == 1
    path = tmp_path / "mine.toml"
    path.write_text(U65.replace(old, new), encoding="utf-8")
    assert any(expected in mistake for mistake in targets.check(path)), targets.check(path)
