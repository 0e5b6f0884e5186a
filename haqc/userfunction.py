"""Finds a function of the user's, when the command line names one."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from haqc.errors import DataError, nearest

_REFERENCE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")


def is_function(source: str) -> bool:
    """Whether the text has the form ``package.module:function``.

    >>> is_function("my.data:load"), is_function("C:/data.npz")
    (True, False)
    """
    return _REFERENCE.fullmatch(source) is not None


def find_function(reference: str) -> Callable[..., object]:
    """Gives the function that ``package.module:function`` names; its module may lie in the current folder.

    Importing runs the user's code: call this only for names that the user gave.

    Raises:
        DataError: there is no such module or function.
    """
    if not is_function(reference):
        raise DataError(f"{reference}: is no function; write package.module:function")
    module_name, _, name = reference.partition(":")
    with current_folder_importable():
        try:
            module = importlib.import_module(module_name)
        except Exception as error:
            raise DataError(
                f"{reference}: cannot import {module_name} ({type(error).__name__}: {error}); "
                "install it, or run haqc in the folder that holds it"
            ) from error
    function = getattr(module, name, None)
    if not callable(function):
        names = [known for known, value in vars(module).items() if callable(value)]
        raise DataError(f"{reference}: {module_name} has no function '{name}'{nearest(name, names)}; name one it has")
    found: Callable[..., object] = function
    return found


@contextmanager
def current_folder_importable() -> Iterator[None]:
    """Adds the current folder at the end of the search path, where it can hide no installed package."""
    folder = str(Path.cwd())
    if folder in sys.path:
        yield
        return
    sys.path.append(folder)
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path.remove(folder)
