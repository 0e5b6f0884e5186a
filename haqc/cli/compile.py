"""The command ``haqc compile``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from haqc.budget import Demand, Goal
from haqc.cli import options
from haqc.cli.application import app
from haqc.cli.asked import Asked, spread
from haqc.cli.resumable import resumable


@app.command("compile", epilog="Example: haqc compile model.onnx --target edge --budget energy=0.5 --data images.npz")
@spread
def compile_command(
    model: options.Model,
    target: options.TargetName,
    budget: options.Budgets = None,
    minimise: Annotated[
        str | None,
        typer.Option(
            help="Cost to make as small as --max-drop allows, instead of a budget of it: energy, latency, size or "
            "memory.",
            show_default=False,
        ),
    ] = None,
    max_drop: Annotated[
        float | None,
        typer.Option(help="Points under the float reference that --minimise may lose.", show_default=False),
    ] = None,
    metric: options.Metric = None,
    out: options.Out = None,
    *,
    asked: Asked,
    quiet: options.Quiet = False,
    as_json: options.AsJson = False,
) -> None:
    """Compiles a model to fit a budget: MODEL in, a folder with a verified mixed-precision file and its report out."""
    demands = tuple(Demand.parse(text) for text in budget or [])
    goal = Goal.parse(minimise, max_drop)
    folder = out if out is not None else Path(f"{model.stem}.haqc")
    request = asked.request(model, target, demands, metric, folder, minimise=goal)
    from haqc import console  # noqa: PLC0415 (--help loads no heavy library)
    from haqc.compiler import compile_model  # noqa: PLC0415

    with resumable(quiet or as_json) as ui:
        compiled = compile_model(request, ui)
    if as_json:
        typer.echo(json.dumps(compiled.report))
    elif not quiet:
        console.show(console.summary(compiled.report, compiled.folder, console.columns()))
