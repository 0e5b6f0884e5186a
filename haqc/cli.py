"""The command line: each command parses its arguments, calls, and prints."""

from __future__ import annotations

import errno
import json
import logging
import re
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn

import typer

from haqc import __version__, stdout
from haqc.budget import Demand
from haqc.errors import DataError, HaqcError, Interrupted, PolicyError, TargetError
from haqc.policy import Bits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from haqc.console import Steps
    from haqc.request import AllocatorName

app = typer.Typer(
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Compiles an ONNX model into a mixed-precision ONNX model that fits a hardware budget.",
)
targets_app = typer.Typer(invoke_without_command=True, help="Lists, shows, checks and starts targets.")
app.add_typer(targets_app, name="targets")

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

_USERS_ERRNOS = frozenset(
    {errno.EACCES, errno.EDQUOT, errno.ELOOP, errno.ENAMETOOLONG, errno.ENOSPC, errno.EPERM, errno.EROFS}
)
"""Errors of the system that are no bug of haqc's: paths that no file can have, full disks, missing permission."""


def main() -> None:
    """Runs the command line; every mistake becomes one sentence and an exit code."""
    stdout.reserve()
    logging.getLogger().addHandler(logging.NullHandler())  # libraries print what nobody handles, tracebacks included
    try:
        code = app(prog_name="haqc", standalone_mode=False)
    except HaqcError as error:
        _fail(str(error), error.exit_code)
    except typer.Exit as error:
        code = error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        code = Interrupted.exit_code
    except OSError as error:
        if error.errno not in _USERS_ERRNOS:
            raise
        where = f"'{error.filename}'" if error.filename else "a file"
        _fail(f"{where} cannot be used ({error.strerror}); name another path, or make room and give permission", 2)
    except Exception as error:
        if hasattr(error, "format_message") and hasattr(error, "exit_code"):  # a usage error of the command line
            context = getattr(error, "ctx", None)
            hint = f"; see '{context.command_path} --help'" if context is not None else ""
            _fail(error.format_message().rstrip(".") + hint, 2)
        raise
    if code == Interrupted.exit_code:  # of a command that has nothing more to say
        _fail("interrupted; run the command again", code)
    sys.exit(code if isinstance(code, int) else 0)


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


def _pin(text: str) -> tuple[str, Bits]:
    """Reads ``NAME=W/A``."""
    name, equals, widths = text.rpartition("=")
    match = re.fullmatch(r"([1-8])(?:/([1-8]))?", widths)
    if not equals or not name or match is None:
        raise PolicyError(f"pin '{text}' is malformed; write NAME=W/A, for example 'block1.*=8/8'")
    return name, Bits(int(match[1]), int(match[2] or match[1]))


def _allocators(names: list[str] | None, agent: AllocatorName) -> tuple[AllocatorName, ...]:
    from haqc.request import ALLOCATORS, USUAL  # noqa: PLC0415 (--help loads no heavy library)

    unknown = [name for name in names or () if name not in ALLOCATORS]
    if unknown:
        raise typer.BadParameter(f"'{unknown[0]}' is no allocator; there are {', '.join(ALLOCATORS)}")
    chosen = USUAL if names is None else [name for given in names for name in ALLOCATORS if name == given]
    return tuple(dict.fromkeys(agent if name == "ddpg" else name for name in chosen))


def _shapes(texts: list[str] | None) -> dict[str, tuple[int, ...]]:
    from haqc.dimensions import read_shape  # noqa: PLC0415 (--help loads no heavy library)

    return dict(read_shape(text) for text in texts or [])


def _bits(text: str) -> Bits:
    match = re.fullmatch(r"([1-8])(?:/([1-8]))?", text)
    if match is None:
        raise PolicyError(f"bits '{text}' are malformed; write a width such as 8, or weights/activations such as 4/8")
    return Bits(int(match[1]), int(match[2] or match[1]))


@app.command("compile", epilog="Example: haqc compile model.onnx --target edge --budget energy=0.5 --data images.npz")
def compile_command(
    model: Model,
    target: TargetName,
    budget: Annotated[
        list[str],
        typer.Option(
            "--budget",
            "-b",
            help="METRIC=VALUE; METRIC is energy, latency, size or memory; VALUE a fraction of uniform 8/8 (0.5) or a "
            "value with a unit (10ms, 3mJ, 250KiB). Several hold together.",
            show_default=False,
        ),
    ],
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
            show_default="60000 with labels (fewer on large models), or 0 with --finetune 0",
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
    resume: Annotated[bool, typer.Option("--resume", help="Go on where a killed run was.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace what haqc left in the output folder.")] = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Compiles a model to fit a budget: MODEL in, a folder with a verified mixed-precision file and its report out."""
    demands = tuple(Demand.parse(text) for text in budget)
    pins = dict(_pin(text) for text in pin or [])
    from haqc import console  # noqa: PLC0415 (--help loads no heavy library)
    from haqc.compiler import compile_model  # noqa: PLC0415
    from haqc.request import Request  # noqa: PLC0415

    request = Request(
        model=model,
        target=target,
        demands=demands,
        out=out if out is not None else Path(f"{model.stem}.haqc"),
        data=data,
        metric=metric,
        shapes=_shapes(shape),
        mode=mode,
        seed=seed,
        jobs=jobs,
        device=device,
        finetune=finetune,
        final_finetune=final_finetune,
        reconstruct=reconstruct,
        label_share=label_share,
        evaluations=evaluations,
        seconds=seconds,
        allocators=_allocators(allocator, agent),
        min_bits=min_bits,
        pins=pins,
        default_pins=default_pins,
        weights=weights,
        quantiser=quantizer,
        ranges=ranges,
        equalise=equalise,
        resume=resume,
        force=force,
    )
    try:
        with _terminal(quiet or as_json) as ui:
            compiled = compile_model(request, ui)
    except KeyboardInterrupt as error:
        raise Interrupted("interrupted before anything was emitted; add --resume to go on where it was") from error
    if as_json:
        typer.echo(json.dumps(compiled.report))
    elif not quiet:
        console.show(console.summary(compiled.report, compiled.folder))


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
    widths = _bits(bits or "8")
    from haqc import console, targets  # noqa: PLC0415
    from haqc import policy as policies  # noqa: PLC0415
    from haqc.frontend import pose  # noqa: PLC0415
    from haqc.passes.cost import comparison_csv, cost  # noqa: PLC0415

    chips = [targets.load(name.strip()) for name in (compare.split(",") if compare is not None else [target or ""])]
    _, graph = pose(model, _shapes(shape))
    if policy is None:
        chosen = [policies.plain_on(graph, chip.precision, widths.weight, widths.activation) for chip in chips]
    else:
        chosen = [policies.load(graph, _text(policy), str(policy))] * len(chips)
    priced = [cost(graph, chip, one, batch=batch, mode=mode) for chip, one in zip(chips, chosen, strict=True)]
    contents = [report.to_json() for report in priced]
    if output == "json":
        typer.echo(json.dumps(contents if compare is not None else contents[0]))
    elif output == "csv":
        typer.echo(comparison_csv(priced) if compare is not None else priced[0].to_csv(), nl=False)
    else:
        console.show(console.cost_comparison(contents) if compare is not None else console.cost_table(contents[0]))


@app.command("inspect", epilog="Example: haqc inspect model.onnx --shape input_ids=1,128")
def inspect_command(
    model: Model,
    shape: Shapes = None,
    target: Annotated[
        str | None,
        typer.Option("--target", "-t", help="Target to price the model on, at 8/8.", show_default=False),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Shows what haqc sees in a model: inputs, layers, what stays in float and why, and what is in the way."""
    from haqc import console, targets  # noqa: PLC0415
    from haqc.dimensions import read_shape  # noqa: PLC0415
    from haqc.inspectview import inspection  # noqa: PLC0415
    from haqc.survey import survey  # noqa: PLC0415

    chip = targets.load(target) if target is not None else None
    seen = survey(model, dict(read_shape(text) for text in shape or []), chip)
    if as_json:
        typer.echo(json.dumps(seen.to_json()))
    else:
        console.show(inspection(seen))


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
    file: Annotated[Path, typer.Argument(help="File to write; it must not exist.", show_default=False)],
    source: Annotated[
        str, typer.Option("--from", help="Built-in target, or path of a target file.", show_default=False)
    ],
) -> None:
    """Starts a target file of your own from another."""
    from haqc.targets.start import start  # noqa: PLC0415

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
        Path | None, typer.Option(help="Calibrated copy.", show_default="FILE's name, with -calibrated")
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
    console.show(fit_summary(fit, write_calibrated(path, chip, fit, measurements.name), path))


@app.command("verify", epilog="Example: haqc verify model.haqc")
def verify_command(
    path: Annotated[Path, typer.Argument(help="Folder of a compile, or an emitted file.", show_default=False)],
    data: Data = None,
    metric: Metric = None,
    shape: Shapes = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Runs an emitted file in onnxruntime and compares it with what the mirror computed when it was compiled."""
    from haqc import console  # noqa: PLC0415
    from haqc.check import check_folder_or_file  # noqa: PLC0415

    with _terminal(quiet or as_json) as ui:
        result = check_folder_or_file(path, data, ui, _shapes(shape), metric)
    if as_json:
        typer.echo(json.dumps(result))
    elif not quiet:
        console.show(console.verification(result))


@app.command("report", epilog="Example: haqc report model.haqc")
def report_command(
    folder: Annotated[Path, typer.Argument(help="Folder of a compile.", show_default=False)], as_json: AsJson = False
) -> None:
    """Prints the report of a compile again."""
    from haqc import console  # noqa: PLC0415
    from haqc.check import read_report  # noqa: PLC0415

    content = read_report(folder)
    if as_json:
        typer.echo(json.dumps(content))
        return
    try:
        shown = console.summary(content, folder)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:  # somebody edited it
        raise DataError(f"'{folder / 'report.json'}' is no report as haqc writes them; compile again") from error
    console.show(shown)


def _text(path: Path) -> str:
    """Reads a small text file.

    Raises:
        PolicyError: it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise PolicyError(f"'{path}' cannot be read ({reason}); give a policy.json of 'haqc compile'") from error


def _fail(message: str, code: int) -> NoReturn:
    """Says what is wrong in one line, whatever stood in a file that the message quotes, and ends."""
    from haqc.plaintext import visible  # noqa: PLC0415

    typer.echo(visible(f"haqc: {message}"), err=True)
    sys.exit(code)


class _Terminal:
    """Says lines and shows bars on standard error, unless it is quiet."""

    def __init__(self, steps: Steps, quiet: bool) -> None:
        self._steps, self._quiet = steps, quiet

    def say(self, text: str) -> None:
        """Says a line."""
        if not self._quiet:
            self._steps.say(text)

    def task(self, name: str, total: int) -> Any:
        """Begins a bar."""
        return self._steps.step(name, total)


@contextmanager
def _terminal(quiet: bool) -> Iterator[_Terminal]:
    from haqc.console import progress  # noqa: PLC0415

    with progress(quiet) as steps:
        yield _Terminal(steps, quiet)
