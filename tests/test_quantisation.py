"""How widths become codes, as a policy file says it: there and back, and what is no such thing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from haqc.budget import Demand
from haqc.errors import PolicyError
from haqc.quantisation import Quantisation
from haqc.request import Request

REQUEST = Request(Path("m.onnx"), "edge", (Demand.parse("size=1"),), Path("out"), min_bits=1)
ODD = Quantisation("linear", "haq", None, True, ("stem", "block1.*"))


def saved(path: Path, **content: Any) -> Path:
    (path / "p.json").write_text(json.dumps({"schema": 2, **content}), encoding="utf-8")
    return path / "p.json"


@pytest.mark.parametrize("one", [Quantisation(), ODD, Quantisation("kmeans"), Quantisation(ranges="kl")])
def test_it_comes_back_the_same(one: Quantisation, tmp_path: Path) -> None:
    read = Quantisation.read(saved(tmp_path, quantisation=one.to_json()))
    assert read == one
    assert Quantisation.of(read.asked(REQUEST)) == one


def test_older_files_say_nothing(tmp_path: Path) -> None:
    assert Quantisation.read(saved(tmp_path, schema=1)) == Quantisation()
    assert Quantisation.read(saved(tmp_path)).asked(REQUEST) == REQUEST


def test_what_is_asked_besides_is_added() -> None:
    mine = Request(REQUEST.model, "edge", REQUEST.demands, REQUEST.out, keep_float=("stem", "last"), equalise=True)
    assert ODD.asked(mine).keep_float == ("stem", "block1.*", "last")
    assert Quantisation().asked(mine).equalise
    assert ODD.asked(REQUEST).min_bits == 2  # its quantiser has no grid of 1 bit


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ([], r"has quantisation \[\]"),
        ({"weights": "cubic"}, "has weights 'cubic'"),
        ({"quantizer": None}, "has quantizer None"),
        ({"ranges": ["kl"]}, r"has ranges \['kl'\]"),
        ({"equalise": 1}, "has equalise 1"),
        ({"keep_float": "stem"}, "has keep_float 'stem'"),
        ({"keep_float": [1]}, r"has keep_float \[1\]"),
    ],
)
def test_what_haqc_did_not_write_is_refused(content: Any, words: str, tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match=f"p.json' {words}, which no version of haqc wrote; compile again"):
        Quantisation.read(saved(tmp_path, quantisation=content))
