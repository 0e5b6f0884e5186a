"""The command ``haqc report``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from haqc.cli.application import app
from haqc.cli.options import AsJson
from haqc.errors import DataError


@app.command("report", epilog="Example: haqc report model.haqc")
def report_command(
    folder: Annotated[Path, typer.Argument(help="Folder of a compile.", show_default=False)], as_json: AsJson = False
) -> None:
    """Prints the report of a compile again."""
    from haqc import console  # noqa: PLC0415
    from haqc.check import read_report  # noqa: PLC0415

    content = read_report(folder)
    if as_json:
        typer.echo(json.dumps(content))
        return
    try:
        shown = console.summary(content, folder)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:  # somebody edited it
        raise DataError(f"'{folder / 'report.json'}' is no report as haqc writes them; compile again") from error
    console.show(shown)
