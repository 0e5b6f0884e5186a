"""The command ``haqc annotations``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from haqc.cli.application import app
from haqc.cli.options import AsJson


@app.command("annotations", epilog="Example: haqc annotations model.haqc/model.onnx")
def annotations_command(
    file: Annotated[Path, typer.Argument(help="A file that haqc wrote.", show_default=False)],
    as_json: AsJson = False,
) -> None:
    """Reads what an emitted file says of itself: policy, target, cost and provenance."""
    from haqc import console  # noqa: PLC0415 (--help loads no heavy library)
    from haqc.annotations import read_annotations  # noqa: PLC0415
    from haqc.annotationsview import annotations_summary  # noqa: PLC0415

    content = read_annotations(file)
    if as_json:
        typer.echo(json.dumps(content))
    else:
        console.show(annotations_summary(content, file.name))
