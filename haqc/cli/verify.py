"""The command ``haqc verify``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from haqc.cli.application import app
from haqc.cli.options import AsJson, Data, Metric, Quiet, Shapes
from haqc.cli.reading import read_shapes
from haqc.terminal import terminal


@app.command("verify", epilog="Example: haqc verify model.haqc")
def verify_command(
    path: Annotated[Path, typer.Argument(help="Folder of a compile, or an emitted file.", show_default=False)],
    data: Data = None,
    metric: Metric = None,
    shape: Shapes = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Runs an emitted file in onnxruntime and compares it with what the mirror computed when it was compiled."""
    from haqc import console  # noqa: PLC0415
    from haqc.check import check_folder_or_file  # noqa: PLC0415

    with terminal(quiet or as_json) as ui:
        result = check_folder_or_file(path, data, ui, read_shapes(shape), metric)
    if as_json:
        typer.echo(json.dumps(result))
    elif not quiet:
        console.show(console.verification(result))
