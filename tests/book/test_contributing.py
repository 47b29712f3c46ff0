"""CONTRIBUTING names each file of `tools/` once, and each floor of vae_lib is there."""

from __future__ import annotations

import re

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
