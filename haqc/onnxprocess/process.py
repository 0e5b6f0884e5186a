"""Starts the process of its own, asks it, and says in a sentence that it crashed or hangs."""

from __future__ import annotations

import atexit
import functools
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import TracebackType

from haqc.errors import ModelError
from haqc.onnxprocess.child import REFUSED, receive, send

LIMIT_S = 60.0
"""Wall-clock seconds after which an answer is not waited for any more: graphs of 10,000 nodes need about one."""

COMMAND = (sys.executable, "-P", str(Path(__file__).with_name("child.py")))
"""What is started. ``-P``: nothing is imported that stands beside the script, or where the user happens to be."""


class Refused(Exception):
    """ONNX refuses what it is given; the message is its own."""


class Crashed(Exception):
    """The process ended while it was asked."""


class OnnxProcess:
    """A process with ONNX's inference, which some graphs crash. A context manager; leaving it ends the process.

    It is started when it is first asked, again after a crash, and costs about 0.2 s of processor time each time, so
    that what may be asked often asks the :func:`lasting` one.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = os.getpid()

    def __enter__(self) -> OnnxProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the process, where there is one; the next question starts another."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def ask(self, task: str, *given: bytes) -> list[bytes]:
        """Has the function of this name in ``child.py`` called, and gives its answer.

        Raises:
            Refused: ONNX refuses.
            Crashed: the process ended.
            ModelError: no answer came within :data:`LIMIT_S`, or no process can be started.
        """
        if self._owner != os.getpid():  # a fork of this process has no part in what the original one asks
            self._process, self._owner = None, os.getpid()
        process = self._process = self._process or _started()
        assert process.stdin is not None
        assert process.stdout is not None
        watchdog, start_s = threading.Timer(LIMIT_S, process.kill), time.monotonic()
        watchdog.start()
        try:
            send(process.stdin, [task.encode(), *given])
            answer = receive(process.stdout)
        except BrokenPipeError:
            answer = None
        finally:
            watchdog.cancel()
        if answer is None:
            self.close()
            if time.monotonic() - start_s < LIMIT_S:
                raise Crashed
            raise ModelError(
                f"ONNX's shape inference does not end within {LIMIT_S:g} s on this graph; export the model again, "
                "with static shapes, or simplify it"
            )
        if answer[0] == REFUSED:
            raise Refused(answer[1].decode("utf-8", "replace"))
        return answer[1:]


@functools.cache
def lasting() -> OnnxProcess:
    """Gives the process that serves as long as this one lives."""
    process = OnnxProcess()
    atexit.register(process.close)
    return process


def _started() -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}  # finds what this one finds
    try:
        return subprocess.Popen(
            COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
        )
    except OSError as error:
        raise ModelError(
            f"ONNX's shape inference cannot be started: '{sys.executable}' does not run ({error.strerror}); use haqc "
            "in a Python that can start another"
        ) from error
