"""The options that a compile and a sweep share, held as one value."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from haqc.cli import options
from haqc.cli.reading import read_allocators, read_formats, read_shapes, read_widths

if TYPE_CHECKING:
    from pathlib import Path

    from haqc.budget import Demand, Goal
    from haqc.request import Request
    from haqc.sweeping import Sweep


@dataclass(frozen=True)
class Asked:
    """What was asked for, as it stands on the command line; :mod:`haqc.cli.options` says what each means."""

    data: options.Data = None
    shape: options.Shapes = None
    mode: options.Mode = None
    seed: options.Seed = 0
    jobs: options.Jobs = None
    device: options.Device = "cpu"
    torch_compile: options.TorchCompile = False
    finetune: options.Finetune = None
    final_finetune: options.FinalFinetune = None
    reconstruct: options.Reconstruct = None
    label_share: options.LabelShare = None
    evaluations: options.Evaluations = 48
    seconds: options.Seconds = None
    allocator: options.Allocators = None
    agent: options.Agent = "ddpg"
    agent_from: options.AgentFrom = None
    trials_from: options.TrialsFrom = None
    weights: options.Weights = "linear"
    quantizer: options.Quantizer = "lsq"
    ranges: options.Ranges = None
    equalise: options.Equalise = False
    min_bits: options.MinBits = 2
    pin: options.Pins = None
    default_pins: options.DefaultPins = True
    formats: options.Formats = None
    opset: options.Opset = None
    at_least: options.AtLeast = None
    same_bits: options.SameBits = None
    keep_float: options.KeepFloat = None
    resume: options.Resume = False
    force: options.Force = False

    def request(
        self,
        model: Path,
        target: str,
        demands: tuple[Demand, ...],
        metric: str | None,
        out: Path,
        *,
        minimise: Goal | None = None,
        sweep: Sweep | None = None,
    ) -> Request:
        """Gives the request that these options make together with what the command itself takes.

        Raises:
            HaqcError: an option cannot be read, or some contradict each other.
        """
        pins = read_widths(self.pin, "pin")
        floors = read_widths(self.at_least, "--at-least")
        from haqc.request import Request  # noqa: PLC0415 (--help loads no heavy library)

        return Request(
            model=model,
            target=target,
            demands=demands,
            minimise=minimise,
            sweep=sweep,
            out=out,
            data=self.data,
            metric=metric,
            shapes=read_shapes(self.shape),
            mode=self.mode,
            seed=self.seed,
            jobs=self.jobs,
            device=self.device,
            torch_compile=self.torch_compile,
            finetune=self.finetune,
            final_finetune=self.final_finetune,
            reconstruct=self.reconstruct,
            label_share=self.label_share,
            evaluations=self.evaluations,
            seconds=self.seconds,
            allocators=read_allocators(self.allocator, self.agent),
            agent_from=self.agent_from,
            trials_from=tuple(self.trials_from or ()),
            min_bits=self.min_bits,
            pins=pins,
            default_pins=self.default_pins,
            at_least=floors,
            same_bits=tuple(self.same_bits or ()),
            keep_float=tuple(self.keep_float or ()),
            weights=self.weights,
            quantiser=self.quantizer,
            ranges=self.ranges,
            equalise=self.equalise,
            formats=read_formats(self.formats),
            opset=self.opset,
            resume=self.resume,
            force=self.force,
        )


def spread(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command that takes each field of :class:`Asked` by itself, as typer needs it, in place of ``asked``."""
    fields = inspect.signature(Asked, eval_str=True).parameters
    parameters: list[inspect.Parameter] = []
    for name, parameter in inspect.signature(command, eval_str=True).parameters.items():
        parameters += fields.values() if name == "asked" else [parameter]

    @functools.wraps(command)
    def flat(**given: Any) -> None:
        asked = Asked(**{name: given.pop(name) for name in fields})
        command(**given, asked=asked)

    by_name = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in parameters]
    flat.__signature__ = inspect.Signature(by_name)  # type: ignore[attr-defined]
    return flat
