"""Build the site and the electronic book from the committed notebooks; a warning is an error."""

from __future__ import annotations

import hashlib
import importlib.metadata
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from filelock import FileLock, Timeout

from notebook_files import ROOT
from set_repository import declared, project_files

PAGES = ROOT / "_build" / "html"
OF_THE_SITE = {
    *("sphinx_copybutton", "sphinx_comments", "sphinxext.opengraph"),
    *("notfound.extension", "site_heads"),
}
THEIR_OPTIONS = ("ogp_", "notfound_", "comments_")


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


def digest(root: Path) -> str:
    """Of the project's files but its tests, and of the versions of Python and its packages.

    `make` would compare times, which a checkout renews.
    """
    collected = hashlib.sha256(sys.version.encode())
    for package in sorted(f"{p.name}=={p.version}" for p in importlib.metadata.distributions()):
        collected.update(f"{package}\n".encode())
    for path in project_files(root, {"tests"}):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        collected.update(f"{path.relative_to(root).as_posix()} {content}\n".encode())
    return collected.hexdigest()


def _build(root: Path) -> subprocess.CompletedProcess:
    """The pages, then the EPUB beside them: each in a process, since Sphinx keeps global state."""
    shutil.rmtree(root / "_build", ignore_errors=True)
    book = ["-c", "from jupyter_book.cli.main import main; main()", "build"]
    pages = [*book, "--all", "-W", "-n", "--keep-going", "-q", "."]
    epub = [Path(__file__).resolve(), root, root / "_build" / "html"]
    for arguments in (pages, epub):
        result = subprocess.run(
            [sys.executable, *arguments],
            **{"cwd": root, "text": True, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT},
        )
        if result.returncode:
            break
    return result


def epub_configuration(root: Path) -> dict:
    """The site's, less what is for a site: its templates, and the scripts of the live figures."""
    from jupyter_book.config import get_final_config

    toc = {"external_toc_path": str(root / "_toc.yml"), "latex_individualpages": False}
    config, _ = get_final_config(user_yaml=root / "_config.yml", cli_config=toc, sourcedir=root)
    config = {name: value for name, value in config.items() if not name.startswith(THEIR_OPTIONS)}
    config["extensions"] = [name for name in config["extensions"] if name not in OF_THE_SITE]
    config["exclude_patterns"] = [*config["exclude_patterns"], "**/*.js", "**/made_by.txt"]
    address = f"https://github.com/{declared(root)}"
    config |= {"epub_identifier": address, "epub_scheme": "URL", "epub_uid": "book"}
    return config | {"project": config["html_title"], "html_js_files": [], "templates_path": []}


def build_epub(root: Path, target: Path) -> None:
    """Write the EPUB into `target`, for which Jupyter Book has no command; a warning exits."""
    from sphinx.application import Sphinx
    from sphinx.util.docutils import docutils_namespace, patch_docutils

    with tempfile.TemporaryDirectory() as folder, patch_docutils(root), docutils_namespace():
        app = Sphinx(
            *(root, None, Path(folder, "book"), Path(folder, "doctrees"), "epub"),
            **{"confoverrides": epub_configuration(root), "status": None},
            **{"freshenv": True, "warningiserror": True, "keep_going": True},
        )
        app.build()
        if app.statuscode:
            raise SystemExit("The electronic book was not made: see the warnings above.")
        shutil.copy(Path(folder, "book", f"{app.config.epub_basename}.epub"), target)


if __name__ == "__main__":
    if sys.argv[1:]:  # by _build
        build_epub(*map(Path, sys.argv[1:]))
    elif (result := build()).returncode:
        sys.exit(result.stdout)
    else:
        print(f"The book is built. Open {(PAGES / 'index.html').as_uri()}")
