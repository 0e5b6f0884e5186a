"""The command ``haqc compile``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from haqc.budget import Demand, Goal
from haqc.cli import options
from haqc.cli.application import app
from haqc.cli.reading import read_allocators, read_formats, read_shapes, read_widths
from haqc.cli.resumable import resumable


@app.command("compile", epilog="Example: haqc compile model.onnx --target edge --budget energy=0.5 --data images.npz")
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
    data: options.Data = None,
    metric: options.Metric = None,
    shape: options.Shapes = None,
    out: options.Out = None,
    mode: options.Mode = None,
    seed: options.Seed = 0,
    jobs: options.Jobs = None,
    device: options.Device = "cpu",
    torch_compile: options.TorchCompile = False,
    finetune: options.Finetune = None,
    final_finetune: options.FinalFinetune = None,
    reconstruct: options.Reconstruct = None,
    label_share: options.LabelShare = None,
    evaluations: options.Evaluations = 48,
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
    """Compiles a model to fit a budget: MODEL in, a folder with a verified mixed-precision file and its report out."""
    demands = tuple(Demand.parse(text) for text in budget or [])
    goal = Goal.parse(minimise, max_drop)
    pins = read_widths(pin, "pin")
    floors = read_widths(at_least, "--at-least")
    from haqc import console  # noqa: PLC0415 (--help loads no heavy library)
    from haqc.compiler import compile_model  # noqa: PLC0415
    from haqc.request import Request  # noqa: PLC0415

    request = Request(
        model=model,
        target=target,
        demands=demands,
        minimise=goal,
        out=out if out is not None else Path(f"{model.stem}.haqc"),
        data=data,
        metric=metric,
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
        compiled = compile_model(request, ui)
    if as_json:
        typer.echo(json.dumps(compiled.report))
    elif not quiet:
        console.show(console.summary(compiled.report, compiled.folder, console.columns()))
