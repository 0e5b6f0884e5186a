"""Trains a small vision transformer on Fashion-MNIST, compiles it to half its 8-bit energy, and prints what that cost.

``python -m benchmarks.vit FASHION-MNIST-FOLDER [--out build/vit]``. Training takes some minutes of one core and is
left out where its file is there already; a compile that was stopped goes on.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.zoo.command import haqc
from benchmarks.zoo.convolution import conv_norm
from benchmarks.zoo.vit import VisionTransformer
from haqc.data.idx import read_idx

TRAINED_ON = 55_000
"""The rest of the training images is haqc's search split."""

EPOCHS = 8
BATCH = 125
PEAK_RATE = 2e-3
WEIGHT_DECAY = 0.05
MEAN, DEVIATION = 0.2860, 0.3530

DESCRIPTION = f"""\
path = "{{folder}}"
format = "idx"
scale = {1 / 255!r}
mean = {MEAN}
std = {DEVIATION}
"""


def network() -> nn.Module:
    """Gives the network untrained: 49 tokens of width 64, 3 blocks of 4 heads, 0.17 million parameters.

    Its tokens come from two strided convolutions, not from one as wide as its stride; with so few images and epochs
    that is worth a lot (Xiao et al. 2021, arXiv 2106.14881).
    """
    model = VisionTransformer(28, 4, 64, 3, 4, 10, channels=1)
    model.patches = nn.Sequential(conv_norm(1, 32, 3, stride=2), nn.Conv2d(32, 64, 3, 2, 1))
    return model


def prepared(pixels: np.ndarray) -> Tensor:
    """Gives images [count, 1, 28, 28] as the network takes them."""
    return (torch.from_numpy(pixels)[:, None].float() / 255 - MEAN) / DEVIATION


def train(images: Tensor, labels: Tensor, seed: int, epochs: int = EPOCHS) -> nn.Module:
    """Trains with AdamW and one cycle of the rate; half of the images are flipped."""
    torch.manual_seed(seed)
    model = network()
    optimiser = torch.optim.AdamW(model.parameters(), PEAK_RATE, weight_decay=WEIGHT_DECAY)
    steps = len(images) // BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, PEAK_RATE, total_steps=epochs * steps, pct_start=0.15)
    for epoch in range(epochs):
        total = 0.0
        for chosen in torch.randperm(len(images))[: steps * BATCH].reshape(steps, BATCH):
            loss = F.cross_entropy(model(flipped(images[chosen])), labels[chosen], label_smoothing=0.05)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            total += loss.item()
        print(f"epoch {epoch + 1} of {epochs}: loss {total / steps:.3f}", flush=True)
    return model.eval()


def flipped(images: Tensor) -> Tensor:
    """Flips half of the images."""
    return torch.where(torch.rand(len(images), 1, 1, 1) < 0.5, images, images.flip(3))


def accuracy(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Gives the share of images classified correctly, in percent."""
    with torch.no_grad():
        answers = torch.cat([model(part).argmax(1) for part in torch.split(images, 500)])
    return 100 * float((answers == labels).float().mean())


def write(model: nn.Module, path: Path) -> None:
    """Exports the network with a dynamic batch, in one file."""
    example = (torch.zeros(2, 1, 28, 28),)
    torch.onnx.export(
        model, example, path, input_names=["image"], output_names=["logits"], dynamic_shapes=({0: "batch"},),
        external_data=False, verbose=False,
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", type=Path, help="folder of the four IDX files")
    parser.add_argument("--out", type=Path, default=Path("build/vit"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--evaluations", type=int, default=48)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    arguments.out.mkdir(parents=True, exist_ok=True)
    path = arguments.out / "vit.onnx"
    if not path.exists():
        arrays = read_idx(arguments.data)
        labels = torch.from_numpy(arrays["y_train"][:TRAINED_ON]).long()
        model = train(prepared(arrays["x_train"][:TRAINED_ON]), labels, arguments.seed)
        tested = accuracy(model, prepared(arrays["x_test"]), torch.from_numpy(arrays["y_test"]).long())
        print(f"float top-1 of the {len(arrays['x_test']):,} test images: {tested:.2f} %")
        write(model, path)
    description = arguments.out / "fashion-mnist.toml"
    description.write_text(DESCRIPTION.format(folder=arguments.data.resolve()), encoding="utf-8")
    out = arguments.out / "vit.haqc"
    run = haqc(
        "compile", path, "--target", "edge", "--budget", "energy=0.5", "--data", description, "--out", out, "--json",
        "--evaluations", str(arguments.evaluations), "--seed", str(arguments.seed), "--jobs", "1",
        *(["--resume"] if out.exists() else []),
    )  # fmt: skip
    if run.code:
        sys.exit(f"haqc compile ended with {run.code}: {run.last_line}")
    report = json.loads(run.output)
    print(f"compiled in {run.cpu_s:.0f} s of processor time")
    print(json.dumps({key: report[key] for key in ("accuracy", "verification")}, indent=1))


if __name__ == "__main__":
    main()
