"""Bitwidths per layer, valid by construction.

A :class:`Space` says which widths every operand of a graph may take on a target; a :class:`Policy` is one point of a
space and can be made only through it, so pins, shared tensors, groups and the target's widths hold for whatever made
it.
"""

from haqc.policy.choices import Choice
from haqc.policy.file import load, read, read_content
from haqc.policy.fit import read_fitting, require_tensors
from haqc.policy.policy import POLICY_SCHEMA, Bits, Policy, baseline, plain
from haqc.policy.space import Space, plain_on

__all__ = [
    "POLICY_SCHEMA",
    "Bits",
    "Choice",
    "Policy",
    "Space",
    "baseline",
    "load",
    "plain",
    "plain_on",
    "read",
    "read_content",
    "read_fitting",
    "require_tensors",
]
