"""Rewrites the golden totals of all targets: ``python -m tests.golden``.

No test does that, so that every change of a figure shows as a change of a file.
"""

from __future__ import annotations

from haqc import targets
from tests.golden.networks import networks
from tests.golden.totals import FOLDER, golden_file, totals, written

if __name__ == "__main__":
    graphs = networks()
    for stale in set(FOLDER.glob("*.json")) - {golden_file(name) for name in targets.names()}:
        stale.unlink()
    for name in targets.names():
        text = written(totals(name, graphs))
        path = golden_file(name)
        print(name, "unchanged" if path.is_file() and path.read_text() == text else "rewritten")
        path.write_text(text)
