"""The output folder: who may use it, what is removed, and what comes back for resuming."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from haqc.errors import OutputError, ResumeError
from haqc.folder import RESULTS, OutputFolder
from haqc.mirror.quantised import State
from haqc.recovery import Reconstruction, Recovery
from haqc.sweepfolder import SweepFolder
from haqc.sweptfiles import FRONT_FILES
from haqc.tuned import Tuned

MODEL = Path("elsewhere") / "model.onnx"
POINTS = ("energy-0.30", "energy-0.60")


@pytest.fixture
def used(tmp_path: Path) -> OutputFolder:
    """A folder that a compile left, with a log that has begun, and with a file of other origin."""
    folder = OutputFolder(tmp_path / "net.haqc")
    folder.take(resume=False)
    for name in RESULTS:
        folder.file(name).write_text(f"{name}\n", encoding="utf-8")
    folder.file("notes.txt").write_text("mine", encoding="utf-8")
    (folder.state / "tuned.npz").write_bytes(b"old")
    return folder


def names(folder: OutputFolder) -> list[str]:
    return sorted(path.name for path in folder.path.iterdir())


def test_a_missing_folder_may_be_used_and_is_not_made_by_the_check(tmp_path: Path) -> None:
    folder = OutputFolder(tmp_path / "a" / "b")
    folder.check(MODEL, resume=False, force=False)
    assert list(tmp_path.iterdir()) == []
    folder.take(resume=False)
    assert names(folder) == [".state"]
    assert list(folder.state.iterdir()) == []


def test_an_empty_folder_may_be_used(tmp_path: Path) -> None:
    OutputFolder(tmp_path).check(MODEL, resume=False, force=False)


def test_a_used_folder_needs_an_option(used: OutputFolder) -> None:
    with pytest.raises(OutputError, match=r"is not empty; add --resume to go on there, --force to replace"):
        used.check(MODEL, resume=False, force=False)
    used.check(MODEL, resume=True, force=False)
    used.check(MODEL, resume=False, force=True)


def test_force_removes_what_haqc_left_and_nothing_else(used: OutputFolder) -> None:
    used.take(resume=False)
    assert names(used) == [".state", "notes.txt"]
    assert list(used.state.iterdir()) == []


def swept(folder: OutputFolder) -> tuple[SweepFolder, OutputFolder]:
    """What a sweep of two points leaves in a folder, with a file of the user's own in one of them."""
    sweep = SweepFolder(folder.path)
    sweep.check(MODEL, POINTS, resume=False, force=True)
    sweep.whole.take(resume=False)
    sweep.take_points(POINTS, resume=False)
    for name in FRONT_FILES:
        sweep.whole.write(name, b"front\n")
    for name in POINTS:
        sweep.point(name).write("model.onnx", b"point")
    (folder.path / POINTS[1] / "notes.txt").write_text("mine", encoding="utf-8")
    return sweep, sweep.point(POINTS[0])


def test_a_compile_takes_the_place_of_a_sweep_and_a_sweep_that_of_a_compile(used: OutputFolder) -> None:
    swept(used)
    assert names(used) == sorted([".state", "notes.txt", *FRONT_FILES, *POINTS])
    folder = OutputFolder(used.path)
    folder.check(MODEL, resume=False, force=True)
    folder.take(resume=False)
    assert names(used) == [".state", POINTS[1], "notes.txt"]
    assert [path.name for path in (used.path / POINTS[1]).iterdir()] == ["notes.txt"]


def test_what_no_sweep_left_is_not_removed(used: OutputFolder) -> None:
    """Without a sweep's list, files and folders under these names are the user's; so are links, and other names."""
    for name in ("front.svg", POINTS[0]):
        folder = used.path / name
        (folder.mkdir if name in POINTS else folder.touch)()
    before = names(used)
    used.check(MODEL, resume=False, force=True)
    used.take(resume=False)
    assert [name for name in before if name not in RESULTS] == names(used)
    _, point = swept(used)
    outside = used.path.parent / "outside"
    point.path.rename(outside)
    point.path.symlink_to(outside)
    used.keep("points.json", b'["energy-0.30", "../outside", "notes.txt"]')
    used.take(resume=False)
    assert (outside / "model.onnx").is_file() and point.path.is_symlink()
    assert (used.path / "notes.txt").is_file() and (used.path / POINTS[1] / "model.onnx").is_file()


def test_the_model_to_compile_may_be_no_point_of_a_sweep(used: OutputFolder) -> None:
    sweep, point = swept(used)
    for check in (used.check, partial(sweep.check, names=["energy-0.90"])):
        with pytest.raises(
            OutputError, match=r"energy-0\.30/model\.onnx' was not left there by a compile, and would be"
        ):
            check(point.file("model.onnx"), resume=False, force=True)


def test_resume_keeps_everything(used: OutputFolder) -> None:
    before = names(used)
    used.take(resume=True)
    assert names(used) == before
    assert [path.name for path in used.state.iterdir()] == ["tuned.npz"]


@pytest.mark.parametrize("log", [None, b"", b'{"fingerprint": {"seed'])
def test_without_a_fingerprint_nothing_is_resumed(used: OutputFolder, log: bytes | None) -> None:
    # Nobody knows what the state was made from, so it must not end up in another compile's result.
    if log is None:
        used.file("search.jsonl").unlink()
    else:
        used.file("search.jsonl").write_bytes(log)
    used.take(resume=True)
    assert names(used) == [".state", "notes.txt"]
    assert list(used.state.iterdir()) == []


@pytest.mark.parametrize("name", RESULTS)
def test_files_of_other_origin_are_not_replaced(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine", encoding="utf-8")
    for resume, force in ((True, False), (False, True)):
        with pytest.raises(OutputError, match=f"{name}' was not left there by a compile, and would be replaced"):
            OutputFolder(tmp_path).check(MODEL, resume=resume, force=force)


def test_the_model_to_compile_is_not_replaced(used: OutputFolder) -> None:
    for model in (used.file("model.onnx"), used.path / ".." / used.path.name / "model.onnx"):
        with pytest.raises(OutputError, match=r"model\.onnx' was not left there by a compile, and would be replaced"):
            used.check(model, resume=False, force=True)


@pytest.mark.parametrize("name", [".state", "search.jsonl", "model.onnx"])
def test_links_are_not_followed(tmp_path: Path, name: str) -> None:
    outside, inside = tmp_path / "outside", tmp_path / "inside"
    outside.mkdir()
    (inside / ".state").mkdir(parents=True)
    if name == ".state":
        (inside / name).rmdir()
    (inside / name).symlink_to(outside)
    with pytest.raises(OutputError, match=f"{name}' is a link, and haqc writes nothing outside its folder"):
        OutputFolder(inside).check(MODEL, resume=True, force=False)


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine", encoding="utf-8")
    folder = OutputFolder(tmp_path / "out")
    with pytest.raises(OutputError, match=r"out' cannot be written \(Not a directory\); name another folder"):
        folder.check(MODEL, resume=False, force=True)
    with pytest.raises(OutputError, match="cannot be written"):
        folder.take(resume=False)


def test_results_are_put_in_place_whole(used: OutputFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    used.write("policy.json", b"new")
    assert used.file("policy.json").read_bytes() == b"new"

    def fail(path: Path, content: bytes) -> int:
        with path.open("wb") as file:
            file.write(content[:2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(OutputError, match=r"cannot be written \(No space left on device\); name another folder"):
        used.write("policy.json", b"newer")
    assert used.file("policy.json").read_bytes() == b"new"


def test_a_tuned_network_comes_back(used: OutputFolder) -> None:
    state = State(
        {"conv/weight": np.arange(6, dtype=np.float32).reshape(2, 3), "../b": np.float32([0.1])},
        {"conv/weight": np.float32([-3.25, 1e-30]), "x": np.array(-2.5, np.float32)},
    )
    assert used.load_tuned("tuned-x") is None
    used.save_tuned("tuned-x", Tuned(state, 98.76543210987654))
    found = used.load_tuned("tuned-x")
    assert found is not None
    assert found.accuracy == 98.76543210987654
    for kept, given in ((found.state.parameters, state.parameters), (found.state.log_scales, state.log_scales)):
        assert list(kept) == list(given)
        for name, array in given.items():
            assert (kept[name].dtype, kept[name].shape) == (array.dtype, array.shape)
            np.testing.assert_array_equal(kept[name], array)
    assert sorted(path.name for path in used.state.iterdir()) == ["tuned-x.npz", "tuned.npz"]


def test_a_recovery_comes_back(used: OutputFolder) -> None:
    done = Reconstruction(("r1", "../y"), (0.1, 1 / 3), (0.1, 5e-324), 96)
    tuned = Tuned(
        State({}, {"x": np.array(-2.5, np.float32)}),
        99.5,
        Recovery(done, 98.5, {"corrected biases": 99.0, "reconstructed": 99.5}),
    )
    used.save_tuned("recovered-x", tuned)
    found = used.load_tuned("recovered-x")
    assert found is not None
    assert found.recovery == tuned.recovery


def test_a_damaged_tuned_network_is_refused(used: OutputFolder) -> None:
    with pytest.raises(ResumeError, match=r"tuned\.npz' is damaged; start again with --force"):
        used.load_tuned("tuned")
    np.savez(used.state / "tuned.npz", index=np.array([{}], dtype=object))
    with pytest.raises(ResumeError, match="is damaged"):
        used.load_tuned("tuned")


def test_a_table_comes_back_to_the_last_bit(used: OutputFolder) -> None:
    rows = [(0.1, 1 / 3, 5e-324), (), (1e300,)]
    assert used.load_table("sensitivity.json", [3, 0, 1]) is None
    used.save_table("sensitivity.json", rows)
    assert used.load_table("sensitivity.json", [3, 0, 1]) == [list(row) for row in rows]


@pytest.mark.parametrize(
    "text", ["", "[[1.0]", "[1, 2]", "{}", "[[1.0, NaN]]", "[[1.0]]", "[[1, null]]", '[["a", "b"]]', "[" * 100_000, "3"]
)
def test_a_damaged_table_is_refused(used: OutputFolder, text: str) -> None:
    (used.state / "sensitivity.json").write_text(text, encoding="utf-8")
    with pytest.raises(ResumeError, match=r"sensitivity\.json' is damaged; start again with --force"):
        used.load_table("sensitivity.json", [2])
