"""A folder that a compile left, once for a process."""

from __future__ import annotations

import contextlib
import io
import sys
import tempfile
from functools import cache
from pathlib import Path

from haqc.cli import main
from tests.command_line import inline_jobs
from tests.fuzz.seeds import tiny


@cache
def compiled() -> dict[str, bytes]:
    """Compiles the tiny network; gives the files of the folder by their path in it."""
    with tempfile.TemporaryDirectory() as name:
        model, out, words = Path(name, "in.onnx"), Path(name, "out"), sys.argv
        model.write_bytes(tiny())
        options = (
            "--target",
            "edge",
            "--budget",
            "energy=0.9",
            "--finetune",
            "0",
            "--reconstruct",
            "16",
            "--evaluations",
            "1",
            "--no-default-pins",
            "--jobs",
            "1",
        )
        sys.argv = ["haqc", "compile", str(model), *options, "--out", str(out), "--quiet"]
        said = io.StringIO()
        try:
            with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said), inline_jobs():
                main()
        except SystemExit as end:
            assert not end.code, said.getvalue()
        finally:
            sys.argv = words
        return {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}
