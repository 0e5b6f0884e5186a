"""The command ``haqc sweep``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from haqc.budget import Demand, known_metric
from haqc.cli import options
from haqc.cli.application import app
from haqc.cli.asked import Asked, spread
from haqc.cli.resumable import resumable
from haqc.sweeping import Sweep


@app.command("sweep", epilog="Example: haqc sweep model.onnx --target edge --metric energy --points 8")
@spread
def sweep_command(
    model: options.Model,
    target: options.TargetName,
    metric: Annotated[
        str, typer.Option(help="Cost that the points are budgets of: energy, latency, size or memory.")
    ] = "energy",
    points: Annotated[
        int, typer.Option(help="Budgets, evenly spaced from the least that can be reached to 8/8.", min=2, max=100)
    ] = 8,
    at: Annotated[
        list[float] | None,
        typer.Option(help="A budget as a share of 8/8, instead of --points; repeat it.", show_default=False),
    ] = None,
    budget: options.Budgets = None,
    quality: options.Metric = None,
    out: Annotated[
        Path | None, typer.Option(help="Output folder.", show_default="STEM.front", callback=options.a_folder)
    ] = None,
    *,
    asked: Asked,
    quiet: options.Quiet = False,
    as_json: options.AsJson = False,
) -> None:
    """Compiles a model to several budgets by one search: the front of accuracy over cost, a verified file at each."""
    sweep = Sweep(known_metric(metric), points, tuple(at or ()))
    demands = tuple(Demand.parse(text) for text in budget or [])
    folder = out if out is not None else Path(f"{model.stem}.front")
    request = asked.request(model, target, demands, quality, folder, sweep=sweep)
    from haqc import console  # noqa: PLC0415 (--help loads no heavy library)
    from haqc.sweeper import sweep_model  # noqa: PLC0415

    with resumable(quiet or as_json) as ui:
        swept = sweep_model(request, ui)
    if as_json:
        typer.echo(json.dumps(swept.front))
    elif not quiet:
        console.show(console.front_table(swept.front, swept.folder))
