"""Images in class folders reach the size and the channels of the model's input."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest

from haqc.data.images import read_images
from haqc.data.split import InputSpec
from haqc.errors import DataError

Image = pytest.importorskip("PIL.Image", reason="needs Pillow")

F32 = np.dtype(np.float32)
RGB = InputSpec("image", F32, (None, 3, 6, 8))
GREY = InputSpec("image", F32, (None, 6, 8, 1))


def picture(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def pixels(*shape: int) -> np.ndarray:
    return np.random.default_rng(len(shape)).integers(0, 256, shape, np.uint8)


def refused(folder: Path, message: str, spec: InputSpec = RGB, root: Path | None = None) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read_images(folder, spec, root)
    assert "\n" not in str(caught.value)


def test_one_level_of_classes_sorted_by_name(tmp_path: Path) -> None:
    shown = {name: pixels(6, 8, 3) + shift for shift, name in enumerate(["dog/b.png", "dog/a.PNG", "cat/z.png"])}
    for name, content in shown.items():
        picture(tmp_path / name, content)
    (tmp_path / "dog" / ".hidden").touch()
    (tmp_path / "notes.txt").touch()
    members = read_images(tmp_path, RGB)
    assert list(members) == ["x", "y"]
    np.testing.assert_array_equal(members["y"], [0, 1, 1])
    np.testing.assert_array_equal(members["x"], [shown["cat/z.png"], shown["dog/a.PNG"], shown["dog/b.png"]])


def test_train_and_test_folders(tmp_path: Path) -> None:
    for name in ("train/a/1.png", "train/b/1.png", "test/b/1.png"):
        picture(tmp_path / name, pixels(6, 8))
    members = read_images(tmp_path, GREY)
    assert {name: array.shape for name, array in members.items()} == {
        "x_train": (2, 6, 8, 1),
        "y_train": (2,),
        "x_test": (1, 6, 8, 1),
        "y_test": (1,),
    }
    np.testing.assert_array_equal(members["y_test"], [1])
    picture(tmp_path / "test/c/1.png", pixels(6, 8))
    refused(tmp_path, "class 'c' is not among the classes of train/", GREY)
    (tmp_path / "val").mkdir()
    refused(tmp_path, "holds the folders test, train, val", GREY)


def test_train_without_test_is_refused(tmp_path: Path) -> None:
    picture(tmp_path / "train/a/1.png", pixels(6, 8))
    refused(tmp_path, "train/ and test/ only")


def test_colours_are_converted(tmp_path: Path) -> None:
    picture(tmp_path / "a/1.png", pixels(6, 8))
    assert np.ptp(read_images(tmp_path, RGB)["x"], axis=-1).max() == 0
    four = InputSpec("image", F32, (None, 4, 6, 8))
    assert read_images(tmp_path, four)["x"][..., 3].min() == 255
    Image.fromarray(pixels(6, 8, 3)).convert("P").save(tmp_path / "a/2.png", transparency=b"\x00\x10")
    assert read_images(tmp_path, InputSpec("image", F32, (None, 6, 8)))["x"].shape == (2, 6, 8, 1)


def test_the_centre_is_cut_out_and_scaled(tmp_path: Path) -> None:
    wide = np.zeros((6, 20), np.uint8)
    wide[:, 6:14] = pixels(6, 8)
    picture(tmp_path / "a/1.png", wide)
    np.testing.assert_array_equal(read_images(tmp_path, GREY)["x"][0, ..., 0], pixels(6, 8))
    picture(tmp_path / "a/1.png", np.kron(np.full((6, 8), 7, np.uint8), np.ones((4, 4), np.uint8)))
    assert set(np.unique(read_images(tmp_path, GREY)["x"])) == {7}


def test_halving_averages_pixels(tmp_path: Path) -> None:
    checks = np.indices((12, 16)).sum(0) % 2 * 200
    picture(tmp_path / "a/1.png", checks.astype(np.uint8))
    middle = read_images(tmp_path, GREY)["x"][0, 1:-1, 1:-1, 0].astype(int)
    assert np.abs(middle - 100).max() <= 1  # without antialiasing it would be 0 or 200


def test_an_open_size_takes_images_of_one_size(tmp_path: Path) -> None:
    spec = InputSpec("image", F32, (None, 3, None, None))
    picture(tmp_path / "a/1.png", pixels(5, 9, 3))
    assert read_images(tmp_path, spec)["x"].shape == (1, 5, 9, 3)
    picture(tmp_path / "a/2.png", pixels(5, 8, 3))
    refused(tmp_path, "has 8 x 5 pixels and the first image 9 x 5", spec)


@pytest.mark.parametrize("shape", [(None, 784), (None, None, None, None), (None, 7, 8, 9), (None, 3, 8, 3)])
def test_an_input_that_is_no_image_is_refused(tmp_path: Path, shape: tuple[int | None, ...]) -> None:
    picture(tmp_path / "a/1.png", pixels(6, 8))
    refused(tmp_path, "does not say which axis holds 1, 3 or 4 channels", InputSpec("image", F32, shape))


def test_folders_without_images_are_refused(tmp_path: Path) -> None:
    refused(tmp_path, "holds no images")
    (tmp_path / "a").mkdir()
    refused(tmp_path, "holds no images")
    (tmp_path / "a" / "notes.txt").touch()
    refused(tmp_path, "notes.txt: is no image")
    refused(tmp_path / "none", "cannot be read")


def test_unreadable_images_are_refused(tmp_path: Path) -> None:
    path = picture(tmp_path / "a/1.png", pixels(6, 8, 3))
    path.write_bytes(path.read_bytes()[:80])
    refused(tmp_path, "cannot be read as an image")
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0")
    refused(tmp_path, "cannot be read as an image")
    picture(path, np.zeros((6, 8), np.uint16))
    refused(tmp_path, "has pixels of kind 'I;16'")


@pytest.mark.parametrize("side", [9_000, 60_000])
def test_a_decompression_bomb_is_refused_unopened(tmp_path: Path, side: int) -> None:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    (tmp_path / "a").mkdir()
    (tmp_path / "a/1.png").write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )
    refused(tmp_path, "over the .* allowed|cannot be read as an image .*decompression bomb")


def test_a_link_out_of_the_folder_is_refused_when_confined(tmp_path: Path) -> None:
    outside = picture(tmp_path / "outside.png", pixels(6, 8))
    inside = tmp_path / "inside"
    (inside / "a").mkdir(parents=True)
    (inside / "a/1.png").symlink_to(outside)
    assert len(read_images(inside, GREY)["x"]) == 1
    refused(inside, "leads out of the folder", GREY, inside)
