"""Archives are read without trust: sizes first, no pickles, one bad member refuses the file."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from haqc import memory
from haqc.errors import DataError
from haqc.npz import read_npz


def member(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array)
    return stream.getvalue()


def archive(path: Path, members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as target:
        for name, content in members.items():
            target.writestr(name, content)
    return path


def refused(path: Path, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read_npz(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_come_back_as_they_were_saved(tmp_path: Path, save: object) -> None:
    x = np.random.default_rng(0).integers(0, 256, (7, 3, 2), np.uint8)
    y = np.asfortranarray(np.random.default_rng(0).normal(size=(7, 2)))
    (np.savez if save is np.savez else np.savez_compressed)(tmp_path / "d.npz", x=x, y=y)
    members = read_npz(tmp_path / "d.npz")
    assert list(members) == ["x", "y"]
    np.testing.assert_array_equal(members["x"], x)
    np.testing.assert_array_equal(members["y"], y)


def test_files_that_are_no_archives(tmp_path: Path) -> None:
    refused(tmp_path / "none.npz", "there is no such file")
    refused(tmp_path, "there is no such file")
    (tmp_path / "text.npz").write_text("x,y")
    refused(tmp_path / "text.npz", "cannot be read as .npz")
    (tmp_path / "empty.npz").write_bytes(b"")
    refused(tmp_path / "empty.npz", "cannot be read as .npz")
    refused(archive(tmp_path / "bare.npz", {}), "holds no arrays")
    behind = archive(tmp_path / "behind.npz", {"x.npy": member(np.zeros(3))})
    assert list(read_npz(behind)) == ["x"]
    behind.write_bytes(b"text\n" + behind.read_bytes())
    refused(behind, "cannot be read as .npz")


def test_a_pickle_is_never_loaded(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", x=np.zeros(3), y=np.array([{}, []], dtype=object), allow_pickle=True)
    refused(tmp_path / "d.npz", "'y.npy' holds object; store real numbers")


def test_text_and_records_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", x=np.array(["a"]))
    refused(tmp_path / "d.npz", "holds <U1")
    np.savez(tmp_path / "d.npz", x=np.zeros(2, [("a", "f4")]))
    refused(tmp_path / "d.npz", "store real numbers")


def test_one_bad_member_refuses_the_file(tmp_path: Path) -> None:
    good = member(np.zeros(4, np.uint8))
    refused(archive(tmp_path / "a.npz", {"x.npy": good, "y.npy": b"nonsense"}), r"'y.npy' cannot be read")
    refused(archive(tmp_path / "b.npz", {"x.npy": good, "y.npy": good[:-1]}), r"'y.npy' states shape \[4\] of uint8")
    refused(archive(tmp_path / "c.npz", {"x.npy": good, "y.npy": good + b"0"}), "'y.npy' states shape")
    refused(archive(tmp_path / "d.npz", {"x.npy": good, "readme.txt": b""}), "'readme.txt' is no .npy array")
    refused(archive(tmp_path / "e.npz", {"x.npy": good}, zipfile.ZIP_BZIP2), "is no .npy array as numpy writes it")
    refused(archive(tmp_path / "f.npz", {"x.npy": b"\x93NUMPY\x02\x00\xff\xff\xff\xff"}), "is not the one for plain")


def test_a_member_that_stands_there_twice_is_refused(tmp_path: Path) -> None:
    good = member(np.zeros(4, np.uint8))
    archive(tmp_path / "d.npz", {"x.npy": good, "z.npy": good})
    content = (tmp_path / "d.npz").read_bytes().replace(b"z.npy", b"x.npy")
    (tmp_path / "d.npz").write_bytes(content)
    refused(tmp_path / "d.npz", "'x.npy' stands there twice")


def test_flipped_bits_are_found_by_the_checksum(tmp_path: Path) -> None:
    archive(tmp_path / "d.npz", {"x.npy": member(np.zeros(64, np.uint8))}, zipfile.ZIP_STORED)
    content = bytearray((tmp_path / "d.npz").read_bytes())
    content[content.index(b"\x93NUMPY") + 150] ^= 1
    (tmp_path / "d.npz").write_bytes(bytes(content))
    refused(tmp_path / "d.npz", "cannot be read .*CRC")


def test_any_damage_gives_a_sentence_or_the_same_arrays(tmp_path: Path) -> None:
    x = np.arange(40, dtype=np.uint8)
    np.savez_compressed(tmp_path / "d.npz", x=x)
    content = (tmp_path / "d.npz").read_bytes()
    generator = np.random.default_rng(0)
    refusals = 0
    for _ in range(400):
        damaged = bytearray(content)
        damaged[generator.integers(len(content))] ^= 1 << int(generator.integers(8))
        (tmp_path / "e.npz").write_bytes(bytes(damaged))
        try:
            members = read_npz(tmp_path / "e.npz")
        except DataError:
            refusals += 1
        else:
            np.testing.assert_array_equal(next(iter(members.values())), x)
    assert refusals > 200


def test_a_lying_header_is_refused_before_anything_is_allocated(tmp_path: Path) -> None:
    header = member(np.zeros(4, np.uint8)).replace(b"(4,), }" + b" " * 12, b"(4000000000000,), }")
    refused(archive(tmp_path / "d.npz", {"x.npy": header}), r"states shape \[4000000000000\]")
    negative = member(np.zeros(4, np.uint8)).replace(b"(4,), } ", b"(-4,), }")
    refused(archive(tmp_path / "e.npz", {"x.npy": negative}), r"states shape \[-4\]")


def test_the_sum_of_the_headers_is_held_against_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zeros = np.zeros(600_000, np.uint8)
    np.savez_compressed(tmp_path / "d.npz", x=zeros, y=zeros)
    assert (tmp_path / "d.npz").stat().st_size < 10_000
    monkeypatch.setattr(memory, "LIMIT_BYTES", 1_200_000)
    assert len(read_npz(tmp_path / "d.npz")) == 2
    monkeypatch.setattr(memory, "LIMIT_BYTES", 1_199_999)
    refused(tmp_path / "d.npz", "the arrays would take .* GiB")
