"""Which formats are written, under which names."""

from __future__ import annotations

import pytest

from haqc.errors import PolicyError
from haqc.formats import CHOICES, MAIN_FILE, beside_files, model_file, settled


def test_the_first_that_onnxruntime_runs_is_the_main_one() -> None:
    assert settled([]) == ("qcdq",)
    assert settled(["qcdq"]) == ("qcdq",)
    assert settled([], is_codebook=True) == ("codebook",)


def test_codebooks_are_one_format() -> None:
    with pytest.raises(PolicyError, match="leave --format out, or --weights kmeans"):
        settled(["qcdq"], is_codebook=True)


def test_no_file_of_a_format_has_the_name_of_the_main_one() -> None:
    assert MAIN_FILE not in beside_files()
    assert {model_file(name, is_main=False) for name in CHOICES} <= {*beside_files()}
    assert {model_file(name, is_main=True) for name in CHOICES} == {MAIN_FILE}
