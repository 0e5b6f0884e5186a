"""Functions of the user's are found in the current folder and their mistakes are told in one sentence."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from haqc.data.function import call_function
from haqc.errors import DataError
from haqc.userfunction import is_function

CODE = """
import numpy as np
from pathlib import Path
number = 3
def good(): return {"x": np.arange(4), "y": np.zeros(4, int)}
def raises(): raise KeyError("where")
def needs(argument): return {}
def lists(): return {"x": [1, 2]}
def tuples(): return np.zeros(3), np.zeros(3)
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    name = "haqc_test_of_functions"
    (tmp_path / f"{name}.py").write_text(CODE)
    (tmp_path / f"{name}_broken.py").write_text("import no_such_package_at_all\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    for loaded in (name, f"{name}_broken"):
        monkeypatch.delitem(sys.modules, loaded, raising=False)
    return name


def test_what_looks_like_a_function() -> None:
    assert is_function("data:load")
    assert is_function("my_pkg.data:load")
    for text in ("data.npz", "C:\\data", "a:b:c", "a/b:c", "data:", ":load", "a..b:c", "a:b.c", "1a:b"):
        assert not is_function(text)


def test_a_function_in_the_current_folder_is_called(module: str) -> None:
    before = list(sys.path)
    members = call_function(f"{module}:good")
    np.testing.assert_array_equal(members["x"], np.arange(4))
    assert sys.path == before


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("raises", "raised KeyError: 'where'"),
        ("needs", "raised TypeError"),
        ("lists", "returned list under 'x'; return numpy arrays"),
        ("tuples", "returned tuple; return a dict"),
        ("god", r"has no function 'god' \(did you mean 'good'\?\)"),
        ("number", "has no function 'number'"),
    ],
)
def test_mistakes_are_told(module: str, name: str, message: str) -> None:
    before = list(sys.path)
    with pytest.raises(DataError, match=message):
        call_function(f"{module}:{name}")
    assert sys.path == before


def test_modules_that_cannot_be_imported(module: str) -> None:
    with pytest.raises(DataError, match="cannot import haqc_no_such_module"):
        call_function("haqc_no_such_module:load")
    with pytest.raises(DataError, match="ModuleNotFoundError: No module named 'no_such_package_at_all'"):
        call_function(f"{module}_broken:load")
    with pytest.raises(DataError, match="is no function"):
        call_function("data.npz")
