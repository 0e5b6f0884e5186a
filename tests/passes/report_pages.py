"""Reports to look at: a real one of ResNet-8, one of 150 layers, one whose names would break a careless page.

``report_resnet8.json`` was written by ``haqc compile resnet8.onnx --data cifar10.npz --target edge --budget energy=0.5
--budget latency=0.6 --evaluations 20 --finetune 0 --reconstruct 64``.
"""

from __future__ import annotations

import copy
import json
import random
from pathlib import Path
from typing import Any

Report = dict[str, Any]

HOSTILE = (
    "<img src=x onerror=alert(1)>",
    "\"'><script>alert(1)</script>",
    "\N{GRINNING FACE} שלום مرحبا",
    "a" * 300,
    "{{7*7}} ${x} {a|b} {b} \\u0041",
    "=cmd()|'/c calc'!A1",
    "\u202egnp.exe \x1b[2J\x00",
    "深度可分离卷积/第一层/卷积/权重量化",
    "",
)


def resnet8() -> Report:
    """Gives the report of ResNet-8 on ``edge``."""
    content: Report = json.loads(Path(__file__).with_name("report_resnet8.json").read_text(encoding="utf-8"))
    return content


def deep() -> Report:
    """Gives a report of 150 layers and 400 trials, with every field that a layer can have."""
    content, chance = resnet8(), random.Random(0)
    rows = content["layers"][1:9]
    layers = []
    for number in range(150):
        layer = copy.deepcopy(chance.choice(rows))
        layer |= {
            "name": f"/features/block{number // 3}/conv{number % 3}/Conv",
            "kind": "depthwise" if number % 3 == 1 else "conv",
            "weight_bits": chance.randint(2, 8),
            "activation_bits": chance.randint(2, 8),
            "output_error": round(chance.uniform(0, 0.2), 5),
            "energy_parts_j": layer["energy_parts_j"] | {"on_chip": chance.uniform(0, 1e-5), "leakage": 1e-6},
        }
        layers.append(layer)
    trial = content["trials"][-1]
    content["trials"] += [
        trial
        | {
            "allocator": chance.choice(["greedy", "random", "ddpg"]),
            "accuracy": chance.uniform(60, 79),
            "cost": {name: value * chance.uniform(0.8, 1) for name, value in trial["cost"].items()},
        }
        for _ in range(400 - len(content["trials"]))
    ]
    for entry in content["trials"]:
        entry["bits"] = [f"{chance.randint(2, 8)}/{chance.randint(2, 8)}" for _ in layers]
    content["model"] |= {"name": "deep", "layers": len(layers)}
    content["layers"] = layers
    return content


def hostile() -> Report:
    """Gives a report of 30 layers in which every name that comes from a file would steer a careless page."""
    content = deep()
    content["layers"] = content["layers"][:30]
    for number, layer in enumerate(content["layers"]):
        layer["name"] = HOSTILE[number % len(HOSTILE)]
        layer["reason"] = HOSTILE[(number + 1) % len(HOSTILE)]
        for other in layer.get("alternatives", ()):
            other["reason"] = HOSTILE[(number + 2) % len(HOSTILE)]
    for entry in content["trials"]:
        entry["bits"] = entry["bits"][:30]
    content["model"] |= {"name": HOSTILE[1], "file": HOSTILE[0], "layers": 30}
    content["target"] |= {"name": HOSTILE[2], "title": HOSTILE[3], "sources": {HOSTILE[0]: HOSTILE[1]}}
    content["accuracy"]["data"] = HOSTILE[4]
    for number, entry in enumerate(content["verification"]["consumers"]):
        entry["first_difference"] = HOSTILE[number]
        entry["worst"] = {"tensor": HOSTILE[3], "share": 0.001}
    return content
