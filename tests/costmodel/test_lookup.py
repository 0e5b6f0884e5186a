"""The lookup table: what stands in it comes out, what does not is named, and HAQ's table drops in."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from benchmarks.haq_table import HEADING, write_table
from haqc import targets
from haqc.costmodel import build_table
from haqc.errors import TargetError
from haqc.graph import Graph
from haqc.policy import plain
from haqc.target import Target
from tests.costmodel.mobilenet_v2_layers import chain, convolution, dense, mobilenet_v2

ROWS = [
    ["Conv", "3x3", "2x2", 3, 8, 1, 8, 8, 1, 8, 8, "2e-3", "5e-3"],
    ["Conv", "3x3", "2x2", 3, 8, 1, 8, 8, 1, 4, 8, "1e-3", "4e-3"],
    ["Gemm", "", "", 128, 10, 1, 1, 1, 1, 8, 8, "3e-4", "6e-4"],
    ["Gemm", "", "", 128, 10, 1, 1, 1, 1, 4, 8, "2e-4", "3e-4"],
]
TOML = """\
title = "A board"
kind = "lookup"
batch = 1
source = "measured"

[widths]
weight = [4, 8]
activation = [8]
accumulator_bits = 32
output_bits = 8
source = "the kernels"

[table]
file = "board.csv"
clock_mhz = 100
source = "measured"

[grades]
latency = "exact"
energy = "exact"
source = "measured"
"""


def graph() -> Graph:
    return chain(
        [
            convolution("conv", "x", (3, 8), kernel=3, stride=2, groups=1, size_in=8),
            dense("fc", "conv.out", 128, 10),
        ]
    )


def written(folder: Path, rows: list[list[object]], text: str = TOML) -> Path:
    with (folder / "board.csv").open("w", newline="") as file:
        csv.writer(file).writerows([HEADING, *rows])
    path = folder / "board.toml"
    path.write_text(text)
    return path


def load(folder: Path, rows: list[list[object]]) -> Target:
    return targets.load(str(written(folder, rows)))


def test_measured_cells_come_out_as_they_stand(tmp_path: Path) -> None:
    table = build_table(graph(), load(tmp_path, list(ROWS)))
    np.testing.assert_allclose(table.latency_s[..., 0, 0], [[1e-3, 2e-3], [2e-4, 3e-4]], rtol=1e-14)
    np.testing.assert_allclose(table.energy_j[..., 0, 0], [[4e-3, 5e-3], [3e-4, 6e-4]], rtol=1e-14)
    total = table.price(plain(graph(), 8, 8))
    assert total.latency_s == pytest.approx(2.3e-3, rel=1e-14)
    assert table.target.modes == ("measured",)
    # The least that can move: each operand and result once.
    moved = table.moved_bits
    assert moved["weights"][0, :, 0, 0].tolist() == [216 * 4, 216 * 8]
    assert moved["activations"][0, 0, 0, 0] == 192 * 8 and moved["outputs"][0, 0, 0, 0] == 128 * 8


def test_a_missing_cell_is_named_and_never_guessed(tmp_path: Path) -> None:
    target = load(tmp_path, ROWS[:3])
    with pytest.raises(TargetError) as error:
        build_table(graph(), target)
    assert str(error.value).startswith(
        "table 'board.csv' has no cell for layer 'fc' (Gemm, 128 to 10 channels in 1 groups, 1 rows, batch 1) at 4/8 "
    )
    with pytest.raises(TargetError, match=r"layer 'conv' \(Conv kernel 3x3 stride 2x2, .* batch 2\) at 4/8"):
        build_table(graph(), target, batch=2)


def test_layers_that_a_signature_cannot_tell_apart_are_refused(tmp_path: Path) -> None:
    conv = convolution("conv", "x", (3, 8), kernel=3, stride=2, groups=1, size_in=8)
    valid = convolution("valid", "x", (3, 8), kernel=3, stride=2, groups=1, size_in=8)
    object.__setattr__(valid, "rows", 9)
    with pytest.raises(TargetError, match="layers 'conv' and 'valid' differ only in padding or dilation"):
        build_table(chain([conv, valid]), load(tmp_path, list(ROWS)))


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (ROWS[0], "line 6: Conv kernel 3x3 stride 2x2, 3 to 8 channels in 1 groups, 64 positions, batch 1 at 8/8 bits "
                  "stands in line 2 already"),
        (["Convv", *ROWS[0][1:]], "line 6: op 'Convv' is no layer (did you mean 'Conv'?)"),
        (["Conv", "3x3", "2", *ROWS[0][3:]], "line 6: kernel '3x3' and stride '2' do not fit Conv"),
        (["Gemm", *ROWS[0][1:]], "do not fit Gemm"),
        (["Conv", "3xx3", *ROWS[0][2:]], "line 6: kernel must be a whole number"),
        ([*ROWS[0][:3], -3, *ROWS[0][4:]], "line 6: in_channels must be a whole number from 1"),
        ([*ROWS[0][:3], "9" * 30, *ROWS[0][4:]], "line 6: in_channels must be a whole number from 1"),
        ([*ROWS[0][:9], 9, *ROWS[0][10:]], "line 6: weight_bits must be 1 to 8, or 32 for float, not 9"),
        ([*ROWS[0][:11], "nan", 1], "line 6: latency_s must be a number above zero, not 'nan'"),
        ([*ROWS[0][:11], "0", 1], "line 6: latency_s must be a number above zero, not '0'"),
        ([*ROWS[0][:11], "1e-3", ""], "line 6: energy_j must be a number above zero, not ''"),
        (ROWS[0][:5], "line 6: 5 cells under 13 columns"),
        (['Conv"'], "1 cells under 13 columns"),
    ],
    ids=lambda value: str(value)[:30],
)  # fmt: skip
def test_a_wrong_row_is_named_with_its_line(tmp_path: Path, row: list[object], expected: str) -> None:
    path = written(tmp_path, [*ROWS, row])
    (mistake,) = targets.check(path)
    assert "table 'board.csv', " in mistake and expected in mistake


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "column 'op' must stand there once"),
        (",".join(HEADING).replace("op", "oper", 1).encode(), "unknown column 'oper' (did you mean 'op'?)"),
        ((",".join(HEADING) + ",op").encode(), "column 'op' must stand there once"),
        (",".join(HEADING).encode(), "has no rows"),
        (b"\xff\xfe\x00", "is no CSV text in UTF-8"),
        ((",".join(HEADING) + '\n"Conv').encode(), "is no CSV text in UTF-8"),
        (b"#" * (64 * 2**20 + 1), "is over 64 MiB"),
    ],
    ids=range(7),
)
def test_a_wrong_table_is_refused(tmp_path: Path, content: bytes, expected: str) -> None:
    path = written(tmp_path, list(ROWS))
    (tmp_path / "board.csv").write_bytes(content)
    (mistake,) = targets.check(path)
    assert expected in mistake


def test_a_table_of_too_many_rows_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("haqc.targets.lookup.MAX_ROWS", 3)
    (mistake,) = targets.check(written(tmp_path, list(ROWS)))
    assert "line 5: more than 3 rows" in mistake


@pytest.mark.parametrize("name", ["../board.csv", "/etc/hosts", "sub/../../board.csv", "none.csv", "."])
def test_a_table_outside_the_folder_or_not_there_is_refused(tmp_path: Path, name: str) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    written(tmp_path, list(ROWS))
    path = written(inside, list(ROWS), TOML.replace('"board.csv"', f'"{name}"'))
    (mistake,) = targets.check(path)
    assert "lies outside the target file's folder" in mistake or "is not beside the target file" in mistake


def test_a_link_that_leads_outside_is_refused(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    written(tmp_path, list(ROWS))
    path = written(inside, list(ROWS))
    (inside / "board.csv").unlink()
    (inside / "board.csv").symlink_to(tmp_path / "board.csv")
    (mistake,) = targets.check(path)
    assert "lies outside the target file's folder" in mistake


def test_a_changed_table_is_a_changed_target(tmp_path: Path) -> None:
    before = load(tmp_path, list(ROWS))
    after = load(tmp_path, [*ROWS[:3], [*ROWS[3][:12], "4e-4"]])
    assert before.text != after.text and before.text.startswith(TOML.rstrip())


def test_haqs_table_drops_in_and_equals_cloud(tmp_path: Path) -> None:
    published = Path(__file__).parents[2] / "../shared/data/cost/haq_bismo_cloud_mobilenetv2.csv"
    if not published.exists():
        pytest.skip("the published table is not in ../shared/data/cost")
    path, cells = write_table(published, tmp_path)
    assert cells == 1984  # 31 shapes of layers at 64 pairs
    graph, target = mobilenet_v2(), targets.load(str(path))
    looked_up, computed = build_table(graph, target), build_table(graph, targets.load("cloud"))
    np.testing.assert_allclose(looked_up.latency_s, computed.latency_s, rtol=1e-14)
    np.testing.assert_allclose(looked_up.energy_j, computed.energy_j, rtol=1e-14)
