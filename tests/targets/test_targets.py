"""Target files: the built-in ones, and every mistake a file of one's own may hold."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from haqc import targets
from haqc.errors import TargetError
from haqc.hardware.bit_serial import BitSerial, BitSerialPort
from haqc.precision import Precision
from haqc.targets.kinds import DESCRIPTIONS

FOLDER = Path(targets.__file__).parent
EDGE = (FOLDER / "edge.toml").read_text()
EDGE_PORT, CLOUD_PORT = BitSerialPort(64, 8, 512), BitSerialPort(256, 8, 512)


def written(folder: Path, *changes: tuple[str, str], text: str = EDGE) -> Path:
    """Writes the edge target with some passages replaced."""
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    path = folder / "mine.toml"
    path.write_text(text)
    return path


def test_names_are_the_files_beside_the_loader() -> None:
    assert {"cloud", "edge"} <= set(targets.names())
    assert list(targets.names()) == sorted(path.stem for path in FOLDER.glob("*.toml"))


def test_edge_and_cloud_in_si_units() -> None:
    edge, cloud = targets.load("edge"), targets.load("cloud")
    assert edge.hardware == BitSerial(200e6, 8, 256, 64, 8192, "per-channel", 1.04e-12, 15e-12, EDGE_PORT)
    assert cloud.hardware == BitSerial(200e6, 16, 256, 256, 16384, "block-diagonal", 1.04e-12, 15e-12, CLOUD_PORT)
    assert (edge.batch, cloud.batch) == (1, 16)
    for target in (edge, cloud):
        assert target.precision == Precision((1, 2, 3, 4, 5, 6, 7, 8), (1, 2, 3, 4, 5, 6, 7, 8), output_bits=32)
        assert (target.latency_grade, target.energy_grade) == ("exact", "estimate")
        assert target.kind == "bit-serial" and target.modes == ("reference", "physical")
    assert edge.name == "edge" and edge.text == EDGE


@pytest.mark.parametrize("name", targets.names())
def test_each_built_in_target_is_fine_and_gives_a_source_for_each_table(name: str) -> None:
    assert targets.check(name) == targets.check(FOLDER / f"{name}.toml") == []
    content = tomllib.loads((FOLDER / f"{name}.toml").read_text())
    tables = [key for key, value in content.items() if isinstance(value, dict)]
    assert sorted(key for key, _ in targets.load(name).sources) == sorted(["target", *tables])
    assert all(source for _, source in targets.load(name).sources)


def test_a_file_of_ones_own_is_named_by_its_stem(tmp_path: Path) -> None:
    path = written(tmp_path, ("clock_mhz = 200", "clock_mhz = 100.5"), ("1, 2, 3, 4, 5, 6, 7, 8]\nact", "4, 8]\nact"))
    target = targets.load(str(path))
    assert target.name == "mine"
    assert target.hardware.clock_hz == 100.5e6
    assert target.precision.weight_widths == (4, 8)
    assert targets.check(path) == []


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("clock_mhz", "clock", "key 'clock' in [array] lacks its unit; write 'clock_mhz'"),
        ("clock_mhz", "clock_ghz", "unknown key 'clock_ghz' in [array] (did you mean 'clock_mhz'?); allowed are"),
        ("buffer_words", "bufer_words", "unknown key 'bufer_words' in [memory] (did you mean 'buffer_words'?)"),
        ("[energy]", "[enrgy]", "unknown key 'enrgy' (did you mean 'energy'?); allowed are"),
        ("= 200\n", "= 200_000_000\n", "key 'clock_mhz' in [array] must be at most 100,000 MHz, more than any"),
        ("= 1.04", "= 1e30", "key 'binary_mac_energy_pj' in [energy] must be less than or equal to"),
        ("[energy]", "[array]\nx = 1\n[energy]", "table [array] stands already in line 13; join the two"),
        ("rows = 8\n", "", "key 'rows' is missing in [array]; copy a built-in target"),
        ("batch = 1\n", "", "key 'batch' is missing; copy a built-in target"),
        ("rows = 8", "rows = -8", "key 'rows' in [array] must be greater than 0, not -8"),
        ("rows = 8", "rows = 0", "key 'rows' in [array] must be greater than 0, not 0"),
        ("rows = 8", 'rows = "8"', "key 'rows' in [array] must be a valid integer, not '8'"),
        ("rows = 8", "rows = 8.0", "key 'rows' in [array] must be a valid integer, not 8.0"),
        ("rows = 8", "rows = true", "key 'rows' in [array] must be a valid integer, not True"),
        ("rows = 8", "rows = 0x" + "f" * 9000, "key 'rows' in [array] must be less than or equal to 4096"),
        ("= 1.04", "= -1.04", "key 'binary_mac_energy_pj' in [energy] must be greater than 0, not -1.04"),
        ("= 1.04", "= nan", "key 'binary_mac_energy_pj' in [energy] must be a finite number, not nan"),
        ("= 1.04", '= "1.04 pJ"', "key 'binary_mac_energy_pj' in [energy] must be a valid number, not '1.04 pJ'"),
        ('"per-channel"', '"perchannel"', "must be 'block-diagonal' or 'per-channel', not 'perchannel'"),
        ('"bit-serial"', '"bitserial"', "key 'kind' must be one of bit-composable, bit-serial"),
        ('"estimate"', '"guess"', "key 'energy' in [grades] must be 'exact', 'published', 'calibrated'"),
        ("weight = [1, 2", "weight = [2, 1", "key 'weight' in [widths] must ascend and end with 8"),
        ("weight = [1, 2, 3, 4, 5, 6, 7, 8]", "weight = [2, 4]", "key 'weight' in [widths] must ascend and end with 8"),
        ("weight = [1, 2, 3, 4, 5, 6, 7, 8]", "weight = []", "key 'weight' in [widths] must have at least 1 item"),
        ("weight = [1, 2, 3, 4, 5, 6, 7, 8]", "weight = 8", "key 'weight' in [widths] must be a list, not 8"),
        ("weight = [1, 2, 3, 4, 5, 6, 7, 8]", "weight = [8, 16]", "must be less than or equal to 8, not 16"),
        ("accumulator_bits = 32\n", "pairs = [[8, 8], [9, 8]]\n", "must be less than or equal to 8, not 9"),
        ("accumulator_bits = 32\n", "pairs = [[8, 8], [8]]\n", "'pairs' in [widths] has an entry that lacks a number"),
        ("accumulator_bits = 32\n", "pairs = [[4, 8]]\n", "key 'pairs' in [widths] must hold [8, 8], which budgets"),
        ("accumulator_bits = 32\n", "weight_container = [4]\n", "must list a container of at least 8 bits"),
        ("output_bits = 32\n", 'output_bits = "readers"\n', "key 'output_bits' in [widths] must be 'consumers'"),
        ("port_bits_per_cycle = 64", "port_bits_per_cycle = 0", "'port_bits_per_cycle' in [physical] must be greater"),
        ("port_bits_per_cycle", "port_bit_per_cycle", "(did you mean 'port_bits_per_cycle'?); allowed are"),
        ("batch = 1\n", "batch = 1\nbatch = 2\n", "line 4: key 'batch' stands already in line 3; keep one of them"),
        ("batch = 1\n", "batch 1\n", "is no TOML text (Expected '='"),
        ("batch = 1\n", "batch = " + "1" * 5000 + "\n", "is no TOML text"),
        ("batch = 1\n", "batch = " + "[" * 50_000 + "\n", "copy a built-in target and change its numbers"),
    ],
    ids=lambda text: text[:40].strip(),
)
def test_a_mistake_is_named_with_its_place_and_what_is_allowed(
    tmp_path: Path, old: str, new: str, expected: str
) -> None:
    path = written(tmp_path, (old, new))
    assert expected in targets.check(path)[0]
    with pytest.raises(TargetError) as error:
        targets.load(str(path))
    assert str(error.value).startswith(f"target file '{path}': ")
    assert expected in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("table", ["", *(key for key, value in tomllib.loads(EDGE).items() if isinstance(value, dict))])
@pytest.mark.parametrize("line", ["", 'source = ""', 'source = "  "'])
def test_a_table_without_a_source_is_refused(tmp_path: Path, table: str, line: str) -> None:
    head, separator, rest = EDGE.partition(f"[{table}]\n") if table else ("", "", EDGE)
    before, _, after = rest.partition("source = ")
    path = tmp_path / "mine.toml"
    path.write_text(f"{head}{separator}{before}{line}\n{after.partition(chr(10))[2]}")
    place = f" in [{table}]" if table else ""
    what = "must have at least 1 character" if line else "is missing"
    message = targets.check(path)[0]
    assert re.match(r"line \d+: key 'source'", message) and place in message and what in message


def test_all_mistakes_are_listed_and_load_says_how_many(tmp_path: Path) -> None:
    path = written(tmp_path, ("clock_mhz", "clock"), ("rows = 8", "rows = -8"), ("output_bits = 32\n", ""))
    mistakes = targets.check(path)
    assert [mistake.split(";")[0] for mistake in mistakes] == [
        "line 13: key 'clock' in [array] lacks its unit",
        "line 14: key 'rows' in [array] must be greater than 0, not -8",
        "line 6: key 'output_bits' is missing in [widths]",
    ]
    with pytest.raises(TargetError, match=r"\(and 2 more, which 'haqc targets check .*' lists\)"):
        targets.load(str(path))


def test_an_empty_file_lacks_everything(tmp_path: Path) -> None:
    assert targets.check(written(tmp_path, text="")) == [
        f"line 1: key 'kind' is missing; write one of {', '.join(DESCRIPTIONS)}, and the tables that it has"
    ]
    mistakes = targets.check(written(tmp_path, text='kind = "bit-serial"'))
    assert len(mistakes) == 8
    assert "line 1: table [energy] is missing; copy a built-in target and change its numbers" in mistakes


def test_unknown_names_and_paths_name_what_there_is(tmp_path: Path) -> None:
    offered = f"built in are {', '.join(targets.names())}, or give a path to a .toml file"
    with pytest.raises(TargetError) as error:
        targets.load("egde")
    assert str(error.value) == f"unknown target 'egde' (did you mean 'edge'?); {offered}"
    for path in (tmp_path / "none.toml", tmp_path):
        with pytest.raises(TargetError) as error:
            targets.load(str(path))
        assert str(path) in str(error.value) and offered in str(error.value)
    folder = tmp_path / "folder.toml"
    folder.mkdir()
    with pytest.raises(TargetError, match="no regular file"):
        targets.check(folder)


def test_large_and_binary_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "large.toml"
    path.write_bytes(b"#" * (2**20 + 1))
    assert targets.check(path) == ["is over 1 MiB, which no target file is; give the path of a target file"]
    path.write_bytes(EDGE.encode() + b"#" * (2**20 - len(EDGE.encode())))
    assert targets.check(path) == []
    path.write_bytes(b"\xff\xfe\x00")
    assert "is no TOML text" in targets.check(path)[0]


def test_a_pair_outside_the_widths_is_refused(tmp_path: Path) -> None:
    eight = "1, 2, 3, 4, 5, 6, 7, 8]\nact"
    change = ("accumulator_bits = 32\n", "accumulator_bits = 32\npairs = [[8, 8], [3, 8]]\n")
    path = written(tmp_path, (eight, "4, 8]\nact"), change)
    assert targets.check(path) == [
        "line 10: key 'pairs' in [widths] must hold [weight, activation] pairs of the widths above, which (3, 8) is not"
    ]


def test_precision_is_read_from_the_file(tmp_path: Path) -> None:
    lines = """accumulator_bits = 24
pairs = [[8, 8], [4, 8]]
weight_container = [4, 8]
activation_container = "next-power-of-two"
has_float = true
"""
    path = written(tmp_path, ("accumulator_bits = 32\n", lines), ("output_bits = 32\n", 'output_bits = "consumers"\n'))
    assert targets.load(str(path)).precision == Precision(
        (1, 2, 3, 4, 5, 6, 7, 8), (1, 2, 3, 4, 5, 6, 7, 8), frozenset({(8, 8), (4, 8)}), (4, 8), "next-power-of-two",
        has_float=True, accumulator_bits=24, output_bits="consumers",
    )  # fmt: skip


def test_a_file_without_the_physical_table_has_no_such_mode(tmp_path: Path) -> None:
    before, _, after = EDGE.partition("[physical]")
    target = targets.load(str(written(tmp_path, text=before + "[energy]" + after.partition("[energy]")[2])))
    assert target.modes == ("reference",)
    assert isinstance(target.hardware, BitSerial) and target.hardware.port is None
