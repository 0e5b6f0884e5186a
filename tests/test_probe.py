"""Probes come back from a file as they were, and nothing else passes for one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from haqc import memory
from haqc.errors import DataError
from haqc.probe import PART_SAMPLES, Probe, parts


@pytest.fixture
def probe() -> Probe:
    random = np.random.default_rng(0)
    codes = {name: random.integers(0, 16, shape).astype(np.uint8) for name, shape in NAMES.items()}
    near_tie = {name: random.random(shape) < 0.3 for name, shape in NAMES.items()}
    inputs = {"in/put": random.standard_normal((5, 3)).astype(np.float32), "ids": np.arange(5)}
    return Probe(inputs, codes, near_tie, {"y": random.standard_normal((5, 2)).astype(np.float32)})


NAMES = {"../../etc/x": (5, 3), "ünï code": (5, 7, 3), "": (5, 1)}
"""Names of tensors come from strangers and are no paths; sizes are not multiples of eight."""


def _groups(probe: Probe) -> dict[str, dict[str, np.ndarray]]:
    return {group: dict(getattr(probe, group)) for group in ("inputs", "codes", "near_tie", "outputs")}


def _same(first: Probe, second: Probe) -> None:
    for group, arrays in _groups(first).items():
        others = _groups(second)[group]
        assert list(arrays) == list(others)
        for name, array in arrays.items():
            assert array.dtype == others[name].dtype
            np.testing.assert_array_equal(array, others[name])


def test_a_probe_comes_back_from_its_file(probe: Probe, tmp_path: Path) -> None:
    probe.save(tmp_path / "probe.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["probe.npz"]
    loaded = Probe.load(tmp_path / "probe.npz")
    _same(probe, loaded)
    assert len(loaded) == 5


def test_equal_probes_give_equal_bytes(probe: Probe, tmp_path: Path) -> None:
    for name in ("a.npz", "b.npz"):
        probe.save(tmp_path / name)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_probes_are_joined_in_order(probe: Probe) -> None:
    joined = Probe.join([probe, probe])
    assert len(joined) == 10
    np.testing.assert_array_equal(joined.codes["ünï code"][5:], probe.codes["ünï code"])
    _same(Probe.join([probe]), probe)


@pytest.mark.parametrize("count", range(1, 70))
def test_parts_are_equal_and_small(count: int) -> None:
    number = parts(count)
    assert count % number == 0
    assert count // number <= PART_SAMPLES
    assert not any(count % fewer == 0 and count // fewer <= PART_SAMPLES for fewer in range(1, number))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"probe.npz' is missing; verify the model file alone, or compile again"):
        Probe.load(tmp_path / "probe.npz")


def _spoil(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    with np.load(path, allow_pickle=False) as file:
        members: dict[str, Any] = dict(file)
    change(members)
    np.savez(path, **members)


def _rename_tie(members: dict[str, Any]) -> None:
    names = json.loads(members["names"].tobytes())
    names["near_tie"][0] = "stranger"
    members["names"] = np.frombuffer(json.dumps(names).encode(), np.uint8)


SPOILED: dict[str, Callable[[dict[str, Any]], object]] = {
    "no names": lambda members: members.pop("names"),
    "names are no JSON": lambda members: members.update(names=np.zeros(3, np.uint8)),
    "names are a list": lambda members: members.update(names=np.frombuffer(b"[1]", np.uint8)),
    "no codes": lambda members: members.pop("codes.1"),
    "codes of another type": lambda members: members.update({"codes.0": members["codes.0"].astype(np.float64)}),
    "codes of another shape": lambda members: members.update({"codes.0": np.zeros((5, 9), np.uint8)}),
    "tie of a stranger": _rename_tie,
    "too few ties": lambda members: members.update({"near_tie.1": members["near_tie.1"][:2]}),
    "ties of another type": lambda members: members.update({"near_tie.1": members["near_tie.1"].astype(np.int64)}),
    "pickles": lambda members: members.update({"outputs.0": np.array([{}], object)}),
}


@pytest.mark.parametrize("what", SPOILED)
def test_a_spoiled_file_is_refused(probe: Probe, tmp_path: Path, what: str) -> None:
    path = tmp_path / "probe.npz"
    probe.save(path)
    _spoil(path, SPOILED[what])
    with pytest.raises(DataError, match=r"probe.npz' is not a probe written by haqc; compile again"):
        Probe.load(path)


def test_no_size_is_believed(probe: Probe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "probe.npz"
    probe.save(path)
    _spoil(path, lambda members: members.update({"outputs.0": np.zeros(1 << 20, np.uint8)}))
    Probe.load(path)
    monkeypatch.setattr(memory, "LIMIT_BYTES", 1 << 19)
    with pytest.raises(DataError, match="is not a probe written by haqc"):
        Probe.load(path)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"not a zip at all"])
def test_a_file_of_another_kind_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "probe.npz"
    path.write_bytes(content)
    with pytest.raises(DataError, match="is not a probe written by haqc"):
        Probe.load(path)


def test_a_cut_file_is_refused(probe: Probe, tmp_path: Path) -> None:
    path = tmp_path / "probe.npz"
    probe.save(path)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(DataError, match="is not a probe written by haqc"):
        Probe.load(path)
