"""The pages of the site: those that `_toc.yml` names, and those that are made besides."""

from __future__ import annotations

import re

from notebook_files import ROOT

MADE = ["search.html", "genindex.html", "404.html"]


def listed() -> list[str]:
    """The pages of the table of contents, in reading order, those of sections included."""
    contents = (ROOT / "_toc.yml").read_text(encoding="utf-8")
    names = re.findall(r"^ *(?:- file|root): (\S+)$", contents, re.MULTILINE)
    return [f"{name}.html" for name in names]


PAGES = [*listed(), *MADE]
FROM_DISK = [name for name in PAGES if name != "404.html"]  # it speaks of the root of its host
CHAPTERS = [name for name in PAGES if re.match(r"chapters/\d\d_", name)]
