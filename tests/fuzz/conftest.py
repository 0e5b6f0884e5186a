"""What of this folder pytest does not import: the guided campaign needs atheris, an optional dependency."""

collect_ignore = ["guided.py"]
