"""The command ``haqc sweep``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from haqc.budget import Demand, known_metric
from haqc.cli import options
from haqc.cli.application import app
from haqc.cli.reading import read_allocators, read_formats, read_shapes, read_widths
from haqc.cli.resumable import resumable
from haqc.sweeping import Sweep


@app.command("sweep", epilog="Example: haqc sweep model.onnx --target edge --metric energy --points 8")
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
    data: options.Data = None,
    quality: options.Metric = None,
    shape: options.Shapes = None,
    out: Annotated[
        Path | None, typer.Option(help="Output folder.", show_default="STEM.front", callback=options.a_folder)
    ] = None,
    mode: options.Mode = None,
    seed: options.Seed = 0,
    jobs: options.Jobs = None,
    device: options.Device = "cpu",
    torch_compile: options.TorchCompile = False,
    finetune: options.Finetune = None,
    final_finetune: options.FinalFinetune = None,
    reconstruct: options.Reconstruct = None,
    label_share: options.LabelShare = None,
    evaluations: Annotated[
        int, typer.Option(help="Policies that each allocator may have evaluated, shared out among the points.", min=1)
    ] = 48,
    seconds: options.Seconds = None,
    allocator: options.Allocators = None,
    agent: options.Agent = "ddpg",
    agent_from: options.AgentFrom = None,
    weights: options.Weights = "linear",
    quantizer: options.Quantizer = "lsq",
    ranges: options.Ranges = None,
    equalise: options.Equalise = False,
    min_bits: options.MinBits = 2,
    pin: options.Pins = None,
    default_pins: options.DefaultPins = True,
    formats: options.Formats = None,
    opset: options.Opset = None,
    at_least: options.AtLeast = None,
    same_bits: options.SameBits = None,
    keep_float: options.KeepFloat = None,
    resume: options.Resume = False,
    force: options.Force = False,
    quiet: options.Quiet = False,
    as_json: options.AsJson = False,
) -> None:
    """Compiles a model to several budgets by one search: the front of accuracy over cost, a verified file at each."""
    sweep = Sweep(known_metric(metric), points, tuple(at or ()))
    demands = tuple(Demand.parse(text) for text in budget or [])
    pins = read_widths(pin, "pin")
    floors = read_widths(at_least, "--at-least")
    from haqc import console  # noqa: PLC0415 (--help loads no heavy library)
    from haqc.request import Request  # noqa: PLC0415
    from haqc.sweeper import sweep_model  # noqa: PLC0415

    request = Request(
        model=model,
        target=target,
        demands=demands,
        sweep=sweep,
        out=out if out is not None else Path(f"{model.stem}.front"),
        data=data,
        metric=quality,
        shapes=read_shapes(shape),
        mode=mode,
        seed=seed,
        jobs=jobs,
        device=device,
        torch_compile=torch_compile,
        finetune=finetune,
        final_finetune=final_finetune,
        reconstruct=reconstruct,
        label_share=label_share,
        evaluations=evaluations,
        seconds=seconds,
        allocators=read_allocators(allocator, agent),
        agent_from=agent_from,
        min_bits=min_bits,
        pins=pins,
        default_pins=default_pins,
        at_least=floors,
        same_bits=tuple(same_bits or ()),
        keep_float=tuple(keep_float or ()),
        weights=weights,
        quantiser=quantizer,
        ranges=ranges,
        equalise=equalise,
        formats=read_formats(formats),
        opset=opset,
        resume=resume,
        force=force,
    )
    with resumable(quiet or as_json) as ui:
        swept = sweep_model(request, ui)
    if as_json:
        typer.echo(json.dumps(swept.front))
    elif not quiet:
        console.show(console.front_table(swept.front, swept.folder))
