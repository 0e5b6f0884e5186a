"""Trains an autoencoder and a segmentation network for a minute, and compiles them with the metrics made for them.

    python -m benchmarks.judged [--out build/judged] [--only auc]

The pictures are Fashion-MNIST's. The autoencoder learns trainers; ankle boots and sandals are the anomalies. The
segmentation network tells background, tops, trousers, shoes and bags pixel by pixel; pixels that are neither dark nor
bright do not count. Prints one line per compile, as Markdown, measured on pictures of the test set: what the original
float network reaches, the fine-tuned one, the mirror and the emitted file, the difference from the better float network
with its paired standard error, and the seconds of the processor.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.networks import SHARED
from benchmarks.zoo.command import haqc
from benchmarks.zoo.unet import UNet
from haqc.data.idx import read_idx

BATCH = 50
USUAL, ODD = (7,), (5, 9)
KINDS = np.array([1, 2, 1, 1, 1, 3, 1, 3, 4, 3], np.uint8)
"""Tops, trousers, shoes and bags, by class of Fashion-MNIST; 0 is the background."""

DARK, BRIGHT, IGNORED = 10, 50, 255


class Autoencoder(nn.Module):
    """Two convolutions down to 32 numbers, and the way back."""

    def __init__(self) -> None:
        super().__init__()
        self.encode = nn.Sequential(
            nn.Conv2d(1, 12, 3, 2, 1), nn.ReLU(), nn.Conv2d(12, 24, 3, 2, 1), nn.ReLU(), nn.Flatten(),
            nn.Linear(24 * 49, 32), nn.ReLU(),
        )  # fmt: skip
        self.spread = nn.Sequential(nn.Linear(32, 24 * 49), nn.ReLU())
        self.decode = nn.Sequential(
            nn.ConvTranspose2d(24, 12, 2, 2), nn.ReLU(), nn.Conv2d(12, 12, 3, 1, 1), nn.ReLU(),
            nn.ConvTranspose2d(12, 1, 2, 2),
        )  # fmt: skip

    def forward(self, image: Tensor) -> Tensor:
        """Maps images [batch, 1, 28, 28] to what they should look like."""
        made: Tensor = self.decode(self.spread(self.encode(image)).reshape(-1, 24, 7, 7))
        return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, default=SHARED / "fashion-mnist", help="folder of the four IDX files")
    parser.add_argument("--out", type=Path, default=Path("build/judged"))
    parser.add_argument("--only", choices=("mse", "auc", "miou"), action="append")
    parser.add_argument("--evaluations", type=int, default=8)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    arguments.out.mkdir(parents=True, exist_ok=True)
    arrays = read_idx(arguments.data)
    cases = {"mse": trainers, "auc": anomalies, "miou": kinds}
    print("| metric | images | float | fine-tuned | mirror | emitted | difference | paired s.e. | s |")
    print("|---|---|---|---|---|---|---|---|---|")
    for metric, prepare in cases.items():
        if arguments.only is None or metric in arguments.only:
            model, data = prepare(arrays, arguments.out)
            print(row(metric, model, data, arguments.out / f"{metric}.haqc", arguments.evaluations), flush=True)


def trainers(arrays: dict[str, np.ndarray], out: Path) -> tuple[Path, Path]:
    """Gives the autoencoder, and trainers alone to judge it on."""
    train, test = (chosen(arrays, part, USUAL) for part in ("train", "test"))
    return autoencoder(scaled(train), out), saved(out / "trainers.npz", x_train=scaled(train), x_test=scaled(test))


def anomalies(arrays: dict[str, np.ndarray], out: Path) -> tuple[Path, Path]:
    """Gives the same autoencoder, and trainers among other shoes: in training, search and test alike."""
    usual = chosen(arrays, "train", USUAL)
    members: dict[str, np.ndarray] = {}
    for part, count in (("train", 2000), ("test", 1000)):
        x = np.concatenate([chosen(arrays, part, USUAL)[:count], chosen(arrays, part, ODD)[: count // 2]])
        y = np.repeat([0, 1], [len(x) - count // 2, count // 2])
        order = np.random.default_rng(0).permutation(len(x))
        members |= {f"x_{part}": scaled(x[order]), f"y_{part}": y[order]}
    return autoencoder(scaled(usual), out), saved(out / "shoes.npz", **members)


def kinds(arrays: dict[str, np.ndarray], out: Path) -> tuple[Path, Path]:
    """Gives the segmentation network, pictures in a frame of 32 x 32 pixels, and their masks."""
    members: dict[str, np.ndarray] = {}
    for part, count in (("train", 4000), ("test", 1000)):
        x = np.pad(arrays[f"x_{part}"][:count], ((0, 0), (2, 2), (2, 2)))
        mask = np.where(x < DARK, 0, KINDS[arrays[f"y_{part}"][:count], None, None])
        mask = np.where((x >= DARK) & (x < BRIGHT), IGNORED, mask).astype(np.uint8)
        members |= {f"x_{part}": scaled(x).repeat(3, axis=1), f"y_{part}": mask}
    data, path = saved(out / "kinds.npz", **members), out / "unet.onnx"
    if not path.exists():
        targets = torch.from_numpy(members["y_train"]).long()
        network = UNet((8, 16, 32), classes=5)
        fit(network, torch.from_numpy(members["x_train"]), 2, lambda given, found, index: cross(found, targets[index]))
        write(network, torch.zeros(2, 3, 32, 32), path)
    return path, data


def autoencoder(images: np.ndarray, out: Path) -> Path:
    """Gives the trained autoencoder's file."""
    path = out / "autoencoder.onnx"
    if not path.exists():
        network = Autoencoder()
        fit(network, torch.from_numpy(images), 6, lambda given, found, index: F.mse_loss(found, given))
        write(network, torch.zeros(2, 1, 28, 28), path)
    return path


def fit(network: nn.Module, images: Tensor, epochs: int, loss_of: Callable[[Tensor, Tensor, Tensor], Tensor]) -> None:
    """Trains a network with Adam, and leaves it in evaluation mode."""
    torch.manual_seed(0)
    for parameter in network.parameters():
        if parameter.ndim > 1:
            nn.init.kaiming_normal_(parameter)
    optimiser = torch.optim.Adam(network.parameters(), 2e-3)
    for _ in range(epochs):
        for index in torch.split(torch.randperm(len(images)), BATCH):
            loss = loss_of(images[index], network(images[index]), index)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
    network.eval()


def cross(found: Tensor, targets: Tensor) -> Tensor:
    """Gives the cross-entropy of the pixels that count."""
    return F.cross_entropy(found, targets, ignore_index=IGNORED)


def row(metric: str, model: Path, data: Path, out: Path, evaluations: int) -> str:
    """Compiles, and gives the line of the table."""
    run = haqc(
        "compile", model, "-t", "edge", "-b", "energy=0.5", "--data", data, "--metric", metric, "--out", out, "--json",
        "--evaluations", str(evaluations), "--finetune", "200", "--final-finetune", "4000", "--jobs", "1",
        *(["--resume"] if out.exists() else []),
    )  # fmt: skip
    if run.code:
        sys.exit(f"haqc compile ended with {run.code}: {run.last_line}")
    block = json.loads(run.output)["accuracy"]
    names = ("float", "float_finetuned", "mirror", "emitted", "difference", "paired_standard_error")
    figures = " | ".join("-" if block[name] is None else f"{block[name]:.4g}" for name in names)
    return f"| {metric} | {block['count']:,} | {figures} | {run.cpu_s:.0f} |"


def chosen(arrays: dict[str, np.ndarray], part: str, classes: tuple[int, ...]) -> np.ndarray:
    """Gives the pictures of some classes, in their order."""
    pictures: np.ndarray = arrays[f"x_{part}"][np.isin(arrays[f"y_{part}"], classes)]
    return pictures


def scaled(pictures: np.ndarray) -> np.ndarray:
    """Gives pictures [N, H, W] of bytes as [N, 1, H, W] from 0 to 1."""
    return (pictures[:, None] / np.float32(255)).astype(np.float32)


def saved(path: Path, **members: np.ndarray) -> Path:
    """Writes an archive, and gives its path."""
    np.savez(path, **members)  # type: ignore[arg-type]
    return path


def write(network: nn.Module, image: Tensor, path: Path) -> None:
    """Exports a network with a dynamic batch, in one file."""
    logging.getLogger("torch.onnx._internal.exporter._registration").setLevel(logging.ERROR)  # names what is not here
    torch.onnx.export(
        network, (image,), path, input_names=["image"], output_names=["output"], dynamic_shapes=({0: "batch"},),
        external_data=False, verbose=False,
    )  # fmt: skip


if __name__ == "__main__":
    main()
