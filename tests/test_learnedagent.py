"""An agent that learnt elsewhere: read without trust, and named where it cannot be used."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from haqc.ddpg import Agent
from haqc.errors import DataError
from haqc.folder import OutputFolder
from haqc.learnedagent import LARGEST_BYTES, LearnedAgent
from haqc.passes.search import SearchOptions
from haqc.passes.search.state import STATE_SIZE

if TYPE_CHECKING:
    from tests.command_line import CommandLine, Compiled

pytest_plugins = ["tests.command_line"]

Weights = dict[str, np.ndarray]


@pytest.fixture
def weights() -> Weights:
    return dict(Agent(STATE_SIZE, 6, 8, SearchOptions().networks, 3).state())


@pytest.fixture
def folder(tmp_path: Path) -> OutputFolder:
    made = OutputFolder(tmp_path / "other.haqc")
    made.take(resume=False)
    return made


def test_what_is_kept_is_read(folder: OutputFolder, weights: Weights) -> None:
    folder.save_agent(weights)
    read = LearnedAgent.read(folder.path)
    assert read.weights.keys() == weights.keys()
    assert all(np.array_equal(read.weights[name], values) for name, values in weights.items())
    before = read.digest
    folder.save_agent(dict(reversed(weights.items())))
    assert LearnedAgent.read(folder.path).digest == before
    folder.save_agent(weights | {"actor.action.bias": weights["actor.action.bias"] + 1})
    assert LearnedAgent.read(folder.path).digest != before


def test_a_folder_without_an_agent_is_named(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "missing"):
        with pytest.raises(DataError, match=r"holds no agent \(\.state/agent\.npz is missing\); name the folder of"):
            LearnedAgent.read(place)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda w: {k: v for k, v in w.items() if k != "critic.value.bias"}, "has nothing for 'critic.value.bias'"),
        (
            lambda w: w | {"actor.third": np.zeros(3, np.float32)},
            r"has \[3\] of float32 for 'actor.third' where .* nothing",
        ),
        (lambda w: w | {"actor.action.bias": np.zeros(2, np.float32)}, r"has \[2\] of float32 for 'actor.action.bias'"),
        (lambda w: w | {"actor.action.bias": np.zeros(1)}, r"has \[1\] of float64 for 'actor.action.bias'"),
        (lambda w: w | {"actor.action.bias": np.array([np.nan], np.float32)}, "no finite numbers"),
        (lambda w: w | {"actor.action.bias": np.array([{}], object)}, "holds object; store real numbers"),
    ],
    ids=["missing", "unknown", "shape", "type", "nan", "pickle"],
)
def test_another_agent_is_refused(
    folder: OutputFolder, weights: Weights, change: Callable[[Weights], Weights], said: str
) -> None:
    np.savez(folder.state / "agent.npz", **change(weights))  # type: ignore[arg-type]
    with pytest.raises(DataError, match=said):
        LearnedAgent.read(folder.path)


def test_a_damaged_file_is_refused(folder: OutputFolder, weights: Weights) -> None:
    folder.save_agent(weights)
    file = folder.state / "agent.npz"
    file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(DataError, match=r"agent\.npz.* cannot be read as \.npz"):
        LearnedAgent.read(folder.path)


def test_no_size_is_believed(folder: OutputFolder) -> None:
    with (folder.state / "agent.npz").open("wb") as stream:
        stream.truncate(LARGEST_BYTES + 1)
    with pytest.raises(DataError, match="is larger than 16 MiB, so it is no agent"):
        LearnedAgent.read(folder.path)
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (1 << 40,)})
    with zipfile.ZipFile(folder.state / "agent.npz", "w") as archive:
        archive.writestr("actor.action.bias.npy", header.getvalue())
    with pytest.raises(DataError, match=r"states shape \[1099511627776\]"):
        LearnedAgent.read(folder.path)


def test_what_does_not_fit_is_said_before_anything_is_done(
    haqc: CommandLine, jobs: Any, compiled: Compiled, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    sentence = haqc.compile_digits(out, "--agent-from", tmp_path).sentence(2)
    assert sentence.startswith(f"'{tmp_path}' holds no agent")
    for others in (("--agent", "haq"), ("--allocator", "integer")):
        sentence = haqc.compile_digits(out, "--agent-from", compiled.folder, *others).sentence(2)
        assert "is where the allocator 'ddpg' starts, and only" in sentence
    assert not out.exists()
    assert jobs.done == []


@pytest.mark.slow
def test_a_compile_starts_from_the_agent_of_another(
    haqc: CommandLine, jobs: Any, compiled: Compiled, tmp_path: Path
) -> None:
    few = "--target", "cloud", "--finetune", "0", "--reconstruct", "0", "--allocator", "ddpg"

    def searched(out: Path, *options: str | Path) -> bytes:
        outcome = haqc.compile_digits(out, *few, *options, budget="latency=0.6")
        assert outcome.code == 0, outcome.err
        return (out / "search.jsonl").read_bytes().partition(b"\n")[2]

    kept = compiled.folder / ".state" / "agent.npz"
    assert kept.is_file()
    before = kept.read_bytes()
    learned = searched(tmp_path / "learned", "--agent-from", compiled.folder)
    assert learned != searched(tmp_path / "new")
    assert learned == searched(tmp_path / "again", "--agent-from", compiled.folder)
    assert kept.read_bytes() == before
    assert (tmp_path / "learned" / ".state" / "agent.npz").read_bytes() != before
    sentence = haqc.compile_digits(tmp_path / "learned", *few, "--resume", budget="latency=0.6").sentence(2)
    assert "because digests.agent changed" in sentence
