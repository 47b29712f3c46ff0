"""Make a virtual environment from a lock file: `python3 tools/environment.py .venv LOCK`.

Runs on the reader's own Python, which may be too old: so it parses on Python 3.6 and needs
nothing but the standard library. Whatever goes wrong ends in one sentence.
"""

import contextlib
import fcntl
import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path

OLDEST, NEWEST = (3, 10), (3, 13)
LOG = Path(".work", "pip.log")
NO_NETWORK = re.compile(
    "Failed to establish a new connection|NewConnectionError|Max retries exceeded|ReadTimeout|"
    "name resolution|NameResolutionError|ConnectTimeout|ProxyError|Network is unreachable"
)


@contextlib.contextmanager
def alone(folder: Path):
    """Keep every other make from the folder; give whether one was there first and is now done."""
    LOG.parent.mkdir(exist_ok=True)
    with LOG.with_name(folder.name + ".lock").open("w") as file:
        waited = False
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"Another make is at work on {folder}: waiting for it.", flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
            waited = True
        yield waited


def complete(folder: Path) -> bool:
    """Whether the environment was made to its end, and in this very place."""
    stamp = folder / ".installed"
    return stamp.exists() and stamp.read_text(encoding="utf-8") == str(folder.resolve())


def python_problem(newest: tuple) -> str:
    """Say in one sentence why this Python cannot serve, or nothing."""
    version = sys.version_info[:2]
    if not OLDEST <= version <= newest:
        oldest_name, newest_name, name = (f"{a}.{b}" for a, b in (OLDEST, newest, version))
        return (
            f"Python {oldest_name} to {newest_name} is needed (TensorFlow has wheels for these), "
            f"and {sys.executable} is {name}: name another with 'make PYTHON=/path/to/python …'."
        )
    for module in ("venv", "ensurepip"):
        if importlib.util.find_spec(module) is None:
            return (
                f"{sys.executable} lacks the module '{module}', which makes virtual environments: "
                "install it (on Debian and Ubuntu: apt install python3-venv)."
            )
    return ""


def pip(python: Path, *arguments: str) -> str:
    """Run pip, its words in the log file; return what went wrong in one sentence, or nothing."""
    command = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "--no-input"]
    with LOG.open("w", encoding="utf-8") as log:
        code = subprocess.call([*command, *arguments], stdout=log, stderr=subprocess.STDOUT)
    if code == 0:
        return ""
    words = LOG.read_text(encoding="utf-8", errors="replace")
    if NO_NETWORK.search(words):
        return f"No Python package registry could be reached: is there a network? (Log: {LOG})"
    reason = (re.findall("^ERROR: (.*)", words, flags=re.MULTILINE) or ["no reason given"])[-1]
    return f"pip could not install {arguments[-1]}: {reason} (Log: {LOG})"


def make(folder: Path, lock: Path) -> str:
    """Make or update the environment; return what went wrong as one sentence, or nothing."""
    import venv  # here, since python_problem() must be able to say that there is none

    stamp = folder / ".installed"
    if complete(folder):
        stamp.unlink()
    else:  # half made, or moved: the scripts inside hold the old path
        shutil.rmtree(str(folder), ignore_errors=True)
        try:
            venv.create(str(folder), with_pip=True)
        except (OSError, subprocess.CalledProcessError) as error:
            return f"No virtual environment could be made in {folder}: {error}."

    print(f"Installing {lock} into {folder}: minutes and 3 GB the first time.", flush=True)
    python = folder / "bin" / "python"
    problem = pip(python, "--require-hashes", "-r", str(lock))
    # vae_lib itself, from this clone: no network, and edits take effect at once.
    offline = ("--no-deps", "--no-build-isolation", "--no-index")
    problem = problem or pip(python, *offline, "--editable", ".")
    if not problem:
        stamp.write_text(str(folder.resolve()), encoding="utf-8")
    return problem


def main(arguments: list) -> str:
    newest = NEWEST
    if arguments[0] == "--newest":
        newest, arguments = tuple(int(part) for part in arguments[1].split(".")), arguments[2:]
    folder, lock = (Path(argument) for argument in arguments)
    problem = python_problem(newest)
    if problem:
        return problem
    with alone(folder) as waited:
        return "" if waited and complete(folder) else make(folder, lock)


if __name__ == "__main__":
    try:
        sentence = main(sys.argv[1:])
    except KeyboardInterrupt:
        sentence = "Stopped: the environment is half made, and the next make completes it."
    sys.exit(sentence or 0)
