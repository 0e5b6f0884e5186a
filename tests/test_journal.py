"""A file of JSON objects, one a line: what was appended stays, however often the file is closed."""

from __future__ import annotations

from pathlib import Path

from haqc.journal import Journal


def test_what_is_appended_after_the_file_was_closed_follows_what_was_there(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "lines")
    journal.append({"a": 1})
    journal.close()
    journal.append({"b": 2})
    journal.close()
    assert Journal(tmp_path / "lines").entries == [{"a": 1}, {"b": 2}]
