"""Which version of a package a lock pins: pip and `packaging` read a line, not a lock."""

from __future__ import annotations

from pathlib import Path

from packaging.requirements import Requirement


def locked(lock: Path, name: str, python: str) -> str:
    """The version of a package that a lock has for a Python."""
    here = {"python_version": python, "python_full_version": f"{python}.0"}
    lines = lock.read_text(encoding="utf-8").splitlines()
    pins = [Requirement(line.rstrip("\\ ")) for line in lines if line.startswith(f"{name}==")]
    found = [pin for pin in pins if pin.marker is None or pin.marker.evaluate(here)]
    return str(found[0].specifier).removeprefix("==") if found else "–"
