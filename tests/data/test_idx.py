"""The four IDX files: counts are compared with sizes, and decompression stops where the header says."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from haqc import memory
from haqc.data.idx import FILES, has_idx_files, read_idx
from haqc.errors import DataError


def idx(array: np.ndarray) -> bytes:
    words = [2049 if array.ndim == 1 else 2051, *array.shape]
    return b"".join(word.to_bytes(4, "big") for word in words) + array.astype(np.uint8).tobytes()


def contents() -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    return {
        "x_train": generator.integers(0, 256, (20, 5, 4), np.uint8),
        "y_train": generator.integers(0, 10, 20, np.uint8),
        "x_test": generator.integers(0, 256, (6, 5, 4), np.uint8),
        "y_test": generator.integers(0, 10, 6, np.uint8),
    }


def write(folder: Path, *, zipped: bool) -> Path:
    for member, array in contents().items():
        content = idx(array)
        (folder / (FILES[member] + ".gz" * zipped)).write_bytes(gzip.compress(content) if zipped else content)
    return folder


def refused(folder: Path, message: str, root: Path | None = None) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read_idx(folder, root)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("zipped", [False, True])
def test_files_come_back_as_arrays(tmp_path: Path, zipped: bool) -> None:
    assert not has_idx_files(tmp_path)
    members = read_idx(write(tmp_path, zipped=zipped))
    assert has_idx_files(tmp_path)
    for name, array in contents().items():
        np.testing.assert_array_equal(members[name], array)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    write(tmp_path, zipped=True)
    (tmp_path / (FILES["y_test"] + ".gz")).unlink()
    refused(tmp_path, "there is no t10k-labels-idx1-ubyte or t10k-labels-idx1-ubyte.gz")


def test_a_truncated_gzip_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, zipped=True) / (FILES["x_train"] + ".gz")
    path.write_bytes(path.read_bytes()[:-40])
    refused(tmp_path, "train-images-idx3-ubyte.gz: cannot be read .*cut off")
    path.write_bytes(path.read_bytes()[:12])
    refused(tmp_path, "train-images-idx3-ubyte.gz: cannot be read")
    path.write_bytes(b"no gzip")
    refused(tmp_path, "cannot be read .*[Nn]ot a gzipped file")


def test_a_damaged_gzip_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, zipped=True) / (FILES["x_train"] + ".gz")
    content = bytearray(path.read_bytes())
    content[-6] ^= 1  # in the checksum
    path.write_bytes(bytes(content))
    refused(tmp_path, "cannot be read")


@pytest.mark.parametrize("zipped", [False, True])
def test_header_and_size_must_agree(tmp_path: Path, zipped: bool) -> None:
    path = write(tmp_path, zipped=zipped) / (FILES["x_test"] + ".gz" * zipped)
    content = idx(contents()["x_test"])
    for wrong, message in ((content[:-1], "120 bytes, but there are 119"), (content + b"0", "but there are more")):
        path.write_bytes(gzip.compress(wrong) if zipped else wrong)
        refused(tmp_path, message)


def test_another_kind_of_file_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, zipped=False) / FILES["x_test"]
    path.write_bytes(idx(contents()["y_test"]))
    refused(tmp_path, r"is no IDX file of images \(it must begin with 2051\)")
    path.write_bytes(b"\0\0")
    refused(tmp_path, "is no IDX file of images")


def test_a_header_that_promises_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, zipped=True) / (FILES["x_test"] + ".gz")
    path.write_bytes(gzip.compress(b"\0\0\x08\x03" + b"\xff" * 12))
    refused(tmp_path, "the arrays would take")
    write(tmp_path, zipped=True)
    monkeypatch.setattr(memory, "LIMIT_BYTES", 26 * 20 + 25)
    refused(tmp_path, "the arrays would take")


def test_a_link_out_of_the_folder_is_refused_when_confined(tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    (tmp_path / "outside").mkdir()
    write(tmp_path / "outside", zipped=False)
    for name in FILES.values():
        (tmp_path / "inside" / name).symlink_to(tmp_path / "outside" / name)
    assert len(read_idx(tmp_path / "inside")) == 4
    refused(tmp_path / "inside", "leads out of the folder", root=tmp_path / "inside")
