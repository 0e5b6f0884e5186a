"""A part-of-speech tagger of bidirectional LSTMs (Huang et al. 2015, arXiv 1508.01991, without its CRF)."""

from __future__ import annotations

from torch import Tensor, nn


class LstmTagger(nn.Module):
    """Token ids to the logits of each token's tag."""

    def __init__(
        self, vocabulary: int = 20000, width: int = 128, hidden: int = 256, depth: int = 2, tags: int = 17
    ) -> None:
        super().__init__()
        self.words = nn.Embedding(vocabulary, width)
        self.lstm = nn.LSTM(width, hidden, depth, batch_first=True, bidirectional=True)
        self.head = nn.Linear(2 * hidden, tags)

    def forward(self, input_ids: Tensor) -> Tensor:
        """Maps token ids [batch, tokens] to logits [batch, tokens, tags]."""
        states, _ = self.lstm(self.words(input_ids))
        logits: Tensor = self.head(states)
        return logits
