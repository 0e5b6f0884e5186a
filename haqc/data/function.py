"""Calls a function of the user's for data, when the command line names one."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from haqc.errors import DataError, nearest

_REFERENCE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")


def is_function(source: str) -> bool:
    """Whether the text has the form ``package.module:function``.

    >>> is_function("my.data:load"), is_function("C:/data.npz")
    (True, False)
    """
    return _REFERENCE.fullmatch(source) is not None


def call_function(reference: str) -> dict[str, np.ndarray]:
    """Calls ``package.module:function`` without arguments and gives the arrays it returns, named as in an ``.npz``.

    The module may lie in the current folder. This runs the user's code: call it only for names that the user gave.

    Raises:
        DataError: there is no such module or function, it raises, or it returns anything but a dict of arrays.
    """
    if not is_function(reference):
        raise DataError(f"{reference}: is no function; write package.module:function")
    with _current_folder_importable():
        function = _find(reference)
        try:
            members = function()
        except Exception as error:
            raise DataError(f"{reference}: raised {type(error).__name__}: {error}; mend the function") from error
    if not isinstance(members, dict):
        raise DataError(f"{reference}: returned {type(members).__name__}; return a dict of numpy arrays")
    for name, array in members.items():
        if not isinstance(name, str) or not isinstance(array, np.ndarray):
            raise DataError(f"{reference}: returned {type(array).__name__} under {name!r}; return numpy arrays by name")
    return members


def _find(reference: str) -> Callable[[], object]:
    module_name, _, name = reference.partition(":")
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
    found: Callable[[], object] = function
    return found


@contextmanager
def _current_folder_importable() -> Iterator[None]:
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
