"""Targets: one TOML file per chip beside this loader, and files of the user's own.

Every number in a target file carries its unit in its key, and every table a ``source`` line.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

from haqc.errors import TargetError, nearest
from haqc.target import Target
from haqc.targets.kinds import DESCRIPTIONS
from haqc.targets.lines import locate
from haqc.targets.mistakes import Mistake, in_hardware, read_description

__all__ = ["check", "load", "names"]

MAX_FILE_BYTES = 2**20
"""Target files are a few kilobytes; a larger one is something else."""


def names() -> tuple[str, ...]:
    """Gives the names of the built-in targets, sorted."""
    return tuple(sorted(path.stem for path in _folder().glob("*.toml")))


def load(name_or_path: str) -> Target:
    """Loads a built-in target by name, or a target file by path.

    Raises:
        TargetError: no such target, or a mistake in the file; with several, the message names the first and their
            number, and :func:`check` gives all.

    >>> load("cloud").batch
    16
    """
    path = _find(name_or_path)
    result = _read(path)
    if isinstance(result, Target):
        return result
    more = f" (and {len(result) - 1} more, which 'haqc targets check {path}' lists)" if len(result) > 1 else ""
    raise TargetError(f"target file '{path}': {result[0]}{more}")


def check(path: str | Path) -> list[str]:
    """Gives every mistake of a target file, one sentence each with its line; an empty list when it is fine.

    Raises:
        TargetError: there is no such file.
    """
    result = _read(_find(str(path)))
    return [] if isinstance(result, Target) else result


def _folder() -> Path:
    return Path(__file__).parent


def _find(name_or_path: str) -> Path:
    if name_or_path in names():
        return _folder() / f"{name_or_path}.toml"
    path = Path(name_or_path)
    if path.suffix != ".toml":
        raise TargetError(
            f"unknown target '{name_or_path}'{nearest(name_or_path, names())}; "
            f"built in are {', '.join(names())}, or give a path to a .toml file"
        )
    if not path.is_file():
        raise TargetError(
            f"target file '{path}' does not exist or is no regular file{nearest(path.stem, names())}; "
            f"built in are {', '.join(names())}, or give a path to a .toml file"
        )
    return path


def _read(path: Path) -> Target | list[str]:
    """Reads a target file; gives its mistakes when there are any."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
        if len(content) > MAX_FILE_BYTES:
            return [f"is over {MAX_FILE_BYTES // 2**20} MiB, which no target file is; give the path of a target file"]
        result = _parse(content.decode(), path)
    except OSError as error:
        return [f"cannot be read ({error.strerror}); check its permissions"]
    except RecursionError:
        return ["is nested too deeply to be a target; copy a built-in target and change its numbers"]
    except UnicodeDecodeError as error:
        return [f"is no TOML text ({error}); mend it there, or copy a built-in target and change its numbers"]
    return [str(mistake) for mistake in result] if isinstance(result, list) else result


def _parse(text: str, path: Path) -> Target | list[Mistake]:
    """Reads the text of a target file; where it is no TOML, what can be read of it is checked all the same."""
    text = text.replace("\r\n", "\n")
    found = locate(text)
    mistakes = [Mistake(line, sentence) for line, sentence in found.mistakes]
    try:
        content = tomllib.loads(text)
    except ValueError as error:
        content = found.content
        mistakes = mistakes or [Mistake(1, f"is no TOML text ({error}); mend it there")]
    description = read_description(content, DESCRIPTIONS, found)
    if isinstance(description, list):
        return sorted([*mistakes, *description], key=lambda mistake: (bool(mistake.missing), mistake.line))
    if mistakes:
        return mistakes
    try:
        return description.target(path.stem, text, path.parent)
    except TargetError as error:
        return [in_hardware(str(error), found)]
