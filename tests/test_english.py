from __future__ import annotations

import pytest

from benchmarks.english import SENTENCES, documents

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def passages() -> list[str]:
    return [passage for texts in documents(["stdlib"]) for passage in texts]


def test_no_passage_stands_in_two_documents(passages: list[str]) -> None:
    assert len(passages) == len(set(passages))
    assert len(passages) > 3_000


def test_passages_are_prose(passages: list[str]) -> None:
    for passage in passages:
        assert len(passage.split()) >= 6
        assert not set("|<>{}=*_`") & set(passage)
        assert passage[-1] in ".?!"


def test_passages_are_sentences_as_they_stand_in_the_documentation(passages: list[str]) -> None:
    assert "Deletion of a target list recursively deletes each target, from left to right." in passages
    assert "Define names for built-in types that aren't directly accessible as a builtin." in passages
    assert SENTENCES == 2
