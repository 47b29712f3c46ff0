"""`make repository` carries the address everywhere, and says what is wrong with a wrong one."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from links import addresses

from notebook_files import ROOT, fingerprint, read
from set_repository import declared, parse, set_repository, text_files


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for path in text_files(ROOT):
        target = tmp_path / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    return tmp_path


def stated(root: Path) -> set[str]:
    return {name for path in text_files(root) for name in addresses(path.read_text("utf-8"))}


def test_the_new_address_stands_everywhere(copy: Path) -> None:
    old = declared(copy)
    changed = set_repository("https://github.com/ada/anomalies.git/", copy)
    assert declared(copy) == "ada/anomalies"
    assert stated(copy) == {"ada/anomalies"}
    assert {Path("pyproject.toml"), Path("_config.yml"), Path("README.md")} <= set(changed)
    left = [path for path in text_files(copy) if f"github.com/{old}" in path.read_text("utf-8")]
    assert left == []


def test_nothing_else_changes(copy: Path) -> None:
    before = {path: path.read_bytes() for path in text_files(copy)}
    chapters = sorted(copy.glob("chapters/*.ipynb"))
    code = [fingerprint(read(path)) for path in chapters]
    home = f"https://github.com/{declared(copy)}"
    set_repository("https://github.com/ada/anomalies", copy)
    assert [fingerprint(read(path)) for path in chapters] == code
    assert set_repository("https://github.com/ada/anomalies", copy) == []
    set_repository(home, copy)
    assert {path: path.read_bytes() for path in text_files(copy)} == before


def test_a_longer_name_is_another_repository(copy: Path) -> None:
    (copy / "other.md").write_text(f"https://github.com/{declared(copy)}-two")
    set_repository("https://github.com/ada/anomalies", copy)
    assert "-two" in (copy / "other.md").read_text()
    assert "ada" not in (copy / "other.md").read_text()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "me/book",
        "http://github.com/me/book",
        "https://gitlab.com/me/book",
        "https://github.com/me",
        "https://github.com/me/book/tree/main",
        "https://github.com/m e/b",
    ],
)
def test_a_wrong_address_is_explained(url: str) -> None:
    with pytest.raises(ValueError, match="URL must look like"):
        parse(url)
