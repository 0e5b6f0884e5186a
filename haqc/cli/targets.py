"""The commands ``haqc targets ...``."""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from haqc.cli.application import app
from haqc.cli.options import STANDARD_OUTPUT

targets_app = typer.Typer(invoke_without_command=True, help="Lists, shows, checks and starts targets.")
app.add_typer(targets_app, name="targets")


@targets_app.callback()
def targets_root(context: typer.Context) -> None:
    """Lists, shows and checks targets."""
    if context.invoked_subcommand is None:
        targets_list()


@targets_app.command("list")
def targets_list() -> None:
    """Lists the built-in targets: kind, batch, grades of latency and energy, title."""
    from haqc import console, targets  # noqa: PLC0415
    from haqc.targetview import target_list  # noqa: PLC0415

    console.show(target_list([targets.load(name) for name in targets.names()]))


@targets_app.command("show", epilog="Example: haqc targets show edge")
def targets_show(
    target: Annotated[str, typer.Argument(help="Name or path.", show_default=False)],
    toml: Annotated[bool, typer.Option("--toml", help="Print the target's file instead.")] = False,
) -> None:
    """Shows a target: peak rates and ridge points by widths, energy per operation and per byte, grades, sources."""
    from haqc import console, targets  # noqa: PLC0415

    chip = targets.load(target)
    if toml:
        typer.echo(chip.text.rstrip())
        return
    from haqc.datasheet import data_sheet  # noqa: PLC0415
    from haqc.targetview import target_sheet  # noqa: PLC0415

    console.show(target_sheet(data_sheet(chip)))


@targets_app.command("new", epilog="Example: haqc targets new --from edge my-chip.toml")
def targets_new(
    file: Annotated[
        Path, typer.Argument(help="File to write, which must not exist; - is standard output.", show_default=False)
    ],
    source: Annotated[
        str, typer.Option("--from", help="Built-in target, or path of a target file.", show_default=False)
    ],
) -> None:
    """Starts a target file of your own from another."""
    from haqc.targets.start import start, started  # noqa: PLC0415

    if str(file) == STANDARD_OUTPUT:
        typer.echo(started(source).encode(), nl=False)
        return
    start(source, file)
    typer.echo(f"{file} is a copy of {source}; change its numbers and sources, then run 'haqc targets check {file}'")


@targets_app.command("schema", epilog="Example: haqc targets schema > docs/target-schema.md")
def targets_schema() -> None:
    """Prints what a target file may say, as Markdown."""
    from haqc.targets.kinds import DESCRIPTIONS  # noqa: PLC0415
    from haqc.targets.schema import schema  # noqa: PLC0415

    typer.echo(schema(DESCRIPTIONS), nl=False)


@targets_app.command("check", epilog="Example: haqc targets check my-chip.toml")
def targets_check(file: Annotated[Path, typer.Argument(help="Target file.", show_default=False)]) -> None:
    """Checks a target file and names every mistake in it."""
    from haqc import targets  # noqa: PLC0415

    mistakes = targets.check(file)
    for mistake in mistakes:
        typer.echo(f"{file}: {mistake}", err=True)
    if mistakes:
        typer.echo(f"haqc: {file} has {len(mistakes)} mistake{'s' * (len(mistakes) > 1)}; mend them", err=True)
        raise typer.Exit(2)
    typer.echo(f"{file} is a valid target")


@targets_app.command("calibrate", epilog="Example: haqc targets calibrate my-chip.toml --measurements board.csv")
def targets_calibrate(
    target: Annotated[str, typer.Argument(metavar="FILE", help="Target file, or name.", show_default=False)],
    measurements: Annotated[
        Path, typer.Option("--measurements", "-m", help="CSV of measured networks or layers.", show_default=False)
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="Calibrated copy; - is standard output.", show_default="FILE's name, with -calibrated"),
    ] = None,
) -> None:
    """Fits a target's free factors to measurements, and says how well they predict a network that is left out."""
    from haqc import console, targets  # noqa: PLC0415
    from haqc.calibrate_target import calibrate_target  # noqa: PLC0415
    from haqc.calibrated_file import write_calibrated  # noqa: PLC0415
    from haqc.fitview import fit_summary  # noqa: PLC0415
    from haqc.measurements import read_measurements  # noqa: PLC0415

    chip = targets.load(target)
    fit = calibrate_target(chip, read_measurements(measurements))
    path = out if out is not None else Path(f"{chip.name}-calibrated.toml")
    if str(path) != STANDARD_OUTPUT:
        console.show(fit_summary(fit, write_calibrated(path, chip, fit, measurements.name), path))
        return
    with TemporaryDirectory() as folder:  # the copy is read back before anything is printed
        copy = write_calibrated(Path(folder) / f"{chip.name}-calibrated.toml", chip, fit, measurements.name)
    console.show(fit_summary(fit, copy, None), sys.stderr)
    typer.echo(copy.text.encode(), nl=False)
