"""Rewrites the list of operators that the mirror knows: ``python -m tests.mirrored``."""

from __future__ import annotations

import textwrap
from pathlib import Path

import haqc.mirror.operators  # noqa: F401 (registers the operators)
from haqc.mirror.node import REGISTRY

PATH = Path(__file__).resolve().parents[1] / "haqc" / "mirrored.py"

_HEAD = '''"""The operators that the mirror knows, by name, so that torch need not be loaded to know them.

``python -m tests.mirrored`` rewrites this file; a test compares it with the mirror.
"""

from __future__ import annotations

_NAMES = {
'''
_TAIL = '''}

MIRRORED = frozenset((domain, name) for domain, names in _NAMES.items() for name in names.split())
"""Operators that can be run, and trained, in torch, as (domain, name); some lack a form, which a compile then names."""
'''


def written() -> str:
    """Gives what the file must say."""
    domains = sorted({domain for domain, _ in REGISTRY.builders})
    return _HEAD + "".join(map(_entry, domains)) + _TAIL


def _entry(domain: str) -> str:
    names = " ".join(sorted(name for other, name in REGISTRY.builders if other == domain))
    lines = textwrap.wrap(names, 108)
    if len(lines) == 1 and len(names) + len(domain) < 100:
        return f'    "{domain}": "{names}",\n'
    quoted = [f'        "{line} "\n' for line in lines[:-1]] + [f'        "{lines[-1]}"\n']
    return f'    "{domain}": (\n{"".join(quoted)}    ),\n'


if __name__ == "__main__":
    PATH.write_text(written(), encoding="utf-8")
