"""Real English text out of what is installed: the documentation of Python, of its library and of packages."""

from __future__ import annotations

import ast
import re
import sysconfig
from collections.abc import Iterator, Sequence
from email.message import Message
from importlib import metadata, resources
from pathlib import Path
from pydoc_data import topics
from typing import cast

SENTENCES = 2
"""Sentences of one passage."""

LEFT_OUT = frozenset({"site-packages", "dist-packages", "test", "tests", "idlelib", "lib2to3", "encodings"})
"""Folders inside the standard library or a package that are no part of it, or hold hardly any prose."""

_PROSE = re.compile(r"[A-Z][^|<>{}=]*[.?!]")
"""A paragraph of prose: no table, no markup, no code, and it ends where a sentence ends."""

_SENTENCE_END = re.compile(r"(?<=[a-z)][.?!]) (?=[A-Z])")


def documents(libraries: Sequence[str] = ("stdlib", "purelib")) -> list[tuple[str, ...]]:
    """Gives the passages of every document; no passage stands in two documents.

    Documents are topics of the Python reference, what modules of the standard library and of packages say of
    themselves, descriptions of scikit-learn's data, and packages' descriptions, in the order of their names. What is
    installed decides what there is.

    Args:
        libraries: whose modules are read, by the names that :mod:`sysconfig` has for their folders.
    """
    seen: set[str] = set()
    found = []
    for _, text in sorted(_texts(libraries)):
        passages = [passage for passage in _passages(text) if passage not in seen]
        if passages:
            seen.update(passages)
            found.append(tuple(dict.fromkeys(passages)))
    return found


def _texts(libraries: Sequence[str]) -> Iterator[tuple[str, str]]:
    for topic, text in topics.topics.items():
        yield f"python {topic}", text
    for name in libraries:
        library = Path(sysconfig.get_path(name))
        for path in library.rglob("*.py"):
            place = path.relative_to(library)
            if LEFT_OUT.isdisjoint(place.parts):
                yield f"module {place.as_posix()}", _docstrings(path.read_text(encoding="utf-8", errors="replace"))
    for file in resources.files("sklearn.datasets.descr").iterdir():
        if file.name.endswith(".rst"):
            yield f"scikit-learn {file.name}", file.read_text(encoding="utf-8")
    for distribution in metadata.distributions():
        yield f"package {distribution.name.lower()}", str(cast(Message, distribution.metadata).get_payload() or "")


def _docstrings(source: str) -> str:
    try:
        nodes = ast.walk(ast.parse(source)) if '"""' in source else ()
    except SyntaxError:  # a template, or Python of another version
        nodes = ()
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return "\n\n".join(ast.get_docstring(node) or "" for node in nodes if isinstance(node, kinds))


def _passages(text: str) -> Iterator[str]:
    for block in re.split(r"\n\s*\n", text):
        paragraph = re.sub(r"[*_`]|\[\d+\]", "", " ".join(block.split()))
        if _PROSE.fullmatch(paragraph) and len(paragraph.split()) >= 12 and "http" not in paragraph:
            sentences = _SENTENCE_END.split(paragraph)
            for start in range(0, len(sentences), SENTENCES):
                passage = " ".join(sentences[start : start + SENTENCES])
                if len(passage.split()) >= 6:
                    yield passage
