"""`make test-colab` reads Google's lists, and says what is wrong with a wrong one."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import run_alone
from run_alone import constraints, main, python_version

OS_INFO = "# generated\nUbuntu 22.04.5 LTS\nPython 3.12.12\nR version 4.5.2\n"
FREEZE = """\
# Do not modify this file directly
absl-py==1.4.0
google-colab @ file:///colabtools/dist/google_colab-1.0.0.tar.gz
jupyter_core==5.9.1
numpy==2.0.2
pip==24.1.2
setuptools==75.2.0
tensorflow==2.19.0
torch==2.9.0+cpu
"""


@pytest.fixture
def lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in place of Google's."""
    (tmp_path / "os-info.txt").write_text(OS_INFO, encoding="utf-8")
    (tmp_path / "pip-freeze.txt").write_text(FREEZE, encoding="utf-8")
    monkeypatch.setattr(run_alone, "LISTS", tmp_path.as_uri())
    return tmp_path


def test_constraints_are_versions_that_pip_can_find() -> None:
    assert constraints(FREEZE) == [
        "absl-py==1.4.0",
        "jupyter_core==5.9.1",
        "numpy==2.0.2",
        "tensorflow==2.19.0",
    ]


@pytest.mark.parametrize("freeze", ["", "404: Not Found", "tensorflow-hub==0.16.1"])
def test_a_list_without_tensorflow_is_refused(freeze: str) -> None:
    with pytest.raises(ValueError, match="must have a line such as 'tensorflow=="):
        constraints(freeze)


def test_the_version_of_python() -> None:
    assert python_version(OS_INFO) == "3.12"
    with pytest.raises(ValueError, match=r"must have a line such as 'Python 3.12.11', not: 'R'"):
        python_version("R")


def test_it_prints_the_version_that_the_workflow_asks_for(
    lists: Path, capsys: pytest.CaptureFixture
) -> None:
    assert main(["--python"]) == 0
    assert capsys.readouterr().out == "3.12\n"


def test_another_python_is_refused(lists: Path) -> None:
    (lists / "os-info.txt").write_text("Python 3.99.1\n", encoding="utf-8")
    sentence = main(["--colab"])
    assert sentence.startswith(f"Colab has Python 3.99, and {sys.executable} is 3.")
    assert "make test-colab PYTHON=/path/to/python3.99" in sentence


@pytest.mark.parametrize("missing", ["os-info.txt", "pip-freeze.txt"])
def test_a_list_that_cannot_be_read_is_one_sentence(
    lists: Path, missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_alone, "install", lambda *_: pytest.fail("there is nothing to install"))
    (lists / "os-info.txt").write_text(f"Python {sys.version}\n", encoding="utf-8")
    (lists / missing).unlink()
    sentence = main(["--colab"])
    assert sentence.startswith("Colab's versions: ") and missing in sentence
