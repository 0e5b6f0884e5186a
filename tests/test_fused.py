"""One compiled graph serves every policy, and gives what the mirror gives."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch._inductor.config
from torch._dynamo.utils import counters

from haqc.data.split import Split, Transform
from haqc.device import require_compiler
from haqc.errors import DeviceError, ModelError
from haqc.fused import Fused
from haqc.mirror import from_onnx
from haqc.mirror.node import Registry
from haqc.mirror.quantised import QuantisedMirror
from haqc.train import runs
from tests.command_line import DIGITS, EDGE, CommandLine
from tests.passes.small_graphs import GRAPHS, Prepared, samples

pytest_plugins = ("tests.command_line",)

COUNT = 40
RUN = 32


def _split() -> Split:
    x = np.random.default_rng(0).standard_normal((COUNT, 3, 8, 8)).astype(np.float32)
    return Split((x,), None, (Transform(),))


def _values(parts: object) -> np.ndarray:
    return np.concatenate([value for (value,) in parts])  # type: ignore[attr-defined]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning")
def test_one_graph_serves_all_policies() -> None:
    """Sums in another order move a few values across the border between two codes; all others agree to 1e-5."""
    prepared, split = Prepared.of(GRAPHS["conv_relu"]()), _split()
    mirror = from_onnx(prepared.model)
    fused = Fused(mirror, ("y",), split, RUN)
    counters.clear()
    for seed in range(3):
        policy = prepared.random_policy(seed)
        network = QuantisedMirror(mirror, policy, prepared.calibration)
        found, expected = _values(fused.runs(network)), _values(runs(network, ("y",), split, RUN))
        assert found.shape == expected.shape == (COUNT, 4, 8, 8)
        near = np.isclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
        assert near.mean() > 0.99
    assert counters["stats"]["unique_graphs"] == 1


def test_a_network_that_torch_cannot_compile_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    prepared, build = Prepared.of(GRAPHS["conv_relu"]()), Registry.build

    def lacking(self: Registry, node: object) -> object:
        if getattr(node, "op", "") == "Relu":
            raise node.refuse("has no mirror")  # type: ignore[attr-defined]
        return build(self, node)  # type: ignore[arg-type]

    monkeypatch.setattr(Registry, "build", lacking)
    mirror = from_onnx(prepared.model)
    network = QuantisedMirror(mirror, prepared.random_policy(0), prepared.calibration)
    with pytest.raises(ModelError, match=r"^torch cannot compile the network \(.+\); leave --torch-compile out"):
        list(Fused(mirror, ("y",), _split(), RUN).runs(network))


def test_without_a_compiler_the_option_is_refused() -> None:
    require_compiler("cpu")
    with pytest.raises(DeviceError, match="compiles for the processor alone, and the jobs run on 'cuda'"):
        require_compiler("cuda")
    lacking = torch._inductor.config.patch("cpp.cxx", (None, "no-such-compiler"))
    with lacking, pytest.raises(DeviceError, match=r"needs a C\+\+ compiler, .* leave the option out$"):
        require_compiler("cpu")


@pytest.mark.slow
@pytest.mark.timeout(900)  # the C++ compiler, beside whatever else runs
def test_a_compile_with_the_option(haqc: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker process compiles the graph, and a folder is not resumed without the option it was begun with."""
    cache = tmp_path / "cache"
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(cache))
    arguments = ("compile", DIGITS, *EDGE, "-b", "energy=0.6", "--evaluations", "2", "--finetune", "0")
    arguments = (*arguments, "--allocator", "greedy")
    out = tmp_path / "out"
    done = haqc(*arguments, "--torch-compile", "--jobs", "1", "--reconstruct", "96", "--out", out)
    assert done.code == 0, done
    assert list(cache.rglob("*.so"))
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    assert report["provenance"]["options"]["torch_compile"] is True
    (out / "model.onnx").unlink()
    sentence = haqc(*arguments, "--reconstruct", "96", "--resume", "--out", out).sentence(2)
    assert "torch_compile" in sentence


@pytest.mark.parametrize("name", GRAPHS)
def test_what_is_compiled_gives_what_the_mirror_gives(name: str) -> None:
    """Before torch compiles it: the same steps on the same values, so the same floats."""
    prepared = Prepared.of(GRAPHS[name]())
    mirror = from_onnx(prepared.model)
    split = Split(drawn := samples(prepared.model, COUNT, 3), None, tuple(Transform() for _ in drawn))
    fused = Fused(mirror, mirror.outputs, split, RUN)
    fused._graph = fused._forward
    network = QuantisedMirror(mirror, prepared.random_policy(1), prepared.calibration)
    padded = replace(split, samples_per_run=RUN)
    for found, expected in zip(fused.runs(network), runs(network, mirror.outputs, padded, RUN), strict=True):
        for mine, other in zip(found, expected, strict=True):
            np.testing.assert_array_equal(mine, other)
