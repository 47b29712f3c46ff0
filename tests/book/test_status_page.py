"""The status page says with what the chapters were executed, and what the oldest lock pins."""

from __future__ import annotations

import pytest

import page_sources
from notebook_files import PACKAGES, ROOT, find, read

LOCK = """\
keras==3.10.0 \\
    --hash=sha256:0
numpy==2.0.2 ; python_full_version < '3.13' \\
    --hash=sha256:1
numpy==2.5.5 ; python_full_version >= '3.13' \\
    --hash=sha256:2
"""


@pytest.mark.parametrize(
    ("name", "python", "version"),
    [
        ("keras", "3.10", "3.10.0"),
        ("numpy", "3.10", "2.0.2"),
        ("numpy", "3.13", "2.5.5"),
        ("scipy", "3.10", "–"),
    ],
)
def test_a_version_is_that_of_the_python(tmp_path, name, python, version):
    path = tmp_path / "lock.txt"
    path.write_text(LOCK)
    assert page_sources.locked(path, name, python) == version


def test_the_versions_are_those_that_the_chapters_were_executed_with():
    lines = page_sources.versions(ROOT).splitlines()
    for path in find([]):
        noted = read(path).metadata["versions"]
        for name in PACKAGES:
            (line,) = (line for line in lines if line.startswith(f"| {name} |"))
            assert noted[name] in line
