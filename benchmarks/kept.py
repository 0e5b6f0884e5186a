"""What a long measurement found, one file for each part of it, so that a run that is killed goes on where it was."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any


def kept(file: Path, measure: Callable[[], Any]) -> Any:
    """Gives the content of a JSON file; where it is missing, measures it first and writes it in one step."""
    if not file.is_file():
        found = measure()
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(".part")
        part.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        part.replace(file)
    return json.loads(file.read_text(encoding="utf-8"))
