"""Two `make` in one clone at once: the second waits for the first, and finds nothing half made."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import build_site
import environment


def test_a_second_build_of_the_site_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    under_way: list[Path] = []
    most: list[int] = []

    def slow(root: Path) -> None:
        under_way.append(root)
        most.append(len(under_way))
        time.sleep(0.3)
        under_way.remove(root)

    monkeypatch.setattr(build_site, "_build", slow)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(build_site.build, [tmp_path, tmp_path]))
    assert most == [1, 1]
    assert capsys.readouterr().out.count("waiting for it") == 1


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
