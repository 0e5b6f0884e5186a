"""Target files of kind ``bit-composable``: the built-in ones in SI units, and the mistakes that only they can hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from haqc import targets
from haqc.errors import TargetError
from haqc.hardware.bit_composable import Bank, BankedBuffer, BitComposable, bank_of
from haqc.precision import Precision

FOLDER = Path(targets.__file__).parent
TEXT = (FOLDER / "bitfusion-e.toml").read_text()


def hardware_of(target: str) -> BitComposable:
    hardware = targets.load(target).hardware
    assert isinstance(hardware, BitComposable)
    return hardware


def bank(size_bytes: float, read_pj: float, write_pj: float, leakage_mw: float) -> Bank:
    """Makes a bank from the energies of a 32-bit word."""
    return Bank(size_bytes, read_pj * 1e-12 / 32, write_pj * 1e-12 / 32, leakage_mw * 1e-3)


def assert_equal(buffer: BankedBuffer, banks: int, expected: Bank) -> None:
    assert buffer.banks == banks and buffer.bank.size_bytes == expected.size_bytes
    for name in ("read_energy_j_per_bit", "write_energy_j_per_bit", "leakage_w"):
        assert getattr(buffer.bank, name) == pytest.approx(getattr(expected, name), rel=1e-12)


def test_the_three_configurations_in_si_units() -> None:
    small, eyeriss, stripes = map(hardware_of, ("bitfusion", "bitfusion-e", "bitfusion-s"))
    assert [(h.rows, h.columns, h.clock_hz) for h in (small, eyeriss, stripes)] == [
        (8, 8, 500e6),
        (16, 32, 500e6),
        (16, 32, 980e6),
    ]
    assert [h.interface_bits_per_cycle for h in (small, eyeriss, stripes)] == [128, 192, 4096]
    for hardware in (small, eyeriss, stripes):
        assert (hardware.narrowest_bits, hardware.widest_bits) == (2, 8)
        assert hardware.unit_energy_j * 512 == pytest.approx(235.104e-12, rel=1e-12)
        assert hardware.dram_energy_j_per_bit == 15e-12
        assert hardware.modes == ("reference", "corrected")
        assert hardware.streaming("reference") is None
    assert_equal(eyeriss.weight_buffer, 512, bank(128, 0.683701, 0.925317, 0.249588))
    assert_equal(eyeriss.input_buffer, 16, bank(2048, 1.90318, 3.63853, 3.22997))
    assert_equal(eyeriss.result_buffer, 32, bank(512, 1.06097, 2.33869, 1.03183))
    assert eyeriss.weight_buffer.half_bits == 32 * 1024 * 8
    assert eyeriss.leakage_w == pytest.approx(0.243, abs=5e-4)
    assert_equal(small.weight_buffer, 64, bank(4096, 3.42953, 4.31011, 7.30186))
    assert_equal(small.input_buffer, 8, bank(8192, 6.39163, 5.56268, 13.6943))
    assert_equal(stripes.result_buffer, 32, bank(4096, 3.98324, 5.05131, 8.23828))
    streaming = eyeriss.streaming("corrected")
    assert streaming is not None
    assert (streaming.bits_per_s, streaming.energy_j_per_bit) == (96e9, 15e-12)


def test_sizes_without_a_row_lie_between_their_neighbours_and_are_an_estimate() -> None:
    result = hardware_of("bitfusion").result_buffer.bank  # 2048 bytes, two thirds of the way from 512 to 4096
    assert result.size_bytes == 2048
    assert result.read_energy_j_per_bit * 32e12 == pytest.approx(1.06097 ** (1 / 3) * 3.98324 ** (2 / 3), rel=1e-12)
    weight = hardware_of("bitfusion-s").weight_buffer.bank  # 256 bytes, a third of the way from 128 to 1024
    assert weight.leakage_w * 1e3 == pytest.approx(0.249588 ** (2 / 3) * 1.78934 ** (1 / 3), rel=1e-12)
    grades = {name: targets.load(name).energy_grade for name in ("bitfusion", "bitfusion-e", "bitfusion-s")}
    assert grades == {"bitfusion": "estimate", "bitfusion-e": "exact", "bitfusion-s": "estimate"}
    with pytest.raises(TargetError, match=r"a bank of 256 bytes lies outside the known sizes \(512, 4096\)"):
        bank_of(256, (bank(512, 1, 1, 1), bank(4096, 2, 2, 2)))


@pytest.mark.parametrize("name", ["bitfusion", "bitfusion-e", "bitfusion-s"])
def test_widths_are_those_that_the_simulator_takes(name: str) -> None:
    assert targets.load(name).precision == Precision((1, 2, 3, 4, 5, 6, 7, 8), (1, 2, 3, 4, 5, 6, 7, 8))


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("interface_bits_per_cycle = 192", "interface_bits_per_cycle = -192", "'interface_bits_per_cycle' in [memory]"),
        ("rows = 16", "rows = 0", "key 'rows' in [array] must be greater than 0, not 0"),
        ("unit_energy_pj", "unit_energy", "key 'unit_energy' in [energy] lacks its unit; write 'unit_energy_pj'"),
        ("read_pj = [1.06097, ", "read_pj = [", "as many entries of read_pj as of size_bytes"),
        ("size_bytes = [512, 4096]", "size_bytes = [4096, 512]", "key 'size_bytes' in [result_banks] must ascend"),
        ("size_bytes = [512, 4096]", "size_bytes = [256, 4096]", "a bank of 512 bytes has no row of its own"),
        ("size_bytes = [512, 4096]", "size_bytes = [1024, 4096]", "lies outside the known sizes (1024, 4096)"),
        ("widest_bits = 8", "widest_bits = 4", "key 'weight' in [widths] has 8 bits, and the units multiply at most 4"),
        ("narrowest_bits = 2", "narrowest_bits = 16", "narrowest_bits is 16 and widest_bits 8"),
    ],
    ids=lambda text: text[:40].strip(),
)
def test_a_mistake_is_named(tmp_path: Path, old: str, new: str, expected: str) -> None:
    assert TEXT.count(old) == 1, old
    path = tmp_path / "mine.toml"
    path.write_text(TEXT.replace(old, new))
    mistakes = targets.check(path)
    assert expected in mistakes[0]
    with pytest.raises(TargetError, match="target file"):
        targets.load(str(path))
