"""The command line: each command parses its arguments, calls, and prints; mistakes become sentences."""

from __future__ import annotations

import errno
import logging
import sys
from typing import NoReturn

import typer

from haqc import stdout
from haqc.cli import annotation, compile, cost, emit, inspect, plot, report, sweep, targets, verify  # noqa: F401 (they register)
from haqc.cli.application import app
from haqc.errors import HaqcError, Interrupted

__all__ = ["app", "main"]

_USERS_ERRNOS = frozenset(
    {errno.EACCES, errno.EDQUOT, errno.ELOOP, errno.ENAMETOOLONG, errno.ENOSPC, errno.EPERM, errno.EROFS}
)
"""Errors of the system that are no bug of haqc's: paths that no file can have, full disks, missing permission."""


def main() -> None:
    """Runs the command line; every mistake becomes one sentence and an exit code."""
    stdout.reserve()
    logging.getLogger().addHandler(logging.NullHandler())  # libraries print what nobody handles, tracebacks included
    try:
        code = app(prog_name="haqc", standalone_mode=False)
    except HaqcError as error:
        _fail(str(error), error.exit_code)
    except typer.Exit as error:
        code = error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        code = Interrupted.exit_code
    except OSError as error:
        if error.errno not in _USERS_ERRNOS:
            raise
        where = f"'{error.filename}'" if error.filename else "a file"
        _fail(f"{where} cannot be used ({error.strerror}); name another path, or make room and give permission", 2)
    except Exception as error:
        if hasattr(error, "format_message") and hasattr(error, "exit_code"):  # a usage error of the command line
            context = getattr(error, "ctx", None)
            hint = f"; see '{context.command_path} --help'" if context is not None else ""
            _fail(error.format_message().rstrip(".") + hint, 2)
        raise
    if code == Interrupted.exit_code:  # of a command that has nothing more to say
        _fail("interrupted; run the command again", code)
    sys.exit(code if isinstance(code, int) else 0)


def _fail(message: str, code: int) -> NoReturn:
    """Says what is wrong in one line, whatever stood in a file that the message quotes, and ends."""
    from haqc.plaintext import visible  # noqa: PLC0415

    typer.echo(visible(f"haqc: {message}"), err=True)
    sys.exit(code)
