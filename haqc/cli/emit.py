"""The command ``haqc emit``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from haqc.budget import Demand
from haqc.cli import options
from haqc.cli.application import app
from haqc.cli.reading import read_formats, read_shapes
from haqc.cli.resumable import resumable

_ANY = "size=1"
"""A budget that every policy holds: no more than 8/8 takes."""


@app.command("emit", epilog="Example: haqc emit retrained.onnx --policy model.haqc/policy.json --format qonnx")
def emit_command(
    model: options.Model,
    policy: Annotated[Path, typer.Option("--policy", "-p", help="policy.json of a compile.", show_default=False)],
    formats: options.Formats = None,
    opset: options.Opset = None,
    data: options.Data = None,
    metric: options.Metric = None,
    shape: options.Shapes = None,
    out: options.Out = None,
    target: Annotated[
        str, typer.Option("--target", "-t", help="Target that the report prices the policy on; it changes no file.")
    ] = "edge",
    mode: options.Mode = None,
    seed: options.Seed = 0,
    jobs: options.Jobs = None,
    device: options.Device = "cpu",
    finetune: options.Finetune = None,
    final_finetune: options.FinalFinetune = None,
    reconstruct: options.Reconstruct = None,
    label_share: options.LabelShare = None,
    equalise: options.Equalise = False,
    keep_float: options.KeepFloat = None,
    resume: options.Resume = False,
    force: options.Force = False,
    quiet: options.Quiet = False,
    as_json: options.AsJson = False,
) -> None:
    """Applies a saved policy to the same model or a retrained one, without a search: calibrated, tuned, verified."""
    from haqc import console  # noqa: PLC0415 (--help loads no heavy library)
    from haqc.request import Request  # noqa: PLC0415
    from haqc.saved import emit_saved  # noqa: PLC0415

    request = Request(
        model=model,
        target=target,
        demands=(Demand.parse(_ANY),),
        out=out if out is not None else Path(f"{model.stem}.haqc"),
        data=data,
        metric=metric,
        shapes=read_shapes(shape),
        mode=mode,
        seed=seed,
        jobs=jobs,
        device=device,
        finetune=finetune,
        final_finetune=final_finetune,
        reconstruct=reconstruct,
        label_share=label_share,
        evaluations=1,
        allocators=(),
        min_bits=1,
        default_pins=False,
        keep_float=tuple(keep_float or ()),
        equalise=equalise,
        formats=read_formats(formats),
        opset=opset,
        resume=resume,
        force=force,
    )
    with resumable(quiet or as_json) as ui:
        emitted = emit_saved(request, policy, ui)
    if as_json:
        typer.echo(json.dumps(emitted.report))
    elif not quiet:
        console.show(console.summary(emitted.report, emitted.folder))
