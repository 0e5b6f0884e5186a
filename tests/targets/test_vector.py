"""Target files of kind ``vector``: the chips in SI units, and the mistakes that only this kind can have."""

from __future__ import annotations

from pathlib import Path

import pytest

from haqc import targets
from haqc.hardware.vector import Rates, Scales, Unpacking, Vector, Work

TEXT = (Path(targets.__file__).parent / "x86-vnni.toml").read_text()


def written(folder: Path, *changes: tuple[str, str]) -> Path:
    text = TEXT
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    path = folder / "mine.toml"
    path.write_text(text)
    return path


def test_x86_in_si_units() -> None:
    assert targets.load("x86-vnni").hardware == Vector(
        clock_hz=2.3e9,
        rates=Rates((8, 32), (90, 22), (90, 22), (16, 8), (90, 22)),
        unpacking=Unpacking((4,), (0.05,), (0,), 16),
        work=Work(0.5, 0.05, 0.1, 5000),
        weights_bytes_per_s=5.12e9,
        activations_bytes_per_s=73.6e9,
        cycle_energy_j=6.75 / 2.3e9,
        weights_energy_j_per_bit=15e-12,
    )


@pytest.mark.parametrize(("name", "weight"), [("cortex-m4", (4, 8)), ("cortex-m7", (4, 8)), ("cortex-m85", (4, 8))])
def test_microcontrollers_offer_what_their_kernels_do(name: str, weight: tuple[int, ...]) -> None:
    target = targets.load(name)
    assert target.precision.weight_widths == weight and target.precision.activation_widths == (8,)
    assert isinstance(target.hardware, Vector)
    assert target.hardware.scales != Scales(), "it is calibrated"
    assert target.grades("reference") == (("estimate",) * 2 if name == "cortex-m85" else ("calibrated",) * 2)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("conv_macs_per_cycle = [90, 22]", "conv_macs_per_cycle = [90]", "rates of conv must be one above zero"),
        ("bits = [8, 32]", "bits = [8, 16]", "must hold 32, for [widths] says has_float"),
        ("bits = [8, 32]", "bits = [32, 8]", "widths of rates must ascend and hold 8"),
        ("weight_cycles = [0.05]", "weight_cycles = [0.05, 1]", "cycles of unpacking must be one"),
        ("power_mw = 6750\n", "", "must have one of 'power_mw' and 'energy_pj_per_cycle'"),
        ("power_mw = 6750\n", "power_mw = 6750\nenergy_pj_per_cycle = 3\n", "must have one of 'power_mw' and"),
        ("rows = 16", "rows = 0", "'rows' in [unpack] must be"),
        ("power_mw = 6750", "power = 6750", "key 'power' in [energy] lacks its unit; write 'power_mw'"),
    ],
    ids=lambda text: text[:40].strip(),
)
def test_a_mistake_is_named(tmp_path: Path, old: str, new: str, expected: str) -> None:
    assert any(expected in mistake for mistake in targets.check(written(tmp_path, (old, new))))
