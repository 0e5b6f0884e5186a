"""A pretended device, so that what computes on one can be tested without one.

Its tensors say that they are on torch's ``meta`` device, whose own tensors have no values; theirs lie in an ordinary
tensor beside them, and the processor computes. As on a graphics processor, tensors of two devices may not meet, but for
single numbers and for indices, and numpy takes none without a copy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_iter, tree_map

FAR = "meta"
"""The name of the device."""

_aten = torch.ops.aten
_CROSSING = frozenset({_aten._to_copy.default, _aten.copy_.default})
_INDEXING = frozenset({_aten.index.Tensor, _aten.index_put.default, _aten.index_put_.default})


class Far(torch.Tensor):
    """A tensor on the pretended device."""

    near: torch.Tensor

    @staticmethod
    def __new__(cls, near: torch.Tensor) -> Far:
        made = torch.Tensor._make_wrapper_subclass(
            cls, near.shape, near.stride(), near.storage_offset(), dtype=near.dtype, device=FAR
        )
        made.near = near
        return made

    def __repr__(self) -> str:
        return f"Far({self.near})"

    def tolist(self) -> Any:
        """Gives the values, as a copy from a device does."""
        return self.near.tolist()

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


class PretendedDevice(TorchDispatchMode):
    """While it is entered, there is a device ``meta`` that computes."""

    def __enter__(self) -> Self:
        self._sending = _Sending()
        self._sending.__enter__()
        return super().__enter__()

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        self._sending.__exit__(*error)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


class _Sending(TorchFunctionMode):
    """Has torch.tensor make its tensor here and send it: it would make one of the true device past other modes."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        device = (kwargs or {}).get("device")
        if func is torch.tensor and device is not None:
            return func(*args, **{**kwargs, "device": "cpu"}).to(device)
        return func(*args, **(kwargs or {}))


def _run(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    far = [value for value in tree_iter((args, kwargs)) if isinstance(value, Far)]
    asked = kwargs.get("device")
    goes_far = bool(far) if asked is None else torch.device(asked).type == FAR
    if far and func not in _CROSSING:
        _refuse_strangers(func, args, kwargs)
    near_args, near_kwargs = tree_map(_near, (args, dict(kwargs)))
    if asked is not None:
        near_kwargs["device"] = "cpu"
    result = func(*near_args, **near_kwargs)
    if func is _aten.copy_.default:
        return args[0]
    if not goes_far:
        return result
    # A view of an ordinary tensor is an ordinary tensor, in inference mode too.
    with torch.inference_mode(all(value.is_inference() for value in far) and torch.is_inference_mode_enabled()):
        return return_and_correct_aliasing(func, args, kwargs, tree_map(_wrapped, result))


def _refuse_strangers(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    seen = args[:1] if func in _INDEXING else (args, kwargs)
    for value in tree_iter(seen):
        if isinstance(value, torch.Tensor) and not isinstance(value, Far) and value.dim():
            raise RuntimeError(f"{func} is given tensors of the processor and of the pretended device")


def _near(value: Any) -> Any:
    return value.near if isinstance(value, Far) else value


def _wrapped(value: Any) -> Any:
    return Far(value) if isinstance(value, torch.Tensor) and not isinstance(value, Far) else value
