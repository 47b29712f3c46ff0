"""The pages of the site: those that `_toc.yml` names, and those that are made besides."""

from __future__ import annotations

import yaml

from notebook_files import ROOT

MADE = ["search.html", "genindex.html", "404.html"]


def listed() -> list[str]:
    """The pages of the table of contents, in reading order."""
    contents = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    chapters = [chapter["file"] for part in contents["parts"] for chapter in part["chapters"]]
    return [f"{name}.html" for name in [contents["root"], *chapters]]


PAGES = [*listed(), *MADE]
FROM_DISK = [name for name in PAGES if name != "404.html"]  # it speaks of the root of its host
CHAPTERS = [name for name in PAGES if name.startswith("chapters/0") or "chapters/1" in name]
