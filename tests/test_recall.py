"""A bounded memory: what was not used for longest goes first, and nothing is kept beyond the limit."""

from __future__ import annotations

import torch

from haqc.recall import Recall


def test_it_gives_what_was_put() -> None:
    recall, tensor = Recall(100), torch.zeros(4)
    assert recall.get("a") is None
    recall.put("a", tensor)
    assert recall.get("a") is tensor
    recall.put("a", torch.ones(4))
    assert recall.get("a") is tensor
    assert recall.size_bytes == 16


def test_what_was_not_used_for_longest_goes_first() -> None:
    recall = Recall(40)
    for key in "ab":
        recall.put(key, torch.zeros(4))
    recall.get("a")
    recall.put("c", torch.zeros(4))
    assert [recall.get(key) is None for key in "abc"] == [False, True, False]
    assert recall.size_bytes == 32


def test_it_never_holds_more_than_its_limit() -> None:
    recall = Recall(40)
    recall.put("large", torch.zeros(11))
    assert recall.get("large") is None
    for key in range(20):
        recall.put(key, torch.zeros(key % 5 + 1))
        assert recall.size_bytes <= 40
