"""The output folder of a compile: what lies in it, and how it is taken, resumed and emptied."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from haqc.errors import OutputError, ResumeError
from haqc.mirror.quantised import State
from haqc.workbench import Tuned

RESULTS = ("model.onnx", "policy.json", "report.json", "report.html", "layers.csv", "search.jsonl")
"""The files that a compile leaves; nothing half-written ever stands under these names."""


@dataclass(frozen=True, slots=True)
class OutputFolder:
    """A folder that belongs to one compile."""

    path: Path

    @classmethod
    def take(cls, path: Path, *, resume: bool, force: bool) -> OutputFolder:
        """Makes the folder ready for a compile.

        Args:
            resume: go on with what lies in it.
            force: remove what an earlier compile left in it; files of other origin stay.

        Raises:
            OutputError: it is not empty and neither is given, or it cannot be written.
        """
        folder = cls(path)
        try:
            path.mkdir(parents=True, exist_ok=True)
            if not resume and any(path.iterdir()):
                if not force:
                    raise OutputError(
                        f"'{path}' is not empty; add --resume to go on there, --force to replace what haqc left there, "
                        "or name another folder with --out"
                    )
                folder._empty()
            folder.state.mkdir(exist_ok=True)
            check = folder.state / "writable"
            check.write_bytes(b"")
            check.unlink()
        except OSError as error:
            raise OutputError(f"'{path}' cannot be written ({error.strerror}); name another folder with --out") from error
        return folder

    @property
    def state(self) -> Path:
        """Where everything that resuming needs stands."""
        return self.path / ".state"

    def file(self, name: str) -> Path:
        """Gives the path of one of the results."""
        return self.path / name

    def write(self, name: str, text: str) -> None:
        """Writes one of the results whole."""
        part = self.state / f"{name}.part"
        part.write_text(text, encoding="utf-8")
        part.replace(self.file(name))

    def save_tuned(self, name: str, tuned: Tuned) -> None:
        """Keeps a tuned network: numbered arrays, and their names as JSON."""
        parameters, steps = tuned.state.parameters, tuned.state.log_scales
        index = {"parameters": list(parameters), "log_scales": list(steps), "accuracy": tuned.accuracy}
        arrays = {f"p{i}": array for i, array in enumerate(parameters.values())}
        arrays |= {f"s{i}": array for i, array in enumerate(steps.values())}
        part = self.state / f"{name}.part.npz"
        np.savez(part, index=np.frombuffer(json.dumps(index).encode(), np.uint8), **arrays)
        part.replace(self.state / f"{name}.npz")

    def load_tuned(self, name: str) -> Tuned | None:
        """Gives a tuned network kept before, or ``None`` when there is none.

        Raises:
            ResumeError: the file is damaged.
        """
        path = self.state / f"{name}.npz"
        if not path.is_file():
            return None
        try:
            with np.load(path, allow_pickle=False) as file:
                index = json.loads(file["index"].tobytes())
                parameters = {str(n): file[f"p{i}"] for i, n in enumerate(index["parameters"])}
                steps = {str(n): file[f"s{i}"] for i, n in enumerate(index["log_scales"])}
                return Tuned(State(parameters, steps), float(index["accuracy"]))
        except Exception as error:  # a damaged zip raises many kinds
            raise ResumeError(f"'{path}' is damaged; start again with --force") from error

    def save_json(self, name: str, content: Mapping[str, Any]) -> None:
        """Keeps a JSON value for resuming."""
        part = self.state / f"{name}.part"
        part.write_text(json.dumps(content), encoding="utf-8")
        part.replace(self.state / name)

    def load_json(self, name: str) -> Any:
        """Gives a JSON value kept before, or ``None``."""
        path = self.state / name
        if not path.is_file():
            return None
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ResumeError(f"'{path}' is damaged; start again with --force") from error

    def _empty(self) -> None:
        for name in RESULTS:
            self.file(name).unlink(missing_ok=True)
        if self.state.is_symlink():
            self.state.unlink()
        elif self.state.is_dir():
            shutil.rmtree(self.state)
