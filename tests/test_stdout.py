"""Standard output: results alone, whatever native libraries print."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from haqc import stdout

SCRIPT = """
import ctypes, os, sys
from haqc import stdout
stdout.reserve()
os.write(1, b"remark ")
os.system("echo of a child")
print("result")
sys.stdout.flush()
os.write(1, b"another")
print("späte Zeile")
"""


def test_what_native_code_prints_goes_to_standard_error() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, check=True)
    assert done.stdout.decode() == "result\nspäte Zeile\n"
    assert done.stderr.decode() == "remark of a child\nanother"


def test_a_closed_standard_output_or_error_is_no_mistake() -> None:
    for closed in ("1>&-", "2>&-"):
        done = subprocess.run(
            f"{sys.executable} -m haqc --version {closed}", shell=True, capture_output=True, check=False
        )
        assert done.returncode == 0


MUTED = """
import ctypes, os
from haqc import stdout
C = ctypes.CDLL(None)
print("before")
C.puts(b"early")
with stdout.muted():
    C.puts(b"remark")
    os.write(1, b"remark")
C.puts(b"late")
print("after", flush=True)
"""


def test_a_muted_solver_prints_nothing_and_others_lose_nothing() -> None:
    done = subprocess.run([sys.executable, "-c", MUTED], capture_output=True, check=True)
    assert sorted(done.stdout.decode().split()) == ["after", "before", "early", "late"]
    assert done.stderr == b""
    closed = subprocess.run(f"{sys.executable} -c '{MUTED}' 1>&-", shell=True, capture_output=True, check=False)
    assert b"remark" not in closed.stderr


def next_descriptor() -> int:
    number = os.dup(2)
    os.close(number)
    return number


def test_where_nothing_can_be_muted_no_descriptor_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    before = next_descriptor()
    monkeypatch.setattr(os, "devnull", "/no/such/file")
    with stdout.muted():
        pass
    assert next_descriptor() == before
