"""The zoo's networks by name: at their published sizes, and small ones of the same make for tests."""

from __future__ import annotations

from functools import partial

from benchmarks.zoo.bert import Bert
from benchmarks.zoo.convnext import ConvNeXt
from benchmarks.zoo.efficientnet import EfficientNet
from benchmarks.zoo.gpt2 import Gpt2
from benchmarks.zoo.llama import Llama
from benchmarks.zoo.lstm import LstmTagger
from benchmarks.zoo.mixer import Mixer
from benchmarks.zoo.mobilenet_v2 import MobileNetV2
from benchmarks.zoo.mobilenet_v3 import MobileNetV3
from benchmarks.zoo.resnet import ResNet
from benchmarks.zoo.specimen import Input, Specimen
from benchmarks.zoo.unet import UNet
from benchmarks.zoo.vit import VisionTransformer
from benchmarks.zoo.yolo import Yolo


def _image(resolution: int) -> tuple[Input]:
    return (Input("image", ("batch", 3, resolution, resolution)),)


def _tokens(vocabulary: int) -> tuple[Input]:
    return (Input("input_ids", ("batch", "length"), "tokens", vocabulary),)


def _masked(vocabulary: int) -> tuple[Input, ...]:
    return (*_tokens(vocabulary), Input("attention_mask", ("batch", "length"), "mask"))


BOXES = ("boxes", "scores")

ZOO: dict[str, Specimen] = {
    "resnet18": Specimen(ResNet, _image(224), scored=True),
    "mobilenet-v2": Specimen(MobileNetV2, _image(224), scored=True),
    "mobilenet-v3": Specimen(MobileNetV3, _image(224), scored=True),
    "efficientnet-b0": Specimen(EfficientNet, _image(224), scored=True),
    "convnext-t": Specimen(ConvNeXt, _image(224), scored=True),
    "unet": Specimen(UNet, _image(256), ("scores",)),
    "vit-s16": Specimen(VisionTransformer, _image(224), scored=True),
    "bert-mini": Specimen(Bert, _masked(30522), ("states",), scored=True),
    "gpt2": Specimen(Gpt2, _tokens(50257)),
    "llama": Specimen(Llama, _tokens(49152)),
    "lstm-tagger": Specimen(LstmTagger, _tokens(20000)),
    "mixer-s16": Specimen(Mixer, _image(224), scored=True),
    "yolo": Specimen(Yolo, _image(640), BOXES),
}
"""Every network at its published size."""

SMALL: dict[str, Specimen] = {
    "resnet18": Specimen(partial(ResNet, (8, 16), 10), _image(32), scored=True),
    "mobilenet-v2": Specimen(
        partial(MobileNetV2, ((1, 8, 1, 1), (2, 12, 2, 2)), 32, 10), _image(32), scored=True
    ),
    "mobilenet-v3": Specimen(
        partial(MobileNetV3, ((3, 16, 16, False, False, 1), (5, 24, 16, True, True, 1)), 32, 10),
        _image(32), scored=True,
    ),
    "efficientnet-b0": Specimen(
        partial(EfficientNet, ((1, 8, 1, 1, 3), (2, 12, 2, 2, 5)), 32, 10), _image(32), scored=True
    ),
    "convnext-t": Specimen(partial(ConvNeXt, (1, 1), (8, 16), 10), _image(32), scored=True),
    "unet": Specimen(partial(UNet, (4, 8, 16)), _image(32), ("scores",)),
    "vit-s16": Specimen(partial(VisionTransformer, 32, 8, 32, 2, 2, 10), _image(32), scored=True),
    "bert-mini": Specimen(partial(Bert, 100, 32, 2, 2, 64, 32), _masked(100), ("states",), scored=True),
    "gpt2": Specimen(partial(Gpt2, 100, 32, 2, 2, 32), _tokens(100)),
    "llama": Specimen(partial(Llama, 100, 32, 2, 4, 2, 64), _tokens(100)),
    "lstm-tagger": Specimen(partial(LstmTagger, 100, 16, 24, 2, 5), _tokens(100)),
    "mixer-s16": Specimen(partial(Mixer, 32, 8, 32, 2, 16, 64, 10), _image(32), scored=True),
    "yolo": Specimen(partial(Yolo, 4, 1, 3, 4), _image(64), BOXES),
}  # fmt: skip
"""The same networks, narrow and shallow."""
