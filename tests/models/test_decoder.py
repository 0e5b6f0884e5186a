from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor

from benchmarks.zoo.command import haqc
from benchmarks.zoo.llama import Llama
from models.decoder import Shape, write_decoder

TINY = Shape(depth=2, width=32, hidden=48, heads=4, key_heads=2, vocabulary=50)

NAMES = {
    "words": "embed_tokens",
    "blocks": "layers",
    "norm1": "input_layernorm",
    "norm2": "post_attention_layernorm",
    "attention": "self_attn",
    "query": "q_proj",
    "key": "k_proj",
    "value": "v_proj",
    "output": "o_proj",
    "gate": "mlp.gate_proj",
    "up": "mlp.up_proj",
    "down": "mlp.down_proj",
    "head": "lm_head",
}
"""How parts of the zoo's decoder are called in this one."""


def filled(path: Path, network: Llama) -> None:
    """Writes a network's weights into the external file of a decoder of the same shape."""
    stored = {tensor.name: tensor for tensor in onnx.load(path, load_external_data=False).graph.initializer}
    with path.with_name(f"{path.name}.data").open("r+b") as stream:
        for name, weight in network.named_parameters():
            tensor = stored.pop(".".join(NAMES.get(part, part) for part in name.split(".")))
            value = weight.detach() if weight.ndim == 1 or "words" in name else weight.detach().T
            assert tuple(tensor.dims) == tuple(value.shape)
            stream.seek(int(next(entry.value for entry in tensor.external_data if entry.key == "offset")))
            stream.write(value.contiguous().numpy().tobytes())
    assert [name for name in stored if not name.startswith("const.")] == []


@pytest.mark.parametrize("key_heads", [2, 4], ids=["grouped", "plain"])
def test_it_computes_what_the_zoo_s_decoder_computes(tmp_path: Path, key_heads: int) -> None:
    torch.manual_seed(0)
    network = Llama(TINY.vocabulary, TINY.width, TINY.depth, TINY.heads, key_heads, TINY.hidden).eval()
    path = tmp_path / "decoder.onnx"
    write_decoder(path, Shape(TINY.depth, TINY.width, TINY.hidden, TINY.heads, key_heads, TINY.vocabulary))
    filled(path, network)
    tokens: Tensor = torch.randint(TINY.vocabulary, (2, 7))
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (given,) = session.run(None, {"input_ids": tokens.numpy()})
    with torch.no_grad():
        np.testing.assert_allclose(given, network(tokens).numpy(), rtol=0, atol=2e-6)


@pytest.mark.slow
@pytest.mark.parametrize(("element", "item_bytes"), [("float32", 4), ("float16", 2)])
def test_seven_billion_parameters_are_priced_without_being_read(tmp_path: Path, element: str, item_bytes: int) -> None:
    path = tmp_path / "decoder.onnx"
    write_decoder(path, Shape(element=element))
    model = onnx.load(path, load_external_data=False)
    external = [tensor for tensor in model.graph.initializer if tensor.external_data]
    parameters = sum(math.prod(tensor.dims) for tensor in external)
    assert parameters == 7_241_732_096
    assert path.with_name("decoder.onnx.data").stat().st_size >= parameters * item_bytes
    run = haqc("cost", path, "--target", "edge", "--format", "json", "--shape", "input_ids=1,128")
    assert run.code == 0, run.last_line
    macs = {layer["name"]: layer["macs"] for layer in json.loads(run.output)["layers"]}
    assert macs["layers.31.mlp.down_proj"] == 128 * 14336 * 4096
    assert macs["layers.0.self_attn.scores"] == macs["layers.0.self_attn.mixed"] == 32 * 128 * 128 * 128
    assert run.cpu_s < 60
    assert run.peak_bytes < 2e9
