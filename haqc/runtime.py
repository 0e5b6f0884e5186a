"""onnxruntime as haqc uses it: one thread, a model in memory, optimisation off or at the runtime's defaults."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

from haqc.content import Content
from haqc.data.split import Split
from haqc.errors import ModelError

VERSION: str = onnxruntime.__version__
"""The version of onnxruntime."""


_DATA_OF_OPTIMISED = "session.optimized_model_external_initializers_file_name"


class Runtime:
    """One loaded model.

    Attributes:
        inputs: names of its inputs, in order.
        outputs: names of its outputs, in order.
    """

    def __init__(
        self, model: bytes | Path | Content, *, optimised: bool = True, optimised_to: Path | None = None
    ) -> None:
        """Loads a serialised model, or a file (whose external data lie beside it).

        Args:
            model: the model.
            optimised: whether the runtime's defaults hold; else nothing is optimised.
            optimised_to: where the model is written as the runtime runs it; ``None`` for nowhere.

        Raises:
            ModelError: onnxruntime refuses the model.
        """
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4  # what fails raises; the rest is the runtime's own diary
        if not optimised:
            options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        if optimised_to is not None:
            options.optimized_model_filepath = str(optimised_to)
            if isinstance(model, Content) and model.apart:
                options.add_session_config_entry(_DATA_OF_OPTIMISED, f"{optimised_to.name}.data")
        self._apart: list[onnxruntime.OrtValue] = []  # the session reads them where they are
        if isinstance(model, Content):
            self._apart = [onnxruntime.OrtValue.ortvalue_from_numpy(array) for array in model.apart.values()]
            options.add_external_initializers(list(model.apart), self._apart)
        try:
            source = str(model) if isinstance(model, Path) else model if isinstance(model, bytes) else model.graph
            self._session = onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its exceptions have no base of their own
            raise ModelError(f"onnxruntime {VERSION} refuses the model ({_first_line(error)})") from error
        self.inputs = tuple(entry.name for entry in self._session.get_inputs())
        self.outputs = tuple(entry.name for entry in self._session.get_outputs())

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Runs the model once and gives every output by name.

        Raises:
            ModelError: the runtime fails on these inputs.
        """
        try:
            results = self._session.run(None, dict(inputs))
        except Exception as error:
            raise ModelError(f"onnxruntime {VERSION} fails on the data ({_first_line(error)})") from error
        return dict(zip(self.outputs, results, strict=True))

    @property
    def samples_per_run(self) -> int | None:
        """How many samples one run takes, no more and no fewer; ``None`` when it takes any number."""
        extent = self._session.get_inputs()[0].shape[:1]
        return extent[0] if extent and isinstance(extent[0], int) else None

    def first_output(self, split: Split, size: int = 250) -> np.ndarray:
        """Gives the first output over a whole split, shape ``[N, ...]``, see :meth:`output`."""
        return self.output(self.outputs[0], split, size)

    def output(self, name: str, split: Split, size: int = 250) -> np.ndarray:
        """Gives an output over a whole split, shape ``[N, ...]``.

        Raises:
            ModelError: the runtime fails on these inputs, or the output has not one row for each sample.
        """
        return np.concatenate([part for (part,) in self.runs((name,), split, size)])

    def runs(self, names: tuple[str, ...], split: Split, size: int = 250) -> Iterator[tuple[np.ndarray, ...]]:
        """Yields some outputs for at most ``size`` samples after the other, in order, shapes ``[samples, ...]``.

        A model with a static batch gets exactly that many samples a run; the last run is filled up and cut.

        Raises:
            ModelError: the runtime fails on these inputs, or an output has not one row for each sample.
        """
        shapes: dict[str, tuple[int, ...]] = {}
        for inputs, count in replace(split, samples_per_run=self.samples_per_run).runs(size):
            results = self.run(dict(zip(self.inputs, inputs, strict=True)))
            for name in names:
                _check_rows(name, results[name].shape, len(inputs[0]), shapes)
            yield tuple(results[name][:count] for name in names)


def executed(model: bytes | Content) -> tuple[tuple[str, str], ...]:
    """Gives the nodes that onnxruntime runs at its defaults, in order: name and operator.

    Raises:
        ModelError: onnxruntime refuses the model.
    """
    with tempfile.TemporaryDirectory(prefix="haqc-") as folder:
        path = Path(folder) / "optimised.onnx"
        Runtime(model, optimised_to=path)
        nodes = onnx.load(path, load_external_data=False).graph.node
        return tuple((node.name, node.op_type) for node in nodes)


def _check_rows(name: str, shape: tuple[int, ...], samples: int, shapes: dict[str, tuple[int, ...]]) -> None:
    """Refuses an output without one row for each sample, or with other rows than in the first run."""
    if shape[:1] != (samples,):
        raise ModelError(
            f"output '{name}' has shape {list(shape)} for {samples} samples; haqc scores one row for each sample: "
            "export the model with the batch first in its outputs as well"
        )
    first = shapes.setdefault(name, shape[1:])
    if shape[1:] != first:
        raise ModelError(
            f"output '{name}' has samples of shape {list(first)} in one run and of {list(shape[1:])} in another; haqc "
            "scores outputs whose shape follows from the inputs' shapes alone: export the model with a fixed batch, or "
            "without this output"
        )


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
