"""Compares what onnxruntime takes for a mixed-precision file with its own static 8-bit file and with float.

    python -m benchmarks.runtime_latency [--only NAME ...] [--rounds 40] [--out build/runtime_latency]

Networks have random weights, at 224 x 224, one image a run; the policy draws every width from 2 to 8. The static file
is ``quantize_static``'s of the same cleaned graph: QDQ, per channel, unsigned activations, signed weights. One thread,
one process; the three sessions take turns, what counts is processor time, and a ratio is the median over the rounds of
two neighbouring runs, so that what else the machine does hits both alike. Emission is timed too, and the memory that it
takes beside what was there before, as a multiple of the float file.
"""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx_ir as ir
import onnxruntime
import torch
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from benchmarks import markdown
from benchmarks.subjects import BUILT, Subject, drawn, model_file
from haqc import onnxfile
from haqc.passes.emit import emit_qcdq
from haqc.passes.verify import kernels

TITLES = (
    "network",
    "float ms",
    "static 8-bit ms",
    "mixed ms",
    "mixed / static",
    "float / mixed",
    "float / static",
    "layers in float",
    "emitted in s",
    "memory x model",
)
WARM_ROUNDS = 5


@dataclass(frozen=True, slots=True)
class Emitted:
    """An emitted file, and what it took.

    Attributes:
        content: the file.
        model: the model in it.
        cpu_s: processor time of emitting and serialising.
        extra_bytes: the most memory that was taken beside what was there before.
    """

    content: bytes
    model: ir.Model
    cpu_s: float
    extra_bytes: int


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", action="append", choices=BUILT, default=[])
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--out", type=Path, default=Path("build/runtime_latency"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    logging.getLogger().setLevel(logging.ERROR)
    print(f"onnxruntime {onnxruntime.__version__}, {_machine()}\n")
    print(markdown.head(TITLES))
    for name in arguments.only or BUILT:
        print(markdown.row(row(name, arguments.out, arguments.rounds)), flush=True)


def row(name: str, out: Path, rounds: int) -> Sequence[str]:
    """Gives the cells of one network."""
    subject = Subject.of(model_file(name, out), min_bits=2)
    emitted = emit(subject)
    in_float = [layer for layer, kernel in kernels(emitted.model, subject.graph).items() if not kernel.is_integer]
    plain = onnxfile.serialise(subject.model)
    static = out / f"{name}.static.onnx"
    _quantise(plain, static, subject)
    image = drawn(subject.model, 1, seed=3)[0]
    times = interleaved({"float": plain, "static": static.read_bytes(), "mixed": emitted.content}, image, rounds)
    medians = [f"{1e3 * np.median(times[which]):.2f}" for which in ("float", "static", "mixed")]
    pairs = (("mixed", "static"), ("float", "mixed"), ("float", "static"))
    ratios = [f"{np.median(times[one] / times[other]):.3f}" for one, other in pairs]
    memory = f"{emitted.extra_bytes / len(plain):.2f}"
    return name, *medians, *ratios, ", ".join(in_float) or "none", f"{emitted.cpu_s:.2f}", memory


def emit(subject: Subject) -> Emitted:
    """Emits a network at a random policy; Linux alone tells the most memory that was taken."""
    policy = subject.random_policy(0)
    codes = subject.quantised(policy).codes()
    Path("/proc/self/clear_refs").write_text("5")  # the most memory begins again at what is taken now
    before, start = _memory_bytes("VmRSS"), time.process_time()
    model = emit_qcdq(subject.model, policy, codes, {"haqc": "benchmark", "policy": policy.to_json()})
    content = onnxfile.serialise(model)
    spent = time.process_time() - start
    return Emitted(content, model, spent, max(0, _memory_bytes("VmHWM") - before))


def interleaved(files: Mapping[str, bytes], image: np.ndarray, rounds: int) -> dict[str, np.ndarray]:
    """Runs all files in turns and gives processor seconds by file, shape ``[rounds]``."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    sessions = {
        name: onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        for name, content in files.items()
    }
    inputs = {name: {session.get_inputs()[0].name: image} for name, session in sessions.items()}
    times: dict[str, list[float]] = {name: [] for name in files}
    for _ in range(WARM_ROUNDS + rounds):
        for name, session in sessions.items():
            start = time.process_time()
            session.run(None, inputs[name])
            times[name].append(time.process_time() - start)
    return {name: np.array(spent[WARM_ROUNDS:]) for name, spent in times.items()}


class _Samples(CalibrationDataReader):  # type: ignore[misc]
    """Hands normal numbers to onnxruntime's calibration."""

    def __init__(self, subject: Subject) -> None:
        name = str(subject.model.graph.inputs[0].name)
        self._left = [{name: drawn(subject.model, 1, seed=seed)[0]} for seed in (1, 2)]

    def get_next(self) -> dict[str, np.ndarray] | None:
        """Gives the next sample, and then none."""
        return self._left.pop() if self._left else None


def _quantise(plain: bytes, path: Path, subject: Subject) -> None:
    source = path.with_suffix(".float.onnx")
    source.write_bytes(plain)
    quantize_static(
        source, path, _Samples(subject), quant_format=QuantFormat.QDQ, per_channel=True,
        activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
    )  # fmt: skip


def _memory_bytes(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:"))


def _machine() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    title = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
    flags = next((line for line in lines if line.startswith("flags")), "")
    return f"{title}, {'with' if 'avx512_vnni' in flags or 'avx_vnni' in flags else 'without'} VNNI, one thread"


if __name__ == "__main__":
    main()
