"""Run each notebook as Colab does: alone in an empty folder, with vae_lib from its wheel."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from notebook_files import ROOT, find

WORK = ROOT / ".work" / "alone"


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


def main() -> int:
    site = install_wheel()
    # PYTHONPATH comes before the editable install of .venv, in the kernels too.
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(site), str(ROOT / "tools")])}
    where = "import vae_lib; print(vae_lib.__file__)"
    with tempfile.TemporaryDirectory() as empty:
        found = subprocess.check_output(
            [sys.executable, "-c", where], cwd=empty, env=environment, text=True
        ).strip()
        if not Path(found).is_relative_to(site):
            sys.exit(f"vae_lib comes from {found} and not from the wheel in {site}.")
        print(f"vae_lib comes from {found}", flush=True)
        notebooks = []
        for chapter in find(sys.argv[1:]):
            folder = Path(empty, chapter.stem)
            folder.mkdir()
            notebooks.append(shutil.copy(chapter, folder))
        options = ["-q", "-p", "nbval_tolerance", "-p", "plain_count", "-p", "no:cacheprovider"]
        options += ["-c", ROOT / "pyproject.toml", "--rootdir", empty]
        pytest = [sys.executable, "-m", "pytest", *options, *notebooks]
        return subprocess.call(pytest, cwd=empty, env=environment)


if __name__ == "__main__":
    sys.exit(main())
