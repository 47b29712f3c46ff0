"""What people and machines read: CONTRIBUTING's tables, files of Codespaces and Binder."""

from __future__ import annotations

import json
import re

from environment import NEWEST, OLDEST
from notebook_files import ROOT

TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def test_the_table_of_tools_has_each_file_once() -> None:
    table = TEXT.partition("| You want to change |")[2].partition("\n\n")[0]
    named = re.findall(r"`(\w+\.py)`", table)
    assert sorted(named) == sorted(path.name for path in (ROOT / "tools").glob("*.py"))


def test_the_table_of_floors_names_what_there_is() -> None:
    table = TEXT.partition("| floor | file | one idea |")[2].partition("\n\n")[0]
    rows = [row.split("|")[2] for row in table.splitlines()[1:]]
    named = {name for row in rows for name in re.findall(r"`([\w/.]+)`", row)}
    missing = {name for name in named if not (ROOT / "vae_lib" / name).exists()}
    assert named and missing == set()
    there = {
        path.name + ("/" if path.is_dir() else "")
        for path in (ROOT / "vae_lib").iterdir()
        if path.suffix == ".py" or (path / "__init__.py").exists() or path.name == "records"
    }
    assert there - named - {"__init__.py"} == set()


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
