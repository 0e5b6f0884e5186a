"""The command ``python -m tests.fuzz``: a campaign, or one case again; exit code 1 when something failed."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

import haqc.check
import haqc.compiler
import haqc.fitview
import haqc.inspectview
import haqc.survey
import haqc.targetview  # noqa: F401 (a case is a fork, and should not have to import)
from tests.fuzz.campaign import Failure, campaign
from tests.fuzz.cases import KINDS
from tests.fuzz.compiled import compiled
from tests.fuzz.seeds import networks, operators


def main(arguments: list[str] | None = None) -> int:
    """Runs the command."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0, help="end after so many (default 1)")
    parser.add_argument("--cases", type=int, default=10**9, help="end after so many")
    parser.add_argument("--seed", type=int, default=0, help="seed of all cases (default 0)")
    parser.add_argument("--from", dest="start", type=int, default=0, help="index of the first case (default 0)")
    parser.add_argument("--kind", action="append", choices=sorted(KINDS), help="only these; may be repeated")
    parser.add_argument("--only", type=int, help="run the case of this index alone (with the same --seed and --kind)")
    parser.add_argument("--keep", type=Path, help="folder to leave the cases that fail in")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    networks()
    operators()
    compiled()

    def notice(failure: Failure) -> None:
        print(f"{failure.seed}:{failure.index} {failure.verdict.failures[0][:200]}", file=sys.stderr, flush=True)
        if given.keep is not None:
            failure.keep(given.keep)

    indices = range(given.start, given.start + given.cases) if given.only is None else [given.only]
    done = campaign(given.seed, indices, tuple(given.kind or ()), given.minutes, notice)
    print(done.summary())
    return 1 if done.failures else 0


if __name__ == "__main__":
    sys.exit(main())
