"""Descriptions say what they mean, or are refused; those beside a model stay in their folder."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from haqc.data.description import FORMATS, KEYS, SPLITS, Description, read_description
from haqc.data.fit import LAYOUT_AXES
from haqc.data.split import Transform
from haqc.data.splits import Ranges
from haqc.errors import DataError

PLAIN = 'path = "d.npz"\nformat = "npz"\n'


def described(folder: Path, text: str, *, beside: bool = False) -> Description:
    path = folder / "model.data.toml"
    path.write_text(text)
    return read_description(path, found_beside_model=beside)


def test_every_key_is_read(tmp_path: Path) -> None:
    values = 'metric = "miou"\nlayout = "NHWC"\nscale = 0.5\nmean = [1, 2.5, 3]\nstd = 4\n'
    read = described(tmp_path, PLAIN + values + "[splits]\ntrain = [0, 9]\nsearch = [9, 12]\n")
    assert read.location == str(tmp_path / "d.npz")
    assert (read.format, read.metric) == ("npz", "miou")
    assert read.transform == Transform("NHWC", 0.5, (1.0, 2.5, 3.0), (4.0,))
    assert read.ranges == Ranges((0, 9), (9, 12))
    plain = described(tmp_path, PLAIN)
    assert (plain.transform, plain.metric) == (Transform(), None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path = ", "is no valid TOML"),
        ('format = "npz"', "'path' must be there"),
        ('path = ""\nformat = "npz"', "'path' must be there"),
        ('path = "d.npz"', "'format' is missing; allowed are npz, idx, images, function"),
        ('path = "d.npz"\nformat = "nzp"', r"'format' is 'nzp' \(did you mean 'npz'\?\)"),
        (PLAIN + "sclae = 1", r"unknown key 'sclae' \(did you mean 'scale'\?\)"),
        (PLAIN + 'layout = "NHCW"', "did you mean 'N"),
        (PLAIN + 'metric = "mes"', r"'metric' is 'mes' \(did you mean 'mse'\?\); allowed are top-1, top-5"),
        (PLAIN + 'metric = "my.code:judge"', r"'metric' is 'my.code:judge'; allowed are top-1, top-5, agreement"),
        (PLAIN + "metric = 5", "'metric' is 5; allowed are"),
        (PLAIN + "layout = 3", "'layout' is 3; allowed are NHWC, NCHW, HW"),
        (PLAIN + "scale = 0", "'scale' must be a number other than zero"),
        (PLAIN + 'scale = "1/255"', "'scale' must be a number"),
        (PLAIN + "scale = true", "'scale' must be a number"),
        (PLAIN + "scale = nan", "'scale' must be a number"),
        (PLAIN + "scale = inf", "'scale' must be a number"),
        (PLAIN + "mean = []", "'mean' must be a number or a list"),
        (PLAIN + 'mean = [1, "a"]', "'mean' must be a number or a list"),
        (PLAIN + "std = 0", "'std' must be above zero, not 0"),
        (PLAIN + "std = [1, -1]", "'std' must be above zero"),
        (PLAIN + "mean = [1, 2]\nstd = [1, 2, 3]", "'mean' and 'std' have 2 and 3 entries"),
        (PLAIN + "splits = 3", "'splits' must be a table"),
        (PLAIN + "[splits]\nreport = [0, 1]", r"unknown key 'report' \(did you mean 'reported'\?\)"),
        (PLAIN + "[splits]\ntrain = [5, 5]", r"split 'train' must be \[start, stop\]"),
        (PLAIN + "[splits]\ntrain = [-1, 5]", "split 'train' must be"),
        (PLAIN + "[splits]\ntrain = 100", "split 'train' must be"),
        (PLAIN + "[splits]\ntrain = [0, 1.5]", "split 'train' must be"),
        (PLAIN + "#" * 70_000, "is larger than 65536 bytes"),
    ],
)
def test_mistakes_are_told_in_a_sentence(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        described(tmp_path, text)
    assert "model.data.toml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        read_description(tmp_path / "none.toml", found_beside_model=False)
    with pytest.raises(DataError, match="cannot be read"):
        read_description(tmp_path, found_beside_model=False)
    (tmp_path / "d.toml").write_bytes(b"path = '\xff'")
    with pytest.raises(DataError, match="is no valid TOML"):
        read_description(tmp_path / "d.toml", found_beside_model=False)


def test_a_function_is_allowed_only_when_the_user_named_the_description(tmp_path: Path) -> None:
    text = 'path = "my.data:load"\nformat = "function"\n'
    assert described(tmp_path, text).location == "my.data:load"
    with pytest.raises(DataError, match="may not name a function"):
        described(tmp_path, text, beside=True)


def test_no_path_leaves_the_folder_of_the_model(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    (tmp_path / "d.npz").touch()
    (inside / "d.npz").touch()
    (inside / "link.npz").symlink_to(tmp_path / "d.npz")
    (inside / "inner.npz").symlink_to(inside / "d.npz")
    (inside / "up").symlink_to(tmp_path)
    for path in ("../d.npz", str(tmp_path / "d.npz"), "link.npz", "up/d.npz"):
        text = f'path = "{path}"\nformat = "npz"\n'
        assert described(inside, text).root is None
        with pytest.raises(DataError, match="leads out of the folder"):
            described(inside, text, beside=True)
    for path in ("d.npz", "./d.npz", "inner.npz", str(inside / "d.npz"), "../inside/d.npz"):
        assert described(inside, f'path = "{path}"\nformat = "npz"\n', beside=True).root == inside.resolve()


def test_a_description_that_is_a_link_out_is_refused(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    (tmp_path / "elsewhere.toml").write_text(PLAIN)
    (inside / "model.data.toml").symlink_to(tmp_path / "elsewhere.toml")
    with pytest.raises(DataError, match="leads out of the folder"):
        read_description(inside / "model.data.toml", found_beside_model=True)


def test_the_documentation_has_every_key_and_its_examples_are_valid(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "data.md").read_text()
    for word in (*KEYS, *FORMATS, *SPLITS, *LAYOUT_AXES):
        assert f"`{word}`" in page or f"`[{word}]`" in page, word
    examples = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    assert len(examples) == 2
    fashion, cifar = (described(tmp_path, example) for example in examples)
    assert fashion.transform == Transform(scale=1 / 255, mean=(0.286,), std=(0.353,))
    assert cifar.ranges == Ranges((0, 18_000), (18_000, 20_000), (0, 1_000))
