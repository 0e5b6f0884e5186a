"""Runtimes that run in a process of their own, since they may abort, hang, or need other versions of the libraries."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from haqc.content import Content

LIMIT_S = 600.0
"""Seconds after which a runtime is taken to hang."""


class RuntimeRefuses(Exception):
    """A runtime fails on a model, and says why."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a runtime gave: its version, and arrays by output."""

    version: str
    outputs: Mapping[str, np.ndarray]


@dataclass(frozen=True, slots=True)
class OutsideRuntime:
    """A runtime in another process, and perhaps of another interpreter.

    Attributes:
        module: the module that an interpreter must have.
        script: what runs there.
    """

    module: str
    script: Path

    @property
    def interpreter(self) -> str | None:
        """The interpreter that has it: what ``HAQC_<MODULE>_PYTHON`` names, else this one; ``None`` where neither."""
        named = os.environ.get(f"HAQC_{self.module.upper()}_PYTHON")
        if named:
            return named
        return sys.executable if importlib.util.find_spec(self.module) is not None else None

    def run(
        self, interpreter: str, model: Content, inputs: Mapping[str, np.ndarray], outputs: Sequence[str], parts: int
    ) -> Answer:
        """Runs a model on its inputs, which lie one behind the other along the first axis, in so many equal parts.

        Args:
            interpreter: one that has the runtime, see :attr:`interpreter`.
            model: the model, for a file of the usual name.
            inputs: arrays by graph input.
            outputs: the graph outputs that are wanted.
            parts: the number of parts.

        Raises:
            RuntimeRefuses: the runtime fails, aborts or does not end; the message is one line.
        """
        with tempfile.TemporaryDirectory(prefix="haqc-") as name:
            folder = Path(name)
            for file, content in model.files.items():
                (folder / file).write_bytes(content)
            members: dict[str, Any] = {f"i{index}": array for index, array in enumerate(inputs.values())}
            np.savez(folder / "inputs.npz", **members)
            task = {"inputs": list(inputs), "outputs": list(outputs), "parts": parts}
            (folder / "task.json").write_text(json.dumps(task), encoding="utf-8")
            self._call(interpreter, folder)
            try:
                answer = json.loads((folder / "answer.json").read_text(encoding="utf-8"))
                with np.load(folder / "outputs.npz", allow_pickle=False) as file:
                    found = {name: file[f"o{index}"] for index, name in enumerate(outputs)}
                return Answer(str(answer["version"]), found)
            except (OSError, ValueError, LookupError, TypeError) as error:
                raise RuntimeRefuses("it left no results") from error

    def _call(self, interpreter: str, folder: Path) -> None:
        # -I: neither the folder of the script nor what stands in the environment may hide a library.
        command = [interpreter, "-I", str(self.script), str(folder)]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, errors="replace", timeout=LIMIT_S, check=False, cwd=folder
            )
        except subprocess.TimeoutExpired as error:
            raise RuntimeRefuses(f"it did not end within {LIMIT_S:g} s") from error
        except OSError as error:
            raise RuntimeRefuses(f"'{interpreter}' cannot be run ({error.strerror})") from error
        if done.returncode < 0:
            raise RuntimeRefuses(f"it was ended by signal {-done.returncode}")
        if done.returncode:
            lines = done.stderr.strip().splitlines()
            raise RuntimeRefuses(lines[-1][:300] if lines else f"it ended with code {done.returncode}")
