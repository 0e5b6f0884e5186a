"""The command ``haqc cost``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from haqc.cli.application import app
from haqc.cli.options import Model, Shapes
from haqc.cli.reading import read_shapes
from haqc.errors import PolicyError, TargetError
from haqc.policy import Bits


@app.command("cost", epilog="Example: haqc cost model.onnx --target cloud --bits 4/8")
def cost_command(
    model: Model,
    target: Annotated[
        str | None,
        typer.Option("--target", "-t", help="Built-in target, or path of a target file (.toml).", show_default=False),
    ] = None,
    compare: Annotated[
        str | None, typer.Option(help="Targets to print side by side: edge,cloud,...", show_default=False)
    ] = None,
    bits: Annotated[str | None, typer.Option(help="Widths of every layer: 8, or W/A.", show_default="8")] = None,
    policy: Annotated[Path | None, typer.Option(help="A policy.json instead of --bits.", show_default=False)] = None,
    batch: Annotated[
        int | None, typer.Option(help="Inferences of one batch.", min=1, show_default="the target's")
    ] = None,
    mode: Annotated[str | None, typer.Option(help="Mode of the cost model.", show_default="the target's first")] = None,
    shape: Shapes = None,
    output: Annotated[str, typer.Option("--format", "-f", help="table, json or csv.")] = "table",
) -> None:
    """Prices a model on a target, layer by layer, without data and without a search."""
    if output not in ("table", "json", "csv"):
        raise PolicyError(f"unknown format '{output}'; allowed are table, json and csv")
    if bits is not None and policy is not None:
        raise PolicyError("give either --bits or --policy, not both")
    if (target is None) == (compare is None):
        raise TargetError("give either --target with one target, or --compare with several; 'haqc targets' lists them")
    widths = Bits.parse(bits or "8")
    from haqc import console, targets  # noqa: PLC0415
    from haqc import policy as policies  # noqa: PLC0415
    from haqc.frontend import pose  # noqa: PLC0415
    from haqc.passes.cost import comparison_csv, cost  # noqa: PLC0415

    chips = [targets.load(name.strip()) for name in (compare.split(",") if compare is not None else [target or ""])]
    _, graph = pose(model, read_shapes(shape))
    if policy is None:
        chosen = [policies.plain_on(graph, chip.precision, widths.weight, widths.activation) for chip in chips]
    else:
        chosen = [policies.read(graph, policy)] * len(chips)
    priced = [cost(graph, chip, one, batch=batch, mode=mode) for chip, one in zip(chips, chosen, strict=True)]
    contents = [report.to_json() for report in priced]
    if output == "json":
        typer.echo(json.dumps(contents if compare is not None else contents[0]))
    elif output == "csv":
        typer.echo(comparison_csv(priced) if compare is not None else priced[0].to_csv(), nl=False)
    else:
        console.show(console.cost_comparison(contents) if compare is not None else console.cost_table(contents[0]))
