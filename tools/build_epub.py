"""Make one EPUB file of the whole book, beside the pages: Jupyter Book has no command for it.

Sphinx's builder takes the configuration of the site, less what is for a site: its templates, and
the scripts of the live figures, which keep their pictures.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from jupyter_book.config import get_final_config
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace, patch_docutils

from set_repository import declared

OF_THE_SITE = {
    *("sphinx_copybutton", "sphinx_comments", "sphinxext.opengraph"),
    *("notfound.extension", "site_address", "descriptions"),
}
THEIR_OPTIONS = ("ogp_", "notfound_", "comments_")


def configuration(root: Path) -> dict:
    toc = {"external_toc_path": str(root / "_toc.yml"), "latex_individualpages": False}
    config, _ = get_final_config(user_yaml=root / "_config.yml", cli_config=toc, sourcedir=root)
    config = {name: value for name, value in config.items() if not name.startswith(THEIR_OPTIONS)}
    config["extensions"] = [name for name in config["extensions"] if name not in OF_THE_SITE]
    config["exclude_patterns"] = [*config["exclude_patterns"], "**/*.js", "**/made_by.txt"]
    address = f"https://github.com/{declared(root)}"
    config |= {"epub_identifier": address, "epub_scheme": "URL", "epub_uid": "book"}
    return config | {"project": config["html_title"], "html_js_files": [], "templates_path": []}


def build(root: Path, target: Path) -> None:
    """Write the file into the folder `target`; a SystemExit where Sphinx has a warning."""
    with tempfile.TemporaryDirectory() as folder, patch_docutils(root), docutils_namespace():
        app = Sphinx(
            *(root, None, Path(folder, "book"), Path(folder, "doctrees"), "epub"),
            **{"confoverrides": configuration(root), "status": None},
            **{"freshenv": True, "warningiserror": True, "keep_going": True},
        )
        app.build()
        if app.statuscode:
            raise SystemExit("The electronic book was not made: see the warnings above.")
        shutil.copy(Path(folder, "book", f"{app.config.epub_basename}.epub"), target)


if __name__ == "__main__":
    build(*map(Path, sys.argv[1:]))
