"""Arguments and options that several commands take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from haqc.errors import OutputError
from haqc.formats import CHOICES

STANDARD_OUTPUT = "-"
"""What stands for standard output in place of a file to write, byte for byte what the file would hold."""


def a_folder(out: Path | None) -> Path | None:
    """Refuses standard output where a command writes a folder.

    Raises:
        OutputError: it was named.
    """
    if str(out) == STANDARD_OUTPUT:
        raise OutputError(
            "--out - would be standard output, which holds no folder; name a folder, and add --json to have the report "
            "printed"
        )
    return out


Model = Annotated[Path, typer.Argument(help="ONNX file.", show_default=False)]
TargetName = Annotated[
    str, typer.Option("--target", "-t", help="Built-in target, or path of a target file (.toml).", show_default=False)
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the report as JSON on standard output.")]
Shapes = Annotated[
    list[str] | None,
    typer.Option(
        "--shape",
        help="NAME=1,3,224,224: shape of an input for one sample, where the model leaves more than the batch open.",
        show_default=False,
    ),
]
Data = Annotated[
    str | None,
    typer.Option(
        help="Data: .npz, folder of class folders, IDX folder, description (.toml), or package.module:function.",
        show_default="STEM.data.toml beside the model, else data-free",
    ),
]
Metric = Annotated[
    str | None,
    typer.Option(
        help="What networks are judged by: top-1, top-5, agreement, cosine, mae, mse, auc, miou, perplexity, sts, or "
        "package.module:function.",
        show_default="top-1 with class labels, else agreement or cosine",
    ),
]
Formats = Annotated[
    list[str] | None,
    typer.Option("--format", help=f"What to write: {', '.join(CHOICES)}; repeat it.", show_default="qcdq"),
]
Opset = Annotated[
    int | None,
    typer.Option(min=21, max=26, help="Least opset of the emitted files.", show_default="the model's, or 21"),
]
Out = Annotated[Path | None, typer.Option(help="Output folder.", show_default="STEM.haqc", callback=a_folder)]
Mode = Annotated[str | None, typer.Option(help="Mode of the cost model.", show_default="the target's first")]
Seed = Annotated[int, typer.Option(help="Seed of everything random.", min=0, max=2**63 - 1)]
Jobs = Annotated[
    int | None, typer.Option(help="Worker processes; they do not change the result.", min=1, show_default="CPUs")
]
Device = Annotated[
    Literal["cpu", "cuda", "auto"],
    typer.Option(help="Where jobs run networks; auto takes a graphics processor where there is one."),
]
TorchCompile = Annotated[
    bool, typer.Option("--torch-compile", help="Score policies by a graph that torch compiles once.")
]
Finetune = Annotated[
    int | None,
    typer.Option(
        help="Training samples of the fine-tune inside the search.",
        min=0,
        show_default="1000 with labels (fewer on large models), else 0",
    ),
]
FinalFinetune = Annotated[
    int | None,
    typer.Option(
        help="Training samples of the winner's fine-tune; without labels, of what follows its reconstruction.",
        min=0,
        show_default="60000 to 300000 with labels (fewer on large models), else twice --reconstruct, "
        "or 0 with --finetune 0",
    ),
]
Reconstruct = Annotated[
    int | None,
    typer.Option(
        help="Training samples of each part of the winner's reconstruction without labels, where it is not fine-tuned.",
        min=0,
        show_default="9600 (fewer on large models)",
    ),
]
LabelShare = Annotated[
    float | None,
    typer.Option(
        help="Share of the labels' loss in fine-tuning; the rest is distillation, with 0 all of it.",
        min=0,
        max=1,
        show_default="0.8 with labels, else 0",
    ),
]
Evaluations = Annotated[
    int,
    typer.Option(
        "--evaluations",
        "--budget-evaluations",
        help="Policies that each allocator may have evaluated; a sweep shares them out among its points.",
        min=1,
    ),
]
Seconds = Annotated[
    float | None,
    typer.Option("--budget-seconds", help="Seconds the search may take; what is best by then wins.", min=0),
]
Allocators = Annotated[
    list[str] | None,
    typer.Option(help="Who proposes policies; repeat it.", show_default="uniform, greedy, integer, random, ddpg"),
]
Agent = Annotated[
    Literal["ddpg", "haq"],
    typer.Option(help="The agent: haqc's, or that of HAQ's paper, which needs hundreds of evaluations."),
]
AgentFrom = Annotated[
    Path | None,
    typer.Option(help="Folder of another compile, whose agent the search starts with.", show_default=False),
]
TrialsFrom = Annotated[
    list[Path] | None,
    typer.Option(
        help="Folder of a compile of this model for another target or budget, whose trials are known; repeat it.",
        show_default=False,
    ),
]
Weights = Annotated[
    Literal["linear", "kmeans"],
    typer.Option(help="linear: codes and scales; kmeans: codebooks for size budgets, activations stay float."),
]
Quantizer = Annotated[
    Literal["lsq", "haq"],
    typer.Option(help="lsq: a learned step per channel; haq: the one of HAQ, per tensor and fixed, to compare."),
]
Ranges = Annotated[
    Literal["mse", "kl", "percentile", "max"] | None,
    typer.Option(
        help="Ranges of activations: least squared error, least divergence, percentiles, or all.",
        show_default="mse",
    ),
]
Equalise = Annotated[
    bool, typer.Option("--equalise", help="Even out the ranges of neighbouring layers' weights first.")
]
MinBits = Annotated[int, typer.Option(help="Narrowest width searched.", min=1, max=8)]
Pins = Annotated[list[str] | None, typer.Option(help="NAME=W/A: pin layers by name or pattern.", show_default=False)]
DefaultPins = Annotated[
    bool, typer.Option("--default-pins/--no-default-pins", help="Pin the first and last layers at 8/8.")
]
AtLeast = Annotated[
    list[str] | None,
    typer.Option(help="NAME=W/A: narrowest widths of layers, by name or pattern.", show_default=False),
]
SameBits = Annotated[
    list[str] | None,
    typer.Option(help="Pattern of layers that shall all have equal widths; repeat it.", show_default=False),
]
KeepFloat = Annotated[
    list[str] | None,
    typer.Option(help="Layers that stay in float, by name or pattern; repeat it.", show_default=False),
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on where a killed run was.")]
Force = Annotated[bool, typer.Option("--force", help="Replace what haqc left in the output folder.")]
Budgets = Annotated[
    list[str] | None,
    typer.Option(
        "--budget",
        "-b",
        help="METRIC=VALUE; METRIC is energy, latency, size or memory; VALUE a fraction of uniform 8/8 (0.5) or a "
        "value with a unit (10ms, 3mJ, 250KiB). Several hold together.",
        show_default=False,
    ),
]
