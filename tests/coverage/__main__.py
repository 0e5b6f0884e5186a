"""Rewrites the table of operators: ``python -m tests.coverage``."""

from __future__ import annotations

import torch

from tests.coverage.table import PATH, written

if __name__ == "__main__":
    torch.set_num_threads(1)
    PATH.write_text(written(), encoding="utf-8")
