"""The transformer of the table: the vision transformer of :mod:`benchmarks.vit`, trained for three epochs only."""

from __future__ import annotations

from pathlib import Path

import torch

from benchmarks.networks import SHARED, Network
from benchmarks.vit import DESCRIPTION, TRAINED_ON, prepared, train, write
from haqc.data.idx import read_idx

EPOCHS = 3


def transformer(out: Path) -> Network:
    """Gives the network and its data; it is trained where its file is not there."""
    model, source = out / "vit.onnx", SHARED / "fashion-mnist"
    if not model.is_file():
        arrays = read_idx(source)
        labels = torch.from_numpy(arrays["y_train"][:TRAINED_ON]).long()
        write(train(prepared(arrays["x_train"][:TRAINED_ON]), labels, 0, EPOCHS), model)
    description = out / "vit.toml"
    description.write_text(DESCRIPTION.format(folder=source), encoding="utf-8")
    return Network("vit", model, description)
