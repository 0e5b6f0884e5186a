"""Arguments and options that several commands take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from haqc.formats import CHOICES

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
