"""Feeds mutated files to the command line, and watches what it does: ``python -m tests.fuzz --help``."""
