"""The axes of a model's inputs: which have fixed lengths, which are symbols, and what the symbols are bound to."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import onnx_ir as ir

from haqc.errors import ModelError, nearest

Shape = tuple[int, ...]
Axis = int | str

LARGEST_EXTENT = 2**31 - 1
_OPTION = re.compile(r"\d{1,10}(?:[,x]\d{1,10})*")
_BATCH_NAMES = frozenset({"bs", "bsz"})
_UNNAMED = "?"
_PLACEHOLDERS = frozenset({"?", "*", "-1", "none", "unknown"})
"""What converters write where an axis has no name; two of them need not be equally long."""


def read_shape(text: str) -> tuple[str, Shape]:
    """Reads ``NAME=1,3,224,224``, as ``--shape`` takes it; nothing after the sign is the shape of a scalar.

    Raises:
        ModelError: the text has another form, or an extent is 0 or over 2,147,483,647.

    >>> read_shape("input_ids=1,128")
    ('input_ids', (1, 128))
    """
    name, equals, numbers = text.rpartition("=")
    if not equals or not name or (numbers and _OPTION.fullmatch(numbers) is None):
        raise ModelError(f"shape '{text}' is malformed; write NAME=1,3,224,224 with the input's name")
    shape = tuple(int(number) for number in re.split("[,x]", numbers)) if numbers else ()
    if not all(0 < extent <= LARGEST_EXTENT for extent in shape):
        raise ModelError(f"shape '{text}' has an extent out of range; allowed are 1 to {LARGEST_EXTENT}")
    return name, shape


@dataclass(frozen=True, slots=True)
class Dimensions:
    """The axes of every input.

    Attributes:
        inputs: axes by input, in the model's order: a number, or the name of a symbol. An axis without a name has one
            that no other axis shares, beginning with ``?``. ``None`` for an input whose axes are not stated.
        bound: extents by symbol, once they are known.
    """

    inputs: Mapping[str, tuple[Axis, ...] | None]
    bound: Mapping[str, int]

    @classmethod
    def of(cls, model: ir.Model) -> Dimensions:
        """Reads the axes off a model; nothing is bound yet."""
        return cls({str(value.name): _axes(value) for value in model.graph.inputs}, {})

    @property
    def batch(self) -> frozenset[str]:
        """Symbols that count samples.

        A symbol called after a batch is one wherever it stands. Otherwise the first axis counts samples, unless the
        input has a batch elsewhere or the same symbol twice.
        """
        named = {axis for axes in self.inputs.values() for axis in axes or () if _is_batch_name(axis)}
        found = {str(axis) for axis in named}
        for axes in self.inputs.values():
            first = axes[0] if axes else 0
            if isinstance(first, str) and axes and axes.count(first) == 1 and not named.intersection(axes):
                found.add(first)
        return frozenset(found)

    def bind(self, shapes: Mapping[str, Shape]) -> Dimensions:
        """Binds symbols to what the shapes of some inputs say; an axis that counts samples is 1 there.

        Raises:
            ModelError: no such input, another number of axes, another length of a fixed axis, more than one sample, or
                two lengths for one symbol.
        """
        inputs, bound, batch = dict(self.inputs), dict(self.bound), self.batch
        for name, shape in shapes.items():
            if name not in inputs:
                known = ", ".join(f"'{other}'" for other in inputs)
                raise ModelError(f"the model has no input '{name}'{nearest(name, inputs)}; its inputs are {known}")
            axes = inputs[name]
            if axes is None:
                inputs[name] = shape
                continue
            if len(axes) != len(shape):
                raise ModelError(
                    f"input '{name}' has the {len(axes)} axes {self.text(name)}, and the shape {list(shape)} has "
                    f"{len(shape)}; give one number for each axis"
                )
            for place, (axis, extent) in enumerate(zip(axes, shape, strict=True)):
                where = f"axis {place} of input '{name}'"
                if axis in batch and extent != 1:
                    raise ModelError(
                        f"{where} counts samples and is given as {extent}; give 1: haqc prices one inference, and "
                        "runs as many at a time as it needs"
                    )
                if isinstance(axis, int) and axis != extent:
                    raise ModelError(f"{where} is {axis} in the model, not {extent}; give {self._example(name)}")
                if isinstance(axis, str) and bound.setdefault(axis, extent) != extent:
                    raise ModelError(
                        f"{where}, the symbol '{axis}', is {extent}, but {bound[axis]} in another place; a symbol has "
                        "one length in all inputs"
                    )
        return Dimensions(inputs, bound)

    def axes(self, name: str) -> tuple[int | None, ...] | None:
        """Gives an input's axes with what is bound filled in; ``None`` for one that counts samples or is open."""
        axes, batch = self.inputs[name], self.batch
        if axes is None:
            return None
        filled = (axis if isinstance(axis, int) else self.bound.get(axis) for axis in axes)
        return tuple(None if axis in batch else extent for axis, extent in zip(axes, filled, strict=True))

    def open_axes(self, name: str) -> tuple[int, ...]:
        """Gives the axes of an input that neither have a length nor count samples."""
        batch = self.batch
        axes = self.inputs[name] or ()
        return tuple(
            place
            for place, axis in enumerate(axes)
            if isinstance(axis, str) and axis not in batch and axis not in self.bound
        )

    def samples_per_run(self) -> int | None:
        """Gives how many samples one run takes, no more and no fewer; ``None`` when it takes any number.

        Raises:
            ModelError: samples do not lie along the first axis of every input, or not equally many in each.
        """
        batch = self.batch
        fixed: dict[str, int] = {}
        for name, axes in self.inputs.items():
            place = next((place for place, axis in enumerate(axes or ()) if axis in batch), 0)
            first = axes[0] if axes else ""
            if place > 0:
                raise ModelError(
                    f"input '{name}' of shape {self.text(name)} has its samples along axis {place}; export the model "
                    "with the batch first, for example by a Transpose behind the input"
                )
            if isinstance(first, int):
                fixed[name] = first
            elif first not in batch:
                raise ModelError(
                    f"input '{name}' of shape {self.text(name)} has no axis along which samples lie; give it a batch "
                    "as its first axis, or make it a constant of the model"
                )
        if not fixed:
            return None
        (name, extent), others = next(iter(fixed.items())), [other for other in self.inputs if other not in fixed]
        other = next((other for other in fixed if fixed[other] != extent), others[0] if others else "")
        if other:
            raise ModelError(
                f"the first axis of input '{name}' of shape {self.text(name)} is {extent}, and that of input "
                f"'{other}' is {self.text(other)}; both must count the same samples: export the model with one "
                "symbolic batch, or make what all samples share a constant"
            )
        return extent

    def shapes(self, *, or_else: str = "") -> dict[str, Shape]:
        """Gives the shape of every input for one sample.

        Args:
            or_else: what else binds a symbol, for the message, such as ``or give data``.

        Raises:
            ModelError: a symbol is not bound; the message names inputs, axes and the option to give.
        """
        self._require_bound(or_else)
        return {
            name: tuple(axis if isinstance(axis, int) else self.bound.get(axis, 1) for axis in axes or ())
            for name, axes in self.inputs.items()
        }

    def text(self, name: str) -> str:
        """Writes an input's axes as they stand in the model, with ``?`` for an axis without a name."""
        axes = self.inputs[name]
        if axes is None:
            return "[...]"
        return "[" + ", ".join(_UNNAMED if _is_unnamed(axis) else str(axis) for axis in axes) + "]"

    def missing(self) -> dict[str, tuple[int, ...]]:
        """Gives the inputs whose shapes would bind all that is open, each with the axes that it binds first."""
        seen: set[Axis] = set()
        found = {}
        for name, axes in self.inputs.items():
            places = tuple(place for place in self.open_axes(name) if axes and axes[place] not in seen)
            seen.update((axes or ())[place] for place in places)
            if places or axes is None:
                found[name] = places
        return found

    def options(self) -> tuple[str, ...]:
        """Gives the options that would bind all that is open, with lengths in place of those the user means."""
        return tuple(f"--shape {self._example(name)}" for name in self.missing())

    def _require_bound(self, or_else: str) -> None:
        missing = self.missing()
        if not missing:
            return
        words = []
        for name, places in missing.items():
            axes = self.inputs[name]
            listed = " and ".join(_axis_words((axes or ())[place], place) for place in places)
            words.append(
                f"input '{name}' of shape {self.text(name)} has no length for {listed}"
                if axes is not None
                else f"input '{name}' has no shape"
            )
        tail = f", {or_else}" if or_else else ""
        raise ModelError(f"{' and '.join(words)}; state what you mean, for example {' '.join(self.options())}{tail}")

    def _example(self, name: str) -> str:
        axes, batch = self.inputs[name], self.batch
        if axes is None:
            return f"{name}=1,3,224,224"
        guess = 224 if len(axes) == 4 else 128
        numbers = (
            axis if isinstance(axis, int) else 1 if axis in batch else self.bound.get(axis, guess) for axis in axes
        )
        return f"{name}={','.join(str(number) for number in numbers)}"


def _axes(value: ir.Value) -> tuple[Axis, ...] | None:
    if value.shape is None:
        return None
    axes: list[Axis] = []
    for place, axis in enumerate(value.shape):
        axes.append(axis if isinstance(axis, int) else _symbol(axis.value) or f"{_UNNAMED}{value.name}.{place}")
    return tuple(axes)


def _symbol(name: str | None) -> str | None:
    return None if name is None or name.lower() in _PLACEHOLDERS else name


def _axis_words(axis: Axis, place: int) -> str:
    return f"axis {place}" if _is_unnamed(axis) else f"'{axis}' (axis {place})"


def _is_unnamed(axis: Axis) -> bool:
    return isinstance(axis, str) and axis.startswith(_UNNAMED)


def _is_batch_name(axis: Axis) -> bool:
    return isinstance(axis, str) and not _is_unnamed(axis) and ("batch" in axis.lower() or axis.lower() in _BATCH_NAMES)
