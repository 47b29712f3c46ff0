"""Carry a new repository address to every file: `make repository URL=https://github.com/me/my-book`.

The address stands in pyproject.toml; Colab links, set-up cells, `_config.yml`, README and
CITATION.cff repeat it, since their readers do not read pyproject.toml.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from notebook_files import ROOT, write_text

NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9_-])?"
SUFFIXES = {".ipynb", ".md", ".yml", ".toml", ".cff", ".py", ".html"}
OTHERS = {"tests", "tools"}  # they name other repositories
MADE = {"_build", "build", "dist", "__pycache__", "vae_lib.egg-info"}


def declared(root: Path = ROOT) -> str:
    """OWNER/REPOSITORY as pyproject.toml has it."""
    text = (root / "pyproject.toml").read_text(encoding="utf-8")
    match = re.search(rf'^Repository = "https://github\.com/({NAME}/{NAME})"', text, re.MULTILINE)
    if not match:
        raise ValueError('pyproject.toml has no line: Repository = "https://github.com/…/…"')
    return match[1]


def parse(url: str) -> str:
    """OWNER/REPOSITORY of a URL, or a ValueError that says how a URL should look."""
    cleaned = url.strip().rstrip("/").removesuffix(".git")
    match = re.fullmatch(rf"https://github\.com/({NAME}/{NAME})", cleaned)
    if not match:
        raise ValueError(f"URL must look like https://github.com/me/my-book, not '{url}'.")
    return match[1]


def project_files(root: Path, but: set[str]) -> list[Path]:
    """The project's own files: none that is made, no hidden folder but .github, no folder `but`."""
    paths = []
    for folder, folders, files in os.walk(root):
        kept = [f for f in folders if f not in MADE | but]
        folders[:] = [f for f in kept if f[0] != "." or f == ".github"]
        paths += [Path(folder, file) for file in files]
    return sorted(paths)


def text_files(root: Path) -> list[Path]:
    """Those of the project's files that may repeat the address."""
    return [path for path in project_files(root, OTHERS) if path.suffix in SUFFIXES]


def set_repository(url: str, root: Path = ROOT) -> list[Path]:
    """Replace the declared address everywhere; return the files that changed."""
    new, old = parse(url), declared(root)
    # Both https://github.com/O/R and Colab's /github/O/R, but not github.com/O/R-two.
    address = re.compile(rf"(\bgithub(?:\.com)?/){re.escape(old)}(?![\w-]|\.(?!git\b)\w)")
    changed = []
    for path in text_files(root):
        before = path.read_bytes().decode("utf-8")
        after = address.sub(lambda match: match[1] + new, before)
        if after != before:
            write_text(path, after)
            changed.append(path.relative_to(root))
    return changed


if __name__ == "__main__":
    url = " ".join(sys.argv[1:])
    try:
        print(f"{url}: {len(set_repository(url))} files changed")
    except ValueError as error:
        sys.exit(str(error))
