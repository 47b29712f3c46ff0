"""Two `make` in one clone, at once or not: nothing is half made, and nothing made twice."""

from __future__ import annotations

import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from subprocess import CompletedProcess

import pytest

import build_site
import environment


def test_a_second_build_of_the_site_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    under_way: list[Path] = []
    most: list[int] = []

    def slow(root: Path) -> CompletedProcess:
        under_way.append(root)
        most.append(len(under_way))
        time.sleep(0.3)
        under_way.remove(root)
        return CompletedProcess([], 1)  # a failed build is not taken for one

    monkeypatch.setattr(build_site, "_build", slow)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(build_site.build, [tmp_path, tmp_path]))
    assert most == [1, 1]
    assert capsys.readouterr().out.count("waiting for it") == 1


def test_a_site_is_built_again_when_anything_it_reads_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[str] = []
    status = 0

    def quick(root: Path) -> CompletedProcess:
        shutil.rmtree(root / "_build", ignore_errors=True)
        (root / "_build").mkdir()
        built.append(now)
        return CompletedProcess([], status)

    monkeypatch.setattr(build_site, "_build", quick)
    page = tmp_path / "chapters" / "01_a.md"
    page.parent.mkdir()
    for now in ("first", "the same", "a page", "its words", "its name", "it is gone", "a package"):
        match now:
            case "a page":
                page.write_text("a")
            case "its words":
                page.write_text("b")
            case "its name":
                page = page.rename(page.with_name("02_a.md"))
            case "it is gone":
                page.unlink()
            case "a package":
                monkeypatch.setattr("importlib.metadata.distributions", list)
        assert build_site.build(tmp_path).returncode == 0
    assert built == ["first", "a page", "its words", "its name", "it is gone", "a package"]

    (tmp_path / ".work" / "log").write_text("what is hidden is not read")
    build_site.build(tmp_path)
    assert built[-1] == "a package"
    page.write_text("c")
    status, now = 1, "with a warning"
    assert build_site.build(tmp_path).returncode == 1
    status, now = 0, "after it"
    assert build_site.build(tmp_path).returncode == 0
    assert built[-2:] == ["with a warning", "after it"]


class Environments:
    """Makes a folder for a virtual environment, and pip takes its time to put nothing into it."""

    def __init__(self) -> None:
        self.made, self.installed, self.answers = [], [], []

    def create(self, folder: str, with_pip: bool) -> None:
        self.made.append(folder)
        Path(folder).mkdir()

    def pip(self, python: Path, *arguments: str) -> str:
        time.sleep(0.1)
        self.installed.append(arguments[-1])
        if not python.parents[1].is_dir():
            return f"{python} is gone."
        return self.answers.pop() if self.answers else ""

    def two_at_once(self) -> list[str]:
        with ThreadPoolExecutor(2) as pool:
            return list(pool.map(environment.main, [[".venv", "lock.txt"]] * 2))


@pytest.fixture
def environments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Environments:
    made = Environments()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("venv.create", made.create)
    monkeypatch.setattr(environment, "pip", made.pip)
    return made


def test_a_second_make_waits_for_the_environment_and_takes_it(
    environments: Environments, capsys: pytest.CaptureFixture
) -> None:
    assert environments.two_at_once() == ["", ""]
    assert environments.made == [".venv"]
    assert environments.installed == ["lock.txt", "."]
    assert capsys.readouterr().out.count("waiting for it") == 1
    assert environment.main([".venv", "lock.txt"]) == ""  # later: the lock has changed
    assert environments.installed == ["lock.txt", "."] * 2


def test_what_the_first_one_could_not_make_the_second_makes(environments: Environments) -> None:
    environments.answers = ["No network."]
    assert sorted(environments.two_at_once()) == ["", "No network."]
    assert environments.made == [".venv", ".venv"]


def test_another_environment_is_not_waited_for(environments: Environments, capsys) -> None:
    with environment.alone(Path(".venv-oldest")):
        assert environment.main([".venv", "lock.txt"]) == ""
    assert "waiting" not in capsys.readouterr().out
