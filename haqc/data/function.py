"""Calls a function of the user's for data, when the command line names one."""

from __future__ import annotations

import numpy as np

from haqc.errors import DataError
from haqc.userfunction import current_folder_importable, find_function


def call_function(reference: str) -> dict[str, np.ndarray]:
    """Calls ``package.module:function`` without arguments and gives the arrays it returns, named as in an ``.npz``.

    The module may lie in the current folder. This runs the user's code: call it only for names that the user gave.

    Raises:
        DataError: there is no such module or function, it raises, or it returns anything but a dict of arrays.
    """
    function = find_function(reference)
    with current_folder_importable():
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
