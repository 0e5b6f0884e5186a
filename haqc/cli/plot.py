"""The command ``haqc plot``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from haqc.cli.application import app
from haqc.cli.options import STANDARD_OUTPUT
from haqc.errors import DataError, OutputError

Kind = Annotated[
    Literal["policy", "roofline", "front", "cost"],
    typer.Option(help="Bits of each layer, the roofline, score and cost of all trials, or cost of each layer."),
]
Out = Annotated[
    str | None,
    typer.Option(
        help="File to write: .svg, .png or .pdf; - prints an SVG on standard output.", show_default="KIND.svg"
    ),
]


@app.command("plot", epilog="Example: haqc plot model.haqc --kind roofline --out roofline.pdf")
def plot_command(
    folder: Annotated[Path, typer.Argument(help="Folder of a compile.", show_default=False)],
    kind: Kind = "policy",
    out: Out = None,
) -> None:
    """Draws a figure of a compile for papers and slides."""
    from haqc.check import read_report  # noqa: PLC0415
    from haqc.figures import FORMATS, draw  # noqa: PLC0415

    path = Path(out or f"{kind}.svg")
    file_format = "svg" if out == STANDARD_OUTPUT else path.suffix.lower().removeprefix(".")
    if file_format not in FORMATS:
        raise OutputError(f"'{path}' names no format that figures have; let it end with .{', .'.join(FORMATS)}")
    content = read_report(folder)
    try:
        picture = draw(content, kind, file_format)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:  # somebody edited it
        raise DataError(f"'{folder / 'report.json'}' is no report as haqc writes them; compile again") from error
    if out == STANDARD_OUTPUT:
        typer.echo(picture, nl=False)
        return
    try:
        path.write_bytes(picture)
    except OSError as error:
        raise OutputError(f"'{path}' cannot be written ({error.strerror}); name another file with --out") from error
