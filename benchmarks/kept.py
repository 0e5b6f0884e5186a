"""What a long measurement found, one file for each part of it, so that a run that is killed goes on where it was."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any


def kept(file: Path, measure: Callable[[], Any]) -> Any:
    """Gives the content of a JSON file; where it is missing, measures it first."""
    if not file.is_file():
        keep(file, measure())
    return json.loads(file.read_text(encoding="utf-8"))


def keep(file: Path, content: Any) -> None:
    """Writes a JSON file in one step."""
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(".part")
    part.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    part.replace(file)
