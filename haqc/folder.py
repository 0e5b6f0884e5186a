"""The output folder of a compile: what lies in it, and how it is taken, resumed and emptied."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from haqc.errors import OutputError, ResumeError
from haqc.formats import MAIN_FILE, beside_files
from haqc.mirror.quantised import State
from haqc.npz import read_npz
from haqc.probe import Probe
from haqc.recovery import Recovery
from haqc.sweptfiles import front_left, points_left
from haqc.tuned import Tuned

RESULTS = (MAIN_FILE, "policy.json", "report.json", "report.html", "layers.csv", "search.jsonl", *beside_files())
"""The files that a compile leaves; nothing half-written ever stands under these names."""

_STATE = ".state"

AGENT = f"{_STATE}/agent.npz"
"""Where a compile keeps what its agent has learnt, for the searches of others."""


@dataclass(frozen=True, slots=True)
class OutputFolder:
    """A folder that belongs to one compile.

    Attributes:
        path: where it is.
        results: the names of the files that are left there.
    """

    path: Path
    results: tuple[str, ...] = RESULTS

    def check(self, model: Path, *, resume: bool, force: bool) -> None:
        """Checks, and changes nothing, that a compile of ``model`` may use the folder.

        Args:
            model: the file to compile, which must not be among those that are replaced.
            resume: go on with what lies in it.
            force: replace what an earlier compile or sweep left in it.

        Raises:
            OutputError: it is no folder; it is not empty and neither is given; or it holds files under the results'
                names that are links, the model itself, or of other origin.
        """
        try:
            present = {entry.name for entry in self.path.iterdir()}
        except FileNotFoundError:
            return
        except OSError as error:
            raise self._unusable(error) from error
        if present and not (resume or force):
            raise OutputError(
                f"'{self.path}' is not empty; add --resume to go on there, --force to replace what haqc left there, "
                "or name another folder with --out"
            )
        for name in (name for name in (_STATE, *self._own) if name in present):
            file = self.file(name)
            if file.is_symlink():
                raise OutputError(f"'{file}' is a link, and haqc writes nothing outside its folder; remove the link")
            if _STATE not in present or (model.exists() and file.samefile(model)):
                raise OutputError(
                    f"'{file}' was not left there by a compile, and would be replaced; name another folder with --out"
                )
        for point in self._points:
            if point.state.is_dir():
                point.check(model, resume=resume, force=force)

    def take(self, *, resume: bool) -> None:
        """Makes the folder ready: what an earlier compile or sweep left goes, unless there is something to resume.

        Files of other origin stay.

        Raises:
            OutputError: it cannot be written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            if not (resume and self._has_begun()):
                self._empty()
            self.state.mkdir(exist_ok=True)
            trial = self.state / "writable"
            trial.write_bytes(b"")
            trial.unlink()
        except OSError as error:
            raise self._unusable(error) from error

    @property
    def state(self) -> Path:
        """Where everything that resuming needs stands."""
        return self.path / _STATE

    def file(self, name: str) -> Path:
        """Gives the path of one of the results."""
        return self.path / name

    def write(self, name: str, content: bytes) -> None:
        """Writes one of the results whole."""
        with self._whole(self.file(name)) as part:
            part.write_bytes(content)

    def keep(self, name: str, content: bytes) -> None:
        """Writes something that only haqc reads, whole."""
        with self._whole(self.state / name) as part:
            part.write_bytes(content)

    def discard(self) -> None:
        """Removes what was left there, and the folder where nothing else is in it.

        Raises:
            OutputError: it cannot be written.
        """
        if not self.state.is_dir():
            return
        try:
            self._empty()
            if not any(self.path.iterdir()):
                self.path.rmdir()
        except OSError as error:
            raise self._unusable(error) from error

    def write_formats(self, files: Mapping[str, bytes]) -> None:
        """Writes the files of all formats, each whole, and removes those of formats that are not among them."""
        for name in {*beside_files()} - {*files}:
            self.file(name).unlink(missing_ok=True)
        for name, content in files.items():
            self.write(name, content)

    def save_tuned(self, name: str, tuned: Tuned) -> None:
        """Keeps a tuned network: numbered arrays, and their names as JSON."""
        parameters, steps, books = tuned.state.parameters, tuned.state.log_scales, tuned.state.centroids
        index = {"parameters": list(parameters), "log_scales": list(steps), "accuracy": tuned.accuracy}
        index["recovery"] = None if tuned.recovery is None else tuned.recovery.to_json()
        index["centroids"] = list(books)
        arrays: dict[str, Any] = {f"p{i}": array for i, array in enumerate(parameters.values())}
        arrays |= {f"s{i}": array for i, array in enumerate(steps.values())}
        arrays |= {f"c{i}": array for i, array in enumerate(books.values())}
        with self._whole(self.state / f"{name}.npz") as part:
            np.savez(part, index=np.frombuffer(json.dumps(index).encode(), np.uint8), **arrays)

    def load_tuned(self, name: str) -> Tuned | None:
        """Gives a tuned network kept before, or ``None`` when there is none.

        Raises:
            ResumeError: the file is damaged.
        """
        path = self.state / f"{name}.npz"
        if not path.is_file():
            return None
        try:
            arrays = read_npz(path)
            index = json.loads(arrays["index"].tobytes())
            parameters = {str(n): arrays[f"p{i}"] for i, n in enumerate(index["parameters"])}
            steps = {str(n): arrays[f"s{i}"] for i, n in enumerate(index["log_scales"])}
            books = {str(n): arrays[f"c{i}"] for i, n in enumerate(index["centroids"])}
            recovery = None if index["recovery"] is None else Recovery.of_json(index["recovery"])
            return Tuned(State(parameters, steps, books), float(index["accuracy"]), recovery)
        except Exception as error:  # an index that is none raises many kinds
            raise ResumeError(f"'{path}' is damaged; start again with --force") from error

    def save_agent(self, weights: Mapping[str, np.ndarray]) -> None:
        """Keeps what the agent of the search has learnt: the weights of its networks, by name."""
        arrays: dict[str, Any] = {name: weights[name] for name in sorted(weights)}
        with self._whole(self.path / AGENT) as part:
            np.savez(part, **arrays)

    def save_probe(self, probe: Probe) -> None:
        """Keeps what ``haqc verify`` compares with."""
        with self._whole(self.state / "probe.npz") as part:
            probe.save(part)

    def save_table(self, name: str, rows: Sequence[Sequence[float]]) -> None:
        """Keeps rows of numbers for resuming."""
        with self._whole(self.state / name) as part:
            part.write_text(json.dumps(rows), encoding="utf-8")

    def load_table(self, name: str, counts: Sequence[int]) -> list[list[float]] | None:
        """Gives rows kept before, or ``None`` when there are none.

        Args:
            name: the name they were kept under.
            counts: how many numbers each row has.

        Raises:
            ResumeError: the file is damaged.
        """
        path = self.state / name
        if not path.is_file():
            return None
        try:
            rows = [[float(value) for value in row] for row in json.loads(path.read_text(encoding="utf-8"))]
        except (ValueError, TypeError, RecursionError, OverflowError) as error:
            raise ResumeError(f"'{path}' is damaged; start again with --force") from error
        if [len(row) for row in rows] != list(counts) or not all(math.isfinite(value) for row in rows for value in row):
            raise ResumeError(f"'{path}' is damaged; start again with --force")
        return rows

    def _has_begun(self) -> bool:
        """Whether there is a log with a fingerprint; without one nobody knows what the rest was made from."""
        log = self.file("search.jsonl")
        if not log.is_file():
            return False
        with log.open("rb") as stream:
            return stream.readline().endswith(b"\n")

    @property
    def _own(self) -> tuple[str, ...]:
        """The files that are replaced: the results, and the front of a sweep of before."""
        return tuple(dict.fromkeys((*self.results, *front_left(self.state))))

    @property
    def _points(self) -> tuple[OutputFolder, ...]:
        """The folders of the points of a sweep of before."""
        return tuple(OutputFolder(self.path / name) for name in points_left(self.path, self.state))

    def _empty(self) -> None:
        for point in self._points:
            point.discard()
        for name in self._own:
            self.file(name).unlink(missing_ok=True)
        if self.state.is_dir():
            shutil.rmtree(self.state)

    @contextmanager
    def _whole(self, path: Path) -> Iterator[Path]:
        """Gives a path to write to in place of ``path``, and puts the file there when it is complete.

        Raises:
            OutputError: writing fails.
        """
        part = self.state / f"part.{path.name}"
        try:
            yield part
            part.replace(path)
        except OSError as error:
            raise self._unusable(error) from error

    def _unusable(self, error: OSError) -> OutputError:
        return OutputError(f"'{self.path}' cannot be written ({error.strerror}); name another folder with --out")
