"""The command ``haqc report``."""

from __future__ import annotations

import json
import webbrowser
from pathlib import Path
from typing import Annotated, Any

import typer

from haqc.cli.application import app
from haqc.cli.options import AsJson
from haqc.errors import DataError, OutputError

Compare = Annotated[
    Path | None, typer.Option(help="Folder of another compile to put beside this one.", show_default=False)
]
Open = Annotated[bool, typer.Option("--open", help="Open report.html in the browser instead.")]


@app.command("report", epilog="Example: haqc report model.haqc")
def report_command(
    folder: Annotated[Path, typer.Argument(help="Folder of a compile, or of a sweep.", show_default=False)],
    compare: Compare = None,
    is_opened: Open = False,
    as_json: AsJson = False,
) -> None:
    """Prints the report of a compile again, or two side by side, or opens its page; of a sweep, its front."""
    from haqc import console  # noqa: PLC0415
    from haqc.check import is_swept, read_report  # noqa: PLC0415

    if (compare is not None) + is_opened + as_json > 1:
        raise DataError("--compare, --open and --json each show a report in a way of its own; give one of them")
    if is_swept(folder) and compare is None and not is_opened:
        _front(folder, as_json)
        return
    content = read_report(folder)
    if as_json:
        typer.echo(json.dumps(content))
        return
    if is_opened:
        _open(folder / "report.html")
        return
    try:
        if compare is None:
            shown = console.summary(content, folder, console.columns())
        else:
            shown = _beside(folder, content, compare, read_report(compare))
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:  # somebody edited it
        listed = f"'{folder / 'report.json'}'" + (f" or '{compare / 'report.json'}'" if compare is not None else "")
        raise DataError(f"{listed} is no report as haqc writes them; compile again") from error
    console.show(shown)


def _front(folder: Path, as_json: bool) -> None:
    """Prints the front of a sweep again."""
    from haqc import console  # noqa: PLC0415
    from haqc.check import read_front  # noqa: PLC0415

    content = read_front(folder)
    if as_json:
        typer.echo(json.dumps(content))
        return
    try:
        shown = console.front_table(content, folder)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:  # somebody edited it
        raise DataError(f"'{folder / 'front.json'}' is no front as haqc writes them; sweep again") from error
    console.show(shown)


def _beside(folder: Path, content: dict[str, Any], other: Path, second: dict[str, Any]) -> Any:
    from haqc import console  # noqa: PLC0415

    return console.comparison(content, second, (str(folder), str(other)), console.columns())


def _open(page: Path) -> None:
    if not page.is_file():
        raise DataError(f"'{page}' is missing; compile again with --force")
    if not webbrowser.open(page.resolve().as_uri()):
        raise OutputError(f"there is no browser to open '{page}' with; open the file by hand")
