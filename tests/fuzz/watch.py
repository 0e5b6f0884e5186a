"""Watches what a process opens, changes and starts, from inside: an audit hook, which nothing can take away again."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from haqc.onnxprocess.process import COMMAND
from tests.fuzz.case import CANARY, SECRET

_STARTS = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.forkpty", "pty.spawn")
_CHANGES = {
    "os.rename": 2, "os.remove": 1, "os.rmdir": 1, "os.mkdir": 1, "os.link": 2, "os.symlink": 2, "os.truncate": 1,
    "os.chmod": 1, "os.chown": 1, "os.utime": 1, "shutil.rmtree": 1, "shutil.move": 2,
}  # fmt: skip
_NETWORK = ("socket.connect", "socket.bind", "socket.getaddrinfo", "urllib.Request")


def watch(allowed: tuple[Path, ...], named: tuple[str, ...], report: Callable[[str], None]) -> None:
    """Reports, from now on and for as long as the process lives, what a case must not do.

    Args:
        allowed: folders and devices that may be written to.
        named: what the user wrote on the command line, which may be read wherever it lies.
        report: takes one sentence; it must not open files.
    """
    roots = tuple(os.path.realpath(path) for path in allowed)
    real = os.path.realpath

    def is_inside(path: object, folder: int = -1) -> bool:
        if isinstance(path, int):
            return True  # a descriptor that something opened, which was reported then
        text = os.fsdecode(path)  # type: ignore[arg-type]
        where = real(text if folder < 0 else f"/proc/self/fd/{folder}/{text}")  # relative to an open folder
        return any(where == root or where.startswith(root + os.sep) for root in roots)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, mode, flags = arguments
            writes = flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
            if not isinstance(path, int) and writes and not is_inside(path):
                report(f"opens {path!r} for writing ({mode})")
            elif isinstance(path, (str, bytes)) and os.fsdecode(path).endswith(SECRET) and path not in named:
                report(f"opens {path!r}, above its folder")
        elif event in _CHANGES:
            folder = arguments[-1] if event != "os.truncate" and isinstance(arguments[-1], int) else -1
            for path in arguments[: _CHANGES[event]]:
                if not is_inside(path, folder):
                    report(f"changes {path!r} ({event})")
        elif event == "subprocess.Popen" and tuple(arguments[1]) == COMMAND:  # ONNX's inference, which may crash
            pass
        elif event in _STARTS or event in _NETWORK:
            report(f"starts {event} {str(arguments)[:200]}")
        elif event == "import" and str(arguments[0]).split(".")[0] == CANARY:
            report(f"imports {arguments[0]}")
        elif event == "pickle.find_class":
            report(f"unpickles {arguments}")

    sys.addaudithook(hook)
