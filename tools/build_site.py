"""Build the site and the electronic book from the committed notebooks; a warning is an error."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from filelock import FileLock, Timeout

from sources import digest

ROOT = Path(__file__).resolve().parents[1]
PAGES = ROOT / "_build" / "html"


def build(root: Path = ROOT) -> subprocess.CompletedProcess:
    """Build `root` from scratch, unless it was built from the very files that are there now.

    A second Sphinx run would forget the warnings of the first. A build of the same folder that is
    under way is waited for: both would write the same files.
    """
    (root / ".work").mkdir(exist_ok=True)
    lock = FileLock(root / ".work" / "build.lock")
    try:
        held = lock.acquire(timeout=0)
    except Timeout:
        print("Another build of this folder is under way: waiting for it.", flush=True)
        held = lock.acquire()
    with held:
        made_from, now = root / "_build" / "made-from", digest(root)
        if made_from.exists() and made_from.read_text() == now:
            return subprocess.CompletedProcess([], 0, "")
        result = _build(root)
        if result.returncode == 0:
            made_from.write_text(now)
        return result


def _build(root: Path) -> subprocess.CompletedProcess:
    shutil.rmtree(root / "_build", ignore_errors=True)
    command = ["jupyter-book", "build", "--all", "-W", "-n", "--keep-going", "-q", "."]
    program = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()"]
    site = run([*program, *command[1:]], root)
    if site.returncode:
        return site
    here = Path(__file__).with_name("build_epub.py")  # a copy of the book has its own `root`
    return run([sys.executable, str(here), str(root), str(root / "_build" / "html")], root)


def run(command: list[str], folder: Path) -> subprocess.CompletedProcess:
    return subprocess.run(
        command, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


if __name__ == "__main__":
    result = build()
    if result.returncode:
        sys.exit(result.stdout)
    print(f"The book is built. Open {(PAGES / 'index.html').as_uri()}")
