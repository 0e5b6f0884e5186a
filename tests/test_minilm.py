from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from benchmarks.zoo.bert import Bert
from benchmarks.zoo.minilm import SentenceEncoder, read_safetensors


def safetensors(tensors: dict[str, Tensor]) -> bytes:
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    body = b""
    for name, tensor in tensors.items():
        data = tensor.numpy().tobytes()
        kind = {torch.float32: "F32", torch.int64: "I64"}[tensor.dtype]
        offsets = [len(body), len(body) + len(data)]
        header[name] = {"dtype": kind, "shape": list(tensor.shape), "data_offsets": offsets}
        body += data
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + body


def test_weights_are_read_as_they_were_stored(tmp_path: Path) -> None:
    stored = {"a.weight": torch.arange(6.0).reshape(2, 3), "ids": torch.arange(4), "b.bias": torch.tensor([-1.5])}
    (tmp_path / "model.safetensors").write_bytes(safetensors(stored))
    found = read_safetensors(tmp_path / "model.safetensors")
    assert list(found) == ["a.weight", "b.bias"]
    assert all(torch.equal(found[name], stored[name]) for name in found)


@pytest.mark.parametrize("filled", [0, 3])
def test_an_embedding_does_not_depend_on_what_fills_the_sentence_up(filled: int) -> None:
    torch.manual_seed(0)
    network = SentenceEncoder(Bert(100, 32, 2, 2, 64, 32)).eval()
    tokens = torch.randint(100, (1, 5))
    longer = torch.cat([tokens, torch.zeros(1, filled, dtype=torch.int64)], 1)
    with torch.no_grad():
        short = network(tokens, torch.ones_like(tokens))
        long = network(longer, (torch.arange(5 + filled) < 5).long()[None])
    torch.testing.assert_close(long, short, rtol=0, atol=1e-6)
    torch.testing.assert_close(short.norm(dim=1), torch.ones(1), rtol=0, atol=1e-6)
