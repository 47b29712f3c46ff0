"""Run each notebook as Colab does: alone in an empty folder, with vae_lib from its wheel.

With `--colab`, also with the versions that Colab has today. Google publishes what is installed on
Colab's machines. Here those versions are constraints: pip must install vae_lib and all that it
needs within them, or say which requirement Colab cannot meet. That part runs on Colab's own
version of Python (`--python` prints which), with the standard library only.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WORK = ROOT / ".work" / "alone"
LISTS = "https://raw.githubusercontent.com/googlecolab/backend-info/main"
VENV = ROOT / ".venv-colab"
CONSTRAINTS = ROOT / ".work" / "colab-constraints.txt"
# What run_alone() and chapters 10 and 11 need besides vae_lib; in Colab's versions, if any.
TESTERS = ["ipykernel", "nbval", "palmerpenguins", "pytest", "setuptools>=77", "sleepecg"]
# These build packages, each in an environment of its own; no notebook imports them.
BUILDERS = {"pip", "setuptools", "wheel"}
PINNED = re.compile(r"([A-Za-z0-9][\w.-]*)==([\w.!]+)")  # no URL, no local version: not on PyPI


def install_wheel() -> Path:
    """Build the wheel and unpack it into a folder of its own, which is returned."""
    for stale in (WORK, ROOT / "build"):  # setuptools packs whatever an old build left behind
        shutil.rmtree(stale, ignore_errors=True)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    offline = ["-q", "--no-deps", "--no-index"]
    subprocess.run(
        [*pip, "wheel", *offline, "--no-build-isolation", "-w", WORK / "wheel", ROOT], check=True
    )
    shutil.rmtree(ROOT / "build")
    (wheel,) = (WORK / "wheel").glob("vae_lib-*.whl")
    subprocess.run([*pip, "install", *offline, "--target", WORK / "site", wheel], check=True)
    return WORK / "site"


def run_alone(chapters: list[str]) -> int | str:
    """Run the chapters with this Python; return pytest's status, or why they were not run."""
    from notebook_files import find  # which needs more than the standard library

    site = install_wheel()
    # PYTHONPATH comes before the editable install of .venv, in the kernels too.
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(site), str(ROOT / "tools")])}
    where = [sys.executable, "-c", "import vae_lib; print(vae_lib.__file__)"]
    with tempfile.TemporaryDirectory() as empty:
        here = {"cwd": empty, "env": environment}
        source = subprocess.check_output(where, **here, text=True).strip()
        if not Path(source).is_relative_to(site):
            return f"vae_lib comes from {source} and not from the wheel in {site}."
        print(f"vae_lib comes from {source}", flush=True)
        notebooks = []
        for chapter in find(chapters):
            folder = Path(empty, chapter.stem)
            folder.mkdir()
            notebooks.append(shutil.copy(chapter, folder))
        options = ["-q", "-p", "book_pytest", "-p", "no:cacheprovider"]
        options += ["-c", ROOT / "pyproject.toml", "--rootdir", empty]
        return subprocess.call([sys.executable, "-m", "pytest", *options, *notebooks], **here)


def read_list(name: str) -> str:
    """The text of one of Google's lists."""
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
    parser.add_argument("--colab", action="store_true", help="with the versions of Colab")
    parser.add_argument("--python", action="store_true", help="print Colab's version of Python")
    parser.add_argument("chapters", nargs="*", help="which chapters: all when none is named")
    options = parser.parse_args(arguments)
    if not (options.colab or options.python):
        return run_alone(options.chapters)
    try:
        wanted = python_version(read_list("os-info.txt"))
        if options.python:
            print(wanted)
            return 0
        here = f"{sys.version_info[0]}.{sys.version_info[1]}"
        if here != wanted:
            return (
                f"Colab has Python {wanted}, and {sys.executable} is {here}: "
                f"name another with 'make test-colab PYTHON=/path/to/python{wanted}'."
            )
        python = VENV / "bin" / "python"
        install(python, read_list("pip-freeze.txt"))
    except (OSError, ValueError) as error:
        return f"Colab's versions: {error}"
    except subprocess.CalledProcessError as error:
        return f"Colab's versions could not be installed: {error}"
    return subprocess.call([python, __file__, *options.chapters])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
