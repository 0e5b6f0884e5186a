"""A source is read by what it is, divided as defined, and told apart by a digest of its content."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from haqc.data import Dataset, InputSpec, load
from haqc.errors import DataError
from haqc.judge import check_labels
from haqc.metrics import named

F32 = np.dtype(np.float32)
IMAGE = (InputSpec("image", F32, (None, 1, 6, 6)),)


def arrays(count: int = 40, seed: int = 0) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(seed)
    return {
        "x_train": generator.integers(0, 256, (count, 6, 6), np.uint8),
        "y_train": np.arange(count) % 4,
        "x_test": generator.integers(0, 256, (12, 6, 6), np.uint8),
        "y_test": np.arange(12) % 4,
    }


def saved(folder: Path, members: dict[str, np.ndarray] | None = None, name: str = "d.npz") -> str:
    folder.mkdir(exist_ok=True)
    np.savez(folder / name, **(arrays() if members is None else members))  # type: ignore[arg-type]
    return str(folder / name)


def loaded(source: str | None, model: Path = Path("m.onnx"), inputs: tuple[InputSpec, ...] = IMAGE) -> Dataset:
    return load(source, inputs, model)


def test_an_npz(tmp_path: Path) -> None:
    dataset = loaded(saved(tmp_path))
    assert [len(split) for split in (dataset.train, dataset.search, dataset.reported)] == [36, 4, 12]
    assert (dataset.name, dataset.synthetic, dataset.has_labels) == ("d.npz", False, True)
    (images,) = dataset.search.inputs(slice(None))
    np.testing.assert_array_equal(images, arrays()["x_train"][36:, None].astype(np.float32))
    assert dataset.train.arrays[0].dtype == np.uint8


def test_one_array_per_input(tmp_path: Path) -> None:
    inputs = (InputSpec("image", F32, (None, 3, 6, 6)), InputSpec("ids", np.dtype(np.int32), (None, 5)))
    source = saved(tmp_path, {"image": np.zeros((20, 6, 6, 3), np.uint8), "ids": np.ones((20, 5), np.int64)})
    (tmp_path / "d.toml").write_text('path = "d.npz"\nformat = "npz"\nlayout = "NHWC"\nscale = 0.5\n')
    for given in (source, str(tmp_path / "d.toml")):
        dataset = loaded(given, inputs=inputs)
        image, ids = dataset.train.inputs(slice(0, 3))
        assert (image.shape, ids.shape) == ((3, 3, 6, 6), (3, 5))
        assert ids.dtype == np.int32
        assert ids.min() == ids.max() == 1
        assert not dataset.has_labels


def test_the_description_beside_the_model(tmp_path: Path) -> None:
    saved(tmp_path)
    text = 'path = "d.npz"\nformat = "npz"\nscale = 0.5\n[splits]\nreported = [0, 5]\n'
    (tmp_path / "net.data.toml").write_text(text)
    dataset = loaded(None, tmp_path / "net.onnx")
    assert dataset.name == "d.npz"
    assert len(dataset.reported) == 5
    assert dataset.train.inputs(slice(0, 1))[0].max() == arrays()["x_train"][0].max() / 2
    assert loaded(str(tmp_path / "net.data.toml")).digest == dataset.digest
    assert loaded(None, tmp_path / "other.onnx").synthetic


def test_a_description_beside_the_model_opens_nothing_outside(tmp_path: Path) -> None:
    saved(tmp_path)
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "net.data.toml").write_text('path = "../d.npz"\nformat = "npz"\n')
    with pytest.raises(DataError, match="leads out of the folder"):
        loaded(None, tmp_path / "models" / "net.onnx")
    assert len(loaded(str(tmp_path / "models" / "net.data.toml")).train) == 36
    (tmp_path / "models" / "net.data.toml").write_text('path = "os:getcwd"\nformat = "function"\n')
    with pytest.raises(DataError, match="may not name a function"):
        loaded(None, tmp_path / "models" / "net.onnx")


def test_a_function(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "haqc_test_of_load.py").write_text(
        "import numpy as np\ndef data(): return {'x': np.zeros((30, 1, 6, 6)), 'y': np.arange(30) % 3}\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    dataset = loaded("haqc_test_of_load:data")
    assert [len(split) for split in (dataset.train, dataset.search, dataset.reported)] == [21, 3, 6]
    assert dataset.name == "haqc_test_of_load:data"


def test_a_folder_of_images(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image", reason="needs Pillow")
    for name in ("a", "b"):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for number in range(10):
            image.fromarray(np.full((6, 6, 3), [number, 0, 9], np.uint8)).save(tmp_path / f"pets/{name}/{number}.png")
    inputs = (InputSpec("image", F32, (None, 3, 6, 6)),)
    dataset = loaded(str(tmp_path / "pets"), inputs=inputs)
    assert dataset.name == "pets"
    (images,) = dataset.train.inputs(slice(None))
    assert images.shape == (14, 3, 6, 6)
    assert np.all(images[:, 2] == 9)
    (tmp_path / "d.toml").write_text('path = "pets"\nformat = "images"\nmean = [0, 0, 9]\n')
    assert np.all(loaded(str(tmp_path / "d.toml"), inputs=inputs).train.inputs(slice(None))[0][:, 2] == 0)
    (tmp_path / "d.toml").write_text('path = "pets"\nformat = "images"\nlayout = "NCHW"\n')
    with pytest.raises(DataError, match="'layout' says nothing about image files"):
        loaded(str(tmp_path / "d.toml"), inputs=inputs)
    with pytest.raises(DataError, match="feeds one input, but the model has 2"):
        loaded(str(tmp_path / "pets"), inputs=inputs * 2)


def test_without_data_inputs_are_made_up(tmp_path: Path) -> None:
    dataset = loaded(None, tmp_path / "net.onnx")
    assert dataset.synthetic
    assert not dataset.has_labels
    assert [len(split) for split in (dataset.train, dataset.search, dataset.reported)] == [1024, 256, 512]
    assert load(None, IMAGE, tmp_path / "net.onnx", seed=1).digest != dataset.digest


def test_the_digest_follows_content_alone(tmp_path: Path) -> None:
    source = saved(tmp_path)
    digest = loaded(source).digest
    (tmp_path / "copy").mkdir()
    copy = shutil.copy(source, tmp_path / "copy" / "e.npz")
    os.utime(copy, (0, 0))
    assert loaded(str(copy)).digest == digest
    assert load(source, IMAGE, Path("m.onnx"), seed=7).digest == digest
    changed = arrays()
    changed["x_test"][0, 0, 0] ^= 1
    assert loaded(saved(tmp_path, changed)).digest != digest
    retyped = arrays() | {"y_test": arrays()["y_test"].astype(np.int16)}
    assert loaded(saved(tmp_path, retyped)).digest != digest
    saved(tmp_path)
    for text in ("scale = 0.5", "[splits]\nreported = [0, 5]"):
        (tmp_path / "d.toml").write_text(f'path = "d.npz"\nformat = "npz"\n{text}\n')
        assert loaded(str(tmp_path / "d.toml")).digest != digest


def test_sources_that_are_nothing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no such file or folder; give an \.npz"):
        loaded(str(tmp_path / "none"))
    (tmp_path / "d.csv").touch()
    with pytest.raises(DataError, match="is no kind of data haqc reads"):
        loaded(str(tmp_path / "d.csv"))
    with pytest.raises(DataError, match="there is no such file"):
        loaded(str(tmp_path / "none.npz"))
    with pytest.raises(DataError, match="holds no images"):
        loaded(str(tmp_path))
    with pytest.raises(DataError, match="one without a batch axis"):
        loaded(None, inputs=(InputSpec("image", F32, ()),))


def test_arrays_that_do_not_fit_the_model(tmp_path: Path) -> None:
    source = saved(tmp_path, arrays() | {"x_test": np.zeros((12, 5, 6), np.uint8)})
    with pytest.raises(DataError, match=r"shapes \[40, 6, 6\] and \[12, 5, 6\]"):
        loaded(source)
    with pytest.raises(DataError, match=r"\[40, 6, 6\] does not fit input 'image' of shape \[\?, 3, 8, 8\]"):
        loaded(saved(tmp_path), inputs=(InputSpec("image", F32, (None, 3, 8, 8)),))
    (tmp_path / "d.toml").write_text('path = "d.npz"\nformat = "npz"\nscale = 0.5\n')
    with pytest.raises(DataError, match="scale, mean and std are for inputs of floats"):
        loaded(str(tmp_path / "d.toml"), inputs=(InputSpec("image", np.dtype(np.uint8), (None, 1, 6, 6)),))


def test_labels_must_be_outputs_of_the_model(tmp_path: Path) -> None:
    dataset = loaded(saved(tmp_path))
    check_labels(dataset, named("top-1"), (1, 4))
    with pytest.raises(DataError, match="labels reach from 0 to 3, but the model has 3 outputs"):
        check_labels(dataset, named("top-1"), (1, 3))


def test_pairs_stay_together_however_data_are_divided(tmp_path: Path) -> None:
    pairs = {
        "x": np.repeat(np.arange(15), 2)[:, None, None] * np.ones((6, 6)),
        "y": np.repeat(np.arange(15) % 2, 2) * 0.5,
    }
    dataset = load(saved(tmp_path, pairs), IMAGE, Path("m.onnx"), group=2)
    for split in (dataset.train, dataset.search, dataset.reported):
        assert split.labels is not None
        np.testing.assert_array_equal(split.arrays[0][::2], split.arrays[0][1::2])
        np.testing.assert_array_equal(split.arrays[0][::2, 0, 0] % 2 * 0.5, split.labels[::2])


def test_fashion_mnist(shared: Path, tmp_path: Path) -> None:
    folder = shared / "fashion-mnist"
    (tmp_path / "d.toml").write_text(
        f'path = "{folder}"\nformat = "idx"\nscale = 0.00392156862745098\nmean = 0.2860\nstd = 0.3530\n'
    )
    dataset = loaded(str(tmp_path / "d.toml"), inputs=(InputSpec("image", F32, (None, 1, 28, 28)),))
    assert [len(split) for split in (dataset.train, dataset.search, dataset.reported)] == [55_000, 5_000, 10_000]
    assert dataset.name == "fashion-mnist"
    check_labels(dataset, named("top-1"), (1, 10))
    (images,) = dataset.train.inputs(slice(0, 2_000))
    assert images.shape == (2_000, 1, 28, 28)
    assert abs(images.mean()) < 0.02  # the mean and deviation are those of all 60,000
    assert abs(images.std() - 1) < 0.02
    rows = loaded(str(folder), inputs=(InputSpec("x", F32, (None, 784)),))
    assert rows.train.inputs(slice(0, 1))[0].shape == (1, 784)


@pytest.mark.slow
def test_cifar_fits_either_order_of_axes(shared: Path) -> None:
    source = str(shared / "resnet8-cifar10" / "cifar10.npz")
    last = loaded(source, inputs=(InputSpec("input_1", F32, (None, 32, 32, 3)),))
    first = loaded(source, inputs=(InputSpec("input_1", F32, (None, 3, 32, 32)),))
    assert [len(split) for split in (last.train, last.search, last.reported)] == [18_000, 2_000, 5_000]
    chosen = np.array([3, 1])
    np.testing.assert_array_equal(last.search.inputs(chosen)[0].transpose(0, 3, 1, 2), first.search.inputs(chosen)[0])
    assert last.train.inputs(slice(0, 50))[0].max() == 255
