"""The guard sees what it is there to see: each test does something forbidden in a case, and one does nothing."""

from __future__ import annotations

import contextlib
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fuzz import guard
from tests.fuzz.case import Case
from tests.fuzz.guard import Verdict, run

pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")

CASE = Case("none", ("inspect",), {"in.onnx": b"0123", "out/kept": b""}, ())


def verdict_of(command: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> Verdict:
    monkeypatch.setattr(guard, "main", command)
    return run(CASE)


def leave(code: int, said: str = "haqc: no") -> None:
    print(said, file=sys.stderr)
    sys.exit(code)


def write_inside() -> None:
    Path("out", "made").write_text("x", encoding="utf-8")
    Path("out", "kept").unlink()
    Path("in.onnx").read_bytes()
    leave(0)


def raise_chained() -> None:
    try:
        {}["absent"]
    except KeyError as error:
        raise ValueError("wrong") from error


def spin() -> None:
    while True:
        pass


def fill_memory() -> None:
    blocks = [bytearray(1 << 28) for _ in range(12)]
    leave(len(blocks))


def write_beside() -> None:
    Path("in.onnx").write_bytes(b"changed")
    leave(0)


def rename_outside() -> None:
    Path("in.onnx").rename("../moved")
    leave(0)


def read_above() -> None:
    Path("../secret.bin").read_bytes()
    leave(0)


def start_program() -> None:
    subprocess.run(["true"], check=True)
    leave(0)


def import_what_lies_there() -> None:
    __import__("canary")
    leave(0)


def unpickle() -> None:
    pickle.loads(pickle.dumps(Path))
    leave(0)


def swallow_a_write() -> None:
    with contextlib.suppress(OSError):
        Path("/nowhere/file").write_text("x", encoding="utf-8")
    leave(0)


def steer_the_terminal() -> None:
    print("\x1b[2J")
    leave(0)


def test_what_is_allowed_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    verdict = verdict_of(write_inside, monkeypatch)
    assert verdict.failures == ()
    assert verdict.code == 0


@pytest.mark.parametrize("code", [0, 2, 3, 4])
def test_exit_codes_of_the_contract_pass(code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    verdict = verdict_of(lambda: leave(code), monkeypatch)
    assert (verdict.failures, verdict.code) == ((), code)


@pytest.mark.parametrize(
    ("command", "failure"),
    [
        (raise_chained, "ValueError: wrong"),
        (raise_chained, "because of KeyError"),
        (lambda: leave(1), "exit code 1"),
        (lambda: leave(2, "something else"), "without a sentence"),
        (lambda: leave(2, "Traceback (most recent call last)\nhaqc: no"), "a traceback on standard error"),
        pytest.param(fill_memory, "MemoryError", marks=pytest.mark.slow),
        (write_beside, "opens 'in.onnx' for writing"),
        (write_beside, "touches a/b/c/in/in.onnx"),
        (rename_outside, "changes 'in.onnx' (os.rename)"),
        (rename_outside, "touches a/b/c/moved"),
        (read_above, "opens '../secret.bin', above its folder"),
        (start_program, "starts subprocess.Popen"),
        (import_what_lies_there, "imports canary"),
        (unpickle, "unpickles"),
        (swallow_a_write, "opens '/nowhere/file' for writing"),
        (steer_the_terminal, "prints the character"),
    ],
)
def test_what_is_forbidden_fails(command: Callable[[], object], failure: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = " / ".join(verdict_of(command, monkeypatch).failures)
    assert failure in found


@pytest.mark.slow
def test_a_loop_without_end_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "CPU_S", 1)
    verdict = verdict_of(spin, monkeypatch)
    assert verdict.code is None
    assert any("SIGXCPU" in failure for failure in verdict.failures)
