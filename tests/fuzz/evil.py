"""Values that break programs."""

from __future__ import annotations

from tests.fuzz.case import SECRET

NAMES = (
    "",
    ".",
    "..",
    "/",
    "/etc/passwd",
    f"../{SECRET}",
    f"../../{SECRET}",
    "../../../escaped",
    "a\0b",
    "a" * 300,
    "a" * 5000,
    "<script>alert(1)</script>",
    "[bold red]x[/nothing]",
    "\x1b[2J\x1b]0;t\x07",
    "\u202eabc",
    "\n\r\t",
    "=cmd()",
    "{0.__class__}",
    "%s%n",
    "con.nul",
    "*",
    "a,b",
    "a=b",
    "'\"`;rm",
    "\N{GRINNING FACE}" * 40,
    "\u6f22\u5b57",
    "x" + "/x" * 200,
    "canary:load",
    "0",
    "None",
)

NUMBERS = (
    *(0, 1, -1, 2, 3, 7, 8, 9, 255, 256, 65535, 65536, 2**31 - 1, 2**31, -(2**31), 2**32, 2**53, 2**62),
    *(2**63 - 1, -(2**63), 10**12),
)
"""Integers, all of 64 bits."""

FLOATS = (0.0, -0.0, 1.0, -1.0, 1e-45, 1e-300, 1e38, 3.5e38, float("inf"), float("-inf"), float("nan"), 0.5)
