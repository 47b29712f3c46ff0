"""Run each notebook with the versions that Colab has today: `make test-colab`.

Google publishes what is installed on Colab's machines. Here those versions are constraints: pip
must install vae_lib and all that it needs within them, or say which requirement Colab cannot meet.

Runs on Colab's own version of Python (`--python` prints which), with the standard library only.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LISTS = "https://raw.githubusercontent.com/googlecolab/backend-info/main"
VENV = ROOT / ".venv-colab"
CONSTRAINTS = ROOT / ".work" / "colab-constraints.txt"
# What run_alone.py and chapters 10 and 11 need besides vae_lib; in Colab's versions, if any.
TESTERS = ["ipykernel", "nbval", "palmerpenguins", "pytest", "setuptools>=77", "sleepecg"]
# These build packages, each in an environment of its own; no notebook imports them.
BUILDERS = {"pip", "setuptools", "wheel"}
PINNED = re.compile(r"([A-Za-z0-9][\w.-]*)==([\w.!]+)")  # no URL, no local version: not on PyPI


def read_list(name: str, folder: Path | None) -> str:
    """The text of a list: from a folder if one is given, otherwise from GitHub."""
    if folder:
        return (folder / name).read_text(encoding="utf-8")
    with urllib.request.urlopen(f"{LISTS}/{name}", timeout=60) as answer:
        return answer.read().decode("utf-8")


def python_version(os_info: str) -> str:
    """Colab's Python as `3.12`, from the text of os-info.txt; ValueError if it names none."""
    match = re.search(r"^Python (3\.\d+)", os_info, re.MULTILINE)
    if not match:
        raise ValueError(f"os-info.txt must have a line such as 'Python 3.12.11', not: {os_info!r}")
    return match[1]


def constraints(freeze: str) -> list[str]:
    """The lines `name==version` of pip-freeze.txt that pip can use as constraints.

    ValueError if TensorFlow is not among them: then the list is not the one that was meant.
    """
    matches = [match for line in freeze.splitlines() if (match := PINNED.fullmatch(line.strip()))]
    kept = [match[0] for match in matches if match[1].lower() not in BUILDERS]
    if not any(line.startswith("tensorflow==") for line in kept):
        raise ValueError(
            "pip-freeze.txt must have a line such as 'tensorflow==2.19.0': "
            f"{len(kept)} of its {len(freeze.splitlines())} lines name a version, none TensorFlow's"
        )
    return kept


def install(python: Path, freeze: str) -> None:
    """Make the environment: vae_lib from this clone, everything else as Colab has it."""
    CONSTRAINTS.parent.mkdir(exist_ok=True)
    CONSTRAINTS.write_text("\n".join(constraints(freeze)) + "\n", encoding="utf-8")
    subprocess.run([sys.executable, "-m", "venv", "--clear", VENV], check=True)
    pip = [python, "-m", "pip", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "-q", "-c", CONSTRAINTS, ROOT, *TESTERS], check=True)
    subprocess.run([*pip, "list", "--format=freeze"], check=True)  # for the log


def main(arguments: list[str]) -> int | str:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--python", action="store_true", help="print Colab's version of Python")
    parser.add_argument("--lists", type=Path, help="a folder with os-info.txt and pip-freeze.txt")
    parser.add_argument("chapters", nargs="*", help="which chapters: all when none is named")
    options = parser.parse_args(arguments)
    try:
        wanted = python_version(read_list("os-info.txt", options.lists))
        if options.python:
            print(wanted)
            return 0
        found = f"{sys.version_info[0]}.{sys.version_info[1]}"
        if found != wanted:
            return (
                f"Colab has Python {wanted}, and {sys.executable} is {found}: "
                f"name another with 'make test-colab PYTHON=/path/to/python{wanted}'."
            )
        python = VENV / "bin" / "python"
        install(python, read_list("pip-freeze.txt", options.lists))
    except (OSError, ValueError) as error:
        return f"Colab's versions: {error}"
    except subprocess.CalledProcessError as error:
        return f"Colab's versions could not be installed: {error}"
    return subprocess.call([python, ROOT / "tools" / "run_alone.py", *options.chapters])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
