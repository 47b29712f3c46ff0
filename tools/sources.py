"""A digest of what the site is built from: make compares times, and a checkout renews them all."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import sys
from pathlib import Path

UNREAD = {"_build", "build", "dist", "__pycache__", "vae_lib.egg-info", "tests"}


def digest(root: Path) -> str:
    """Of the project's files, hidden ones aside, and of the versions of Python and its packages."""
    found = hashlib.sha256(sys.version.encode())
    for package in sorted(f"{p.name}=={p.version}" for p in importlib.metadata.distributions()):
        found.update(f"{package}\n".encode())
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(f for f in folders if f[0] != "." and f not in UNREAD)
        for path in sorted(Path(folder, file) for file in files):
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            found.update(f"{path.relative_to(root).as_posix()} {content}\n".encode())
    return found.hexdigest()
