"""How Sphinx builds the site of these pages: ``make docs``. The pages themselves stay plain Markdown."""

import re
from pathlib import Path

from sphinx.application import Sphinx

from haqc import __version__

project = "haqc"
release = __version__
copyright = "the authors of haqc"
extensions = ["myst_parser"]
myst_heading_anchors = 4
html_theme = "furo"
html_title = f"haqc {release}"
html_copy_source = False
html_show_sphinx = False
exclude_patterns = ["_build"]


def _adapt(_: Sphinx, page: str, source: list[str]) -> None:
    """Makes the navigation of the links of index.md, and plain words of links that leave the folder."""
    if page == "index":
        pages = re.findall(r"\]\(([\w-]+)\.md\)", source[0])
        source[0] += "\n".join(["", "```{toctree}", ":hidden:", "", *dict.fromkeys(pages), "```", ""])
    source[0] = re.sub(r"\[([^\]]+)\]\((\.\./[^)]*)\)", _words, source[0])


def _words(link: re.Match[str]) -> str:
    name = link[2].removeprefix("../")
    return link[1] if Path(name).name in link[1] else f"{link[1]} (`{name}`)"


def setup(app: Sphinx) -> None:
    """Registers what is changed when a page is read."""
    app.connect("source-read", _adapt)
