"""The command ``haqc compile``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

from haqc.budget import Demand, Goal
from haqc.cli.application import app
from haqc.cli.options import AsJson, Data, Formats, Metric, Model, Opset, Quiet, Shapes, TargetName
from haqc.cli.reading import read_allocators, read_formats, read_shapes, read_widths
from haqc.errors import Interrupted
from haqc.terminal import terminal


@app.command("compile", epilog="Example: haqc compile model.onnx --target edge --budget energy=0.5 --data images.npz")
def compile_command(
    model: Model,
    target: TargetName,
    budget: Annotated[
        list[str] | None,
        typer.Option(
            "--budget",
            "-b",
            help="METRIC=VALUE; METRIC is energy, latency, size or memory; VALUE a fraction of uniform 8/8 (0.5) or a "
            "value with a unit (10ms, 3mJ, 250KiB). Several hold together.",
            show_default=False,
        ),
    ] = None,
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
    data: Data = None,
    metric: Metric = None,
    shape: Shapes = None,
    out: Annotated[Path | None, typer.Option(help="Output folder.", show_default="STEM.haqc")] = None,
    mode: Annotated[str | None, typer.Option(help="Mode of the cost model.", show_default="the target's first")] = None,
    seed: Annotated[int, typer.Option(help="Seed of everything random.", min=0, max=2**63 - 1)] = 0,
    jobs: Annotated[
        int | None, typer.Option(help="Worker processes; they do not change the result.", min=1, show_default="CPUs")
    ] = None,
    device: Annotated[
        Literal["cpu", "cuda", "auto"],
        typer.Option(help="Where jobs run networks; auto takes a graphics processor where there is one."),
    ] = "cpu",
    torch_compile: Annotated[
        bool, typer.Option("--torch-compile", help="Score policies by a graph that torch compiles once.")
    ] = False,
    finetune: Annotated[
        int | None,
        typer.Option(
            help="Training samples of the fine-tune inside the search.",
            min=0,
            show_default="1000 with labels (fewer on large models), else 0",
        ),
    ] = None,
    final_finetune: Annotated[
        int | None,
        typer.Option(
            help="Training samples of the winner's fine-tune.",
            min=0,
            show_default="60000 to 300000 with labels (fewer on large models), or 0 with --finetune 0",
        ),
    ] = None,
    reconstruct: Annotated[
        int | None,
        typer.Option(
            help="Training samples of the winner's reconstruction without labels, where it is not fine-tuned.",
            min=0,
            show_default="9600 (fewer on large models)",
        ),
    ] = None,
    label_share: Annotated[
        float | None,
        typer.Option(
            help="Share of the labels' loss in fine-tuning; the rest is distillation, with 0 all of it.",
            min=0,
            max=1,
            show_default="0.8 with labels, else 0",
        ),
    ] = None,
    evaluations: Annotated[
        int,
        typer.Option(
            "--evaluations", "--budget-evaluations", help="Policies that each allocator may have evaluated.", min=1
        ),
    ] = 48,
    seconds: Annotated[
        float | None,
        typer.Option("--budget-seconds", help="Seconds the search may take; what is best by then wins.", min=0),
    ] = None,
    allocator: Annotated[
        list[str] | None,
        typer.Option(help="Who proposes policies; repeat it.", show_default="uniform, greedy, integer, random, ddpg"),
    ] = None,
    agent: Annotated[
        Literal["ddpg", "haq"],
        typer.Option(help="The agent: haqc's, or that of HAQ's paper, which needs hundreds of evaluations."),
    ] = "ddpg",
    weights: Annotated[
        Literal["linear", "kmeans"],
        typer.Option(help="linear: codes and scales; kmeans: codebooks for size budgets, activations stay float."),
    ] = "linear",
    quantizer: Annotated[
        Literal["lsq", "haq"],
        typer.Option(help="lsq: a learned step per channel; haq: the one of HAQ, per tensor and fixed, to compare."),
    ] = "lsq",
    ranges: Annotated[
        Literal["mse", "kl", "percentile", "max"] | None,
        typer.Option(
            help="Ranges of activations: least squared error, least divergence, percentiles, or all.",
            show_default="mse",
        ),
    ] = None,
    equalise: Annotated[
        bool, typer.Option("--equalise", help="Even out the ranges of neighbouring layers' weights first.")
    ] = False,
    min_bits: Annotated[int, typer.Option(help="Narrowest width searched.", min=1, max=8)] = 2,
    pin: Annotated[
        list[str] | None, typer.Option(help="NAME=W/A: pin layers by name or pattern.", show_default=False)
    ] = None,
    default_pins: Annotated[
        bool, typer.Option("--default-pins/--no-default-pins", help="Pin the first and last layers at 8/8.")
    ] = True,
    formats: Formats = None,
    opset: Opset = None,
    at_least: Annotated[
        list[str] | None,
        typer.Option(help="NAME=W/A: narrowest widths of layers, by name or pattern.", show_default=False),
    ] = None,
    same_bits: Annotated[
        list[str] | None,
        typer.Option(help="Pattern of layers that shall all have equal widths; repeat it.", show_default=False),
    ] = None,
    keep_float: Annotated[
        list[str] | None,
        typer.Option(help="Layers that stay in float, by name or pattern; repeat it.", show_default=False),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where a killed run was.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace what haqc left in the output folder.")] = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Compiles a model to fit a budget: MODEL in, a folder with a verified mixed-precision file and its report out."""
    demands = tuple(Demand.parse(text) for text in budget or [])
    goal = Goal.parse(minimise, max_drop)
    pins = dict(read_widths(text, "pin") for text in pin or [])
    floors = dict(read_widths(text, "--at-least") for text in at_least or [])
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
    try:
        with terminal(quiet or as_json) as ui:
            compiled = compile_model(request, ui)
    except KeyboardInterrupt as error:
        raise Interrupted("interrupted before anything was emitted; add --resume to go on where it was") from error
    if as_json:
        typer.echo(json.dumps(compiled.report))
    elif not quiet:
        console.show(console.summary(compiled.report, compiled.folder))
