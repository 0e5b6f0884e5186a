from __future__ import annotations

from benchmarks.english import SENTENCES, documents


def test_no_passage_stands_in_two_documents() -> None:
    passages = [passage for texts in documents() for passage in texts]
    assert len(passages) == len(set(passages))
    assert len(passages) > 500


def test_passages_are_prose() -> None:
    for texts in documents():
        for passage in texts:
            assert len(passage.split()) >= 6
            assert not set("|<>{}=*_`") & set(passage)
            assert passage[-1] in ".?!"


def test_passages_are_sentences_as_they_stand_in_the_documentation() -> None:
    passages = [passage for texts in documents() for passage in texts]
    assert "Deletion of a target list recursively deletes each target, from left to right." in passages
    assert SENTENCES == 2
