"""Small networks of every kind of the zoo, through both of torch's exporters."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.exports import COMPILED_LENGTH, SIZES, mirror_error
from benchmarks.zoo.catalogue import SMALL, ZOO
from benchmarks.zoo.exporters import EXPORTERS, Exporter, export
from haqc import targets
from haqc.frontend import pose
from haqc.passes.cost import cost
from haqc.policy import plain_on

QUICK = (("resnet18", "script"), ("bert-mini", "script"), ("llama", "script"))

PARAMETERS = {
    "resnet18": 11_689_512,
    "mobilenet-v2": 3_504_872,
    "mobilenet-v3": 5_483_032,
    "efficientnet-b0": 5_288_548,
    "convnext-t": 28_589_128,
    "gpt2": 124_439_808,
    "vit-s16": 22_050_664,
    "yolo": 3_157_184,
}
"""As torchvision, timm and the papers' own code count them; of the detector, 16 constants are no parameters here."""

CASES = [
    pytest.param(name, exporter, marks=() if (name, exporter) in QUICK else pytest.mark.slow, id=f"{name}-{exporter}")
    for name in SMALL
    for exporter in EXPORTERS
]


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.mark.parametrize(("name", "exporter"), CASES)
def test_an_export_is_priced_and_mirrored(name: str, exporter: Exporter, tmp_path: Path) -> None:
    specimen, path = SMALL[name], tmp_path / f"{name}.onnx"
    export(specimen, exporter, path)
    sizes = {"batch": 1, "length": COMPILED_LENGTH}
    shapes = {
        each.name: tuple(extent if isinstance(extent, int) else sizes[extent] for extent in each.shape)
        for each in specimen.inputs
    }
    _, graph = pose(path, shapes)
    chip = targets.load("edge")
    report = cost(graph, chip, plain_on(graph, chip.precision, 8, 8))
    assert sum(layer.macs for layer in graph.layers) == macs(name)
    assert report.total.energy_j > 0
    assert max(mirror_error(specimen, path, one) for one in SIZES) < 1e-5


def macs(name: str) -> int:
    """Multiply-accumulates of one sample, counted by torch while the network runs; its LSTMs' by their weights."""
    specimen = SMALL[name]
    network = specimen.network()
    inputs = specimen.sample(0, batch=1, length=COMPILED_LENGTH)
    # Torch does not count what its fused kernels do.
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter, torch.no_grad():
        network(*inputs)
    recurrent = [each for each in network.modules() if isinstance(each, torch.nn.LSTM)]
    weights = sum(value.numel() for lstm in recurrent for name, value in lstm.named_parameters() if "weight" in name)
    return counter.get_total_flops() // 2 + COMPILED_LENGTH * weights


@pytest.mark.slow
@pytest.mark.parametrize("name", PARAMETERS)
def test_a_network_has_its_published_size(name: str) -> None:
    with torch.device("meta"):
        network = ZOO[name].build()
    assert sum(parameter.numel() for parameter in network.parameters()) == PARAMETERS[name]
