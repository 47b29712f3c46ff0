"""Codespaces and Binder get a Python and an environment that serve."""

from __future__ import annotations

import json
import re

from environment import NEWEST, OLDEST
from notebook_files import ROOT


def version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.search(r"(\d+)\.(\d+)\s*$", text).groups())


def test_the_container_has_a_python_that_serves_and_builds_the_book() -> None:
    text = (ROOT / ".devcontainer" / "devcontainer.json").read_text(encoding="utf-8")
    found = json.loads(re.sub(r"^\s*//.*$", "", text, flags=re.MULTILINE))
    assert OLDEST <= version(found["image"]) <= NEWEST
    assert found["postCreateCommand"] == "make book"


def test_binder_installs_the_lock() -> None:
    folder = ROOT / "binder"
    assert OLDEST <= version((folder / "runtime.txt").read_text()) <= NEWEST
    (line,) = (folder / "requirements.txt").read_text().split("\n")[:1]
    assert (folder / line.removeprefix("-r ")).resolve() == ROOT / "requirements.txt"
    assert (folder / "postBuild").stat().st_mode & 0o111  # it is run
