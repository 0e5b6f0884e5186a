"""The command line's application, which every command registers itself with."""

from __future__ import annotations

from typing import Annotated

import typer

from haqc import __version__

app = typer.Typer(
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Compiles an ONNX model into a mixed-precision ONNX model that fits a hardware budget.",
)


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    """Compiles an ONNX model into a mixed-precision ONNX model that fits a hardware budget."""
    if version:
        typer.echo(f"haqc {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
