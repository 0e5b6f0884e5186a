"""The command ``python -m models.digits``: trains the small example network on handwritten digits and writes it.

Needs scikit-learn, which ships the digits. Everything is seeded: one machine always writes the same bytes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor, nn
from torch.nn import functional

from models.export import export

SPLIT_SEED = 20181121
TEST_SHARE = 0.3
SCALE = 0.0625
"""From the stored pixels, 0 to 16, to the network's input, 0 to 1; exact in float32."""

EPOCHS = 80
BATCH = 64
LEARNING_RATE = 4e-3
WEIGHT_DECAY = 1e-2

DESCRIPTION = f"""\
# Scikit-learn's handwritten digits, as digits.onnx was trained on them.
format = "npz"
path = "digits.npz"
scale = {SCALE}
"""


@dataclass(frozen=True, slots=True)
class Digits:
    """The data: images uint8 [n, 1, 8, 8] in 0..16 and labels int64 [n]."""

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray


class InvertedResidual(nn.Module):
    """Expands, filters each channel, projects linearly (Sandler et al. 2018); adds its input where shapes allow."""

    def __init__(self, inputs: int, hidden: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.expand = _convolution(inputs, hidden, 1)
        self.depthwise = _convolution(hidden, hidden, 3, stride=stride, groups=hidden)
        self.project = _convolution(hidden, outputs, 1)
        self.adds = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """Maps [n, inputs, h, w] to [n, outputs, h / stride, w / stride]."""
        y = functional.relu(self.expand(x))
        y = functional.relu(self.depthwise(y))
        projected: Tensor = self.project(y)
        return x + projected if self.adds else projected


class DigitNetwork(nn.Module):
    """A MobileNet-V2 in small: 15 layers for images of 8 x 8 pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = _convolution(1, 16, 3)
        self.block1 = InvertedResidual(16, 32, 24, stride=1)
        self.block2 = InvertedResidual(24, 72, 32, stride=2)
        self.block3 = InvertedResidual(32, 96, 32, stride=1)
        self.block4 = InvertedResidual(32, 96, 32, stride=1)
        self.last = _convolution(32, 96, 1)
        self.classifier = nn.Linear(96, 10)

    def forward(self, image: Tensor) -> Tensor:
        """Maps images [n, 1, 8, 8] in 0..1 to logits [n, 10]."""
        x = functional.relu(self.stem(image))
        x = self.block4(self.block3(self.block2(self.block1(x))))
        x = functional.relu(self.last(x)).mean((2, 3))
        logits: Tensor = self.classifier(x)
        return logits


def split() -> Digits:
    """Gives the digits, 70 % to train and 30 % to test, shuffled and stratified by a constant."""
    pixels, labels = load_digits(return_X_y=True)
    images = pixels.reshape(-1, 1, 8, 8).astype(np.uint8)
    x_train, x_test, y_train, y_test = train_test_split(
        images, labels.astype(np.int64), test_size=TEST_SHARE, random_state=SPLIT_SEED, stratify=labels
    )
    return Digits(x_train, y_train, x_test, y_test)


def train(digits: Digits, seed: int) -> DigitNetwork:
    """Trains the network for a fixed number of epochs on randomly moved images; the test split is not read."""
    torch.manual_seed(seed)
    network = DigitNetwork()
    images = torch.from_numpy(digits.x_train).float() * SCALE
    labels = torch.from_numpy(digits.y_train)
    optimiser = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    batches = len(labels) // BATCH
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, EPOCHS * batches)
    for _ in range(EPOCHS):
        # The last, smaller batch of an epoch is left out: its statistics would be noisier than the others'.
        for index in torch.randperm(len(labels))[: batches * BATCH].reshape(batches, BATCH):
            loss = functional.cross_entropy(network(_moved(images[index])), labels[index])
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            optimiser.step()
            schedule.step()
    return network.eval()


def accuracy(network: DigitNetwork, images: np.ndarray, labels: np.ndarray) -> float:
    """Gives the share of images that are classified correctly, in percent."""
    with torch.no_grad():
        logits = network(torch.from_numpy(images).float() * SCALE)
    return float((logits.argmax(1).numpy() == labels).mean()) * 100


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command: writes digits.onnx, digits.npz and digits.data.toml."""
    parser = argparse.ArgumentParser(
        prog="python -m models.digits", description="Trains and writes the example network for handwritten digits."
    )
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="folder to write to (default models/)")
    parser.add_argument("--seed", type=int, default=0, help="seed of weights and training (default 0)")
    given = parser.parse_args(arguments)
    given.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    digits = split()
    network = train(digits, given.seed)
    model = export(network, torch.zeros(2, 1, 8, 8))
    (given.out / "digits.onnx").write_bytes(model.SerializeToString(deterministic=True))
    np.savez_compressed(
        given.out / "digits.npz",
        x_train=digits.x_train,
        y_train=digits.y_train,
        x_test=digits.x_test,
        y_test=digits.y_test,
    )
    (given.out / "digits.data.toml").write_text(DESCRIPTION, encoding="utf-8")
    correct = accuracy(network, digits.x_test, digits.y_test)
    print(f"wrote digits.onnx, digits.npz and digits.data.toml; {correct:.2f} % of the test images are right")
    return 0


def _convolution(inputs: int, outputs: int, kernel: int, *, stride: int = 1, groups: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs))


def _moved(images: Tensor) -> Tensor:
    """Turns, scales and shifts each image of a batch by a little: about 0.1 rad, 10 % and half a pixel."""
    count = len(images)
    angle, zoom = 0.1 * torch.randn(count), 1 + 0.1 * torch.randn(count)
    shift = torch.randn(count, 2) / images.shape[-1]
    cosine, sine = zoom * angle.cos(), zoom * angle.sin()
    rows = (torch.stack((cosine, -sine, shift[:, 0]), 1), torch.stack((sine, cosine, shift[:, 1]), 1))
    grid = functional.affine_grid(torch.stack(rows, 1), list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, align_corners=False)


if __name__ == "__main__":
    sys.exit(main())
