"""The project's files, and a digest of them: make compares times, which a checkout renews."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import sys
from pathlib import Path

MADE = {"_build", "build", "dist", "__pycache__", "vae_lib.egg-info"}


def project_files(root: Path, but: set[str]) -> list[Path]:
    """The project's own files: none that is made, no hidden folder but .github, no folder `but`."""
    found = []
    for folder, folders, files in os.walk(root):
        kept = [f for f in folders if f not in MADE | but]
        folders[:] = [f for f in kept if f[0] != "." or f == ".github"]
        found += [Path(folder, file) for file in files]
    return sorted(found)


def digest(root: Path) -> str:
    """Of the project's files but its tests, and of the versions of Python and its packages."""
    found = hashlib.sha256(sys.version.encode())
    for package in sorted(f"{p.name}=={p.version}" for p in importlib.metadata.distributions()):
        found.update(f"{package}\n".encode())
    for path in project_files(root, {"tests"}):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        found.update(f"{path.relative_to(root).as_posix()} {content}\n".encode())
    return found.hexdigest()
