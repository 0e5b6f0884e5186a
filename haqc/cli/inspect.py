"""The command ``haqc inspect``."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from haqc.cli.application import app
from haqc.cli.options import AsJson, Model, Shapes


@app.command("inspect", epilog="Example: haqc inspect model.onnx --shape input_ids=1,128")
def inspect_command(
    model: Model,
    shape: Shapes = None,
    target: Annotated[
        str | None,
        typer.Option("--target", "-t", help="Target to price the model on, at 8/8.", show_default=False),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Shows what haqc sees in a model: inputs, layers, what stays in float and why, and what is in the way."""
    from haqc import console, targets  # noqa: PLC0415
    from haqc.dimensions import read_shape  # noqa: PLC0415
    from haqc.inspectview import inspection  # noqa: PLC0415
    from haqc.survey import survey  # noqa: PLC0415

    chip = targets.load(target) if target is not None else None
    seen = survey(model, dict(read_shape(text) for text in shape or []), chip)
    if as_json:
        typer.echo(json.dumps(seen.to_json()))
    else:
        console.show(inspection(seen))
