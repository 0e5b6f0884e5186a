"""The Python interface: the commands as functions, for scripts and notebooks.

Errors are :class:`haqc.errors.HaqcError`; each message is the sentence that the command line would print.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from haqc.api.front import Front
from haqc.api.options import Options, asked, demands_of, read_widths
from haqc.api.priced import Priced
from haqc.api.result import Result
from haqc.budget import known_metric
from haqc.dimensions import Shape
from haqc.sweeping import Sweep

if TYPE_CHECKING:
    from typing import Unpack

__all__ = ["Front", "Options", "Priced", "Result", "compile", "cost", "load", "sweep"]

PathLike = str | Path
Arrays = Mapping[str, np.ndarray]


def compile(
    model: PathLike,
    target: PathLike,
    budget: str | Sequence[str] | Mapping[str, str | float] = (),
    *,
    data: PathLike | Arrays | None = None,
    out: PathLike | None = None,
    quiet: bool = True,
    **options: Unpack[Options],
) -> Result:
    """Compiles a model to fit a budget, as ``haqc compile`` does, with the same files as its outcome.

    Args:
        model: the ONNX file.
        target: built-in name, or path of a target file.
        budget: ``"energy=0.5"``, several of these, or a mapping such as ``{"energy": 0.5, "latency": "10ms"}``; none
            with ``minimise=("energy", 0.5)``, which gives the cost to make small and the points that may be lost.
        data: what ``--data`` takes, or arrays by name: ``x_train, y_train, x_test, y_test``, or ``x, y``, or one under
            each input's name and ``y``. ``None`` for the description beside the model, or data-free.
        out: output folder; ``STEM.haqc`` in the current folder when ``None``.
        quiet: whether nothing is printed; else lines and bars go to standard error.
        options: the options of the command line under their names here, see :class:`Options`.

    Raises:
        HaqcError: a mistake in what was given, a budget out of reach, or a file that does not match its mirror.
    """
    from haqc.api.arrays import as_source  # noqa: PLC0415 (compiling loads heavy libraries)
    from haqc.compiler import compile_model  # noqa: PLC0415
    from haqc.terminal import terminal  # noqa: PLC0415

    path = Path(model)
    folder = Path(out) if out is not None else Path(f"{path.stem}.haqc")
    with as_source(data) as source, terminal(quiet) as ui:
        compiled = compile_model(asked(path, str(target), demands_of(budget), folder, source, options), ui)
    return Result(compiled.folder, compiled.report)


def sweep(
    model: PathLike,
    target: PathLike,
    over: str = "energy",
    *,
    points: int = 8,
    at: Sequence[float] = (),
    budget: str | Sequence[str] | Mapping[str, str | float] = (),
    data: PathLike | Arrays | None = None,
    out: PathLike | None = None,
    quiet: bool = True,
    **options: Unpack[Options],
) -> Front:
    """Compiles a model to several budgets by one search, as ``haqc sweep`` does.

    Args:
        model: the ONNX file.
        target: built-in name, or path of a target file.
        over: what the points are budgets of: ``energy``, ``latency``, ``size`` or ``memory``.
        points: budgets, evenly spaced from the least that can be reached to 8/8.
        at: the budgets themselves, as shares of 8/8, instead of ``points``.
        budget: budgets of other metrics, which hold at every point; as for :func:`compile`.
        data: as for :func:`compile`.
        out: output folder; ``STEM.front`` in the current folder when ``None``.
        quiet: whether nothing is printed.
        options: the options of :func:`compile`; ``metric`` is what networks are judged by, as there.

    Raises:
        HaqcError: a mistake in what was given, no point within reach, or a file that does not match its mirror.
    """
    from haqc.api.arrays import as_source  # noqa: PLC0415 (compiling loads heavy libraries)
    from haqc.sweeper import sweep_model  # noqa: PLC0415
    from haqc.terminal import terminal  # noqa: PLC0415

    path = Path(model)
    folder = Path(out) if out is not None else Path(f"{path.stem}.front")
    swept = Sweep(known_metric(over), points, tuple(at))
    with as_source(data) as source, terminal(quiet) as ui:
        request = asked(path, str(target), demands_of(budget), folder, source, options, swept)
        found = sweep_model(request, ui)
    return Front(found.folder, found.front)


def cost(
    model: PathLike,
    target: PathLike,
    *,
    bits: str | int | tuple[int, int] = 8,
    policy: PathLike | None = None,
    batch: int | None = None,
    mode: str | None = None,
    shapes: Mapping[str, Shape] | None = None,
) -> Priced:
    """Prices a model on a target, layer by layer, without data and without a search, as ``haqc cost`` does.

    Args:
        model: the ONNX file.
        target: built-in name, or path of a target file.
        bits: widths of every layer: ``8``, ``"4/8"``, or ``(4, 8)`` for weights and activations.
        policy: a ``policy.json`` in place of ``bits``.
        batch: inferences of one batch; the target's own when ``None``.
        mode: mode of the cost model; the target's first when ``None``.
        shapes: shapes of inputs for one sample, where the model leaves more than the batch open.

    Raises:
        HaqcError: a mistake in what was given.

    >>> cost("models/digits.onnx", "edge", bits=(4, 8)).layers[0].bits.weight
    4
    """
    from haqc import policy as policies  # noqa: PLC0415
    from haqc import targets  # noqa: PLC0415
    from haqc.frontend import pose  # noqa: PLC0415
    from haqc.passes.cost import cost as price  # noqa: PLC0415

    chip = targets.load(str(target))
    _, graph = pose(Path(model), shapes)
    if policy is None:
        widths = read_widths(bits)
        chosen = policies.plain_on(graph, chip.precision, widths.weight, widths.activation)
    else:
        chosen = policies.read(graph, Path(policy))
    return Priced(price(graph, chip, chosen, batch=batch, mode=mode))


def load(folder: PathLike) -> Result:
    """Reads the outcome of a compile again.

    Raises:
        DataError: the folder holds no report of haqc.
    """
    from haqc.check import read_report  # noqa: PLC0415

    return Result(Path(folder), read_report(Path(folder)))
