"""What a compile may be told beside model, target and budget, and how Python says it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict, get_args

from haqc.budget import Demand, Goal
from haqc.calibration import QUANTISERS, RANGES, QuantiserName, Ranges
from haqc.dimensions import Shape
from haqc.errors import PolicyError
from haqc.formats import CHOICES as FORMATS
from haqc.formats import FormatName
from haqc.policy import Bits
from haqc.request import ALLOCATORS, WEIGHTS, AllocatorName, DeviceChoice, Request, Weights
from haqc.sweeping import Sweep

Widths = str | int | tuple[int, int] | Bits

CHOICES: Mapping[str, tuple[str | None, ...]] = {
    "allocators": ALLOCATORS,
    "device": get_args(DeviceChoice),
    "formats": FORMATS,
    "quantiser": QUANTISERS,
    "ranges": (*RANGES, None),
    "weights": WEIGHTS,
}
"""What options may be that choose among names."""


class Options(TypedDict, total=False):
    """The options of :func:`haqc.compile`: fields of :class:`haqc.request.Request`, which says what each means."""

    minimise: Goal | tuple[str, float] | None
    metric: str | None
    shapes: Mapping[str, Shape]
    mode: str | None
    seed: int
    jobs: int | None
    device: DeviceChoice
    torch_compile: bool
    finetune: int | None
    final_finetune: int | None
    reconstruct: int | None
    label_share: float | None
    evaluations: int
    seconds: float | None
    allocators: Sequence[AllocatorName]
    agent_from: str | Path | None
    trials_from: str | Path | Sequence[str | Path]
    min_bits: int
    pins: Mapping[str, Widths]
    default_pins: bool
    at_least: Mapping[str, Widths]
    same_bits: Sequence[str]
    keep_float: Sequence[str]
    weights: Weights
    quantiser: QuantiserName
    ranges: Ranges | None
    equalise: bool
    formats: Sequence[FormatName]
    opset: int | None
    resume: bool
    force: bool


def read_widths(widths: Widths) -> Bits:
    """Reads widths as a person writes them.

    Raises:
        PolicyError: they are none.

    >>> str(read_widths("4/8")), str(read_widths(3)), str(read_widths((2, 4)))
    ('4/8', '3/3', '2/4')
    """
    if isinstance(widths, Bits):
        return widths
    text = "/".join(map(str, widths)) if isinstance(widths, tuple) else str(widths)
    return Bits.parse(text)


def demands_of(budget: str | Sequence[str] | Mapping[str, str | float]) -> tuple[Demand, ...]:
    """Reads a budget.

    Raises:
        BudgetError: a part of it is malformed.

    >>> [demand.text for demand in demands_of({"energy": 0.5, "latency": "10ms"})]
    ['energy=0.5', 'latency=10ms']
    """
    if isinstance(budget, str):
        texts = [budget]
    elif isinstance(budget, Mapping):
        texts = [f"{metric}={value}" for metric, value in budget.items()]
    else:
        texts = list(budget)
    return tuple(Demand.parse(text) for text in texts)


def _check_choice(name: str, given: Any) -> None:
    for each in given if isinstance(given, tuple) else (given,):
        if each not in CHOICES[name]:
            allowed = ", ".join(map(str, CHOICES[name]))
            raise PolicyError(f"option '{name}' cannot be {each!r}; there are {allowed}")


def asked(
    model: Path,
    target: str,
    demands: tuple[Demand, ...],
    out: Path,
    source: str | None,
    options: Options,
    sweep: Sweep | None = None,
) -> Request:
    """Gives the request that the arguments make.

    Raises:
        HaqcError: an option that there is not, widths that are none, or options that contradict each other.
    """
    unknown = sorted(set(options) - set(Options.__annotations__))
    if unknown:
        raise PolicyError(f"there is no option '{unknown[0]}'; there are {', '.join(sorted(Options.__annotations__))}")
    given: dict[str, Any] = dict(options)
    for name in {"pins", "at_least"} & {*given}:
        given[name] = {pattern: read_widths(widths) for pattern, widths in given[name].items()}
    for name in {"allocators", "formats", "same_bits", "keep_float", "trials_from"} & {*given}:
        given[name] = (given[name],) if isinstance(given[name], str | Path) else tuple(given[name])
    given["trials_from"] = tuple(map(Path, given.get("trials_from", ())))
    if given.get("agent_from") is not None:
        given["agent_from"] = Path(given["agent_from"])
    for name in [name for name in CHOICES if name in given]:
        _check_choice(name, given[name])
    if "allocators" in given:
        given["allocators"] = tuple(dict.fromkeys(given["allocators"]))
    if isinstance(given.get("minimise"), tuple):
        given["minimise"] = Goal.parse(*given["minimise"])
    return Request(model=model, target=target, demands=demands, out=out, data=source, sweep=sweep, **given)
