"""Starts a target file of one's own from another."""

from __future__ import annotations

from pathlib import Path

from haqc import targets
from haqc.errors import OutputError, TargetError
from haqc.targets.lines import statements

_NO_SUPPORT = """[grades]
latency = "estimate"
energy = "estimate"
source = "nothing yet: say here what supports the figures, then grade them"
"""


def started(source: str) -> str:
    """Gives the text of a copy of a target; its grades are ``estimate``, for they spoke of the original.

    Args:
        source: a built-in target, or the path of a target file.

    Raises:
        TargetError: there is no such target, or it is wrong.
    """
    original = targets.load(source)
    begin = f"# Started from the target '{original.name}': change the numbers, and each source with them.\n"
    return begin + _without_grades(original.text)


def start(source: str, path: Path) -> None:
    """Writes a copy of a target, as :func:`started` gives it, to a new file.

    Args:
        source: a built-in target, or the path of a target file.
        path: the new file.

    Raises:
        TargetError: there is no such target, or it is wrong; or the new file's name does not end in ``.toml``.
        OutputError: the new file is there already, or cannot be written.
    """
    if path.suffix != ".toml":
        raise TargetError(f"'{path}' does not end in .toml, as target files do; name the new file '{path}.toml'")
    text = started(source)
    try:
        with path.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except FileExistsError:
        raise OutputError(f"'{path}' is there already, and nothing is overwritten; name a new file") from None
    except OSError as error:
        message = f"'{path}' cannot be written ({error.strerror}); name a file in a folder that exists"
        raise OutputError(message) from error


def _without_grades(text: str) -> str:
    """Replaces the table of grades; all other lines stay as they are."""
    headers = [(one.line, one.text.strip()) for one in statements(text) if one.text.lstrip().startswith("[")]
    first = next(line for line, header in headers if header.startswith("[grades]"))
    after = next((line for line, _ in headers if line > first), None)
    lines = text.splitlines(keepends=True)
    kept = [] if after is None else ["\n", *lines[after - 1 :]]
    return "".join([*lines[: first - 1], _NO_SUPPORT, *kept])
