"""What else opens a chapter: `jupyter nbconvert --to script` makes Python of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from nbconvert import PythonExporter

from notebook_files import code_cells, find, read

CHAPTERS = find([])


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_a_chapter_becomes_a_script(chapter: Path) -> None:
    """`jupyter nbconvert --to script`: Python, with every cell's code and no output."""
    script, resources = PythonExporter().from_filename(str(chapter))
    assert resources["output_extension"] == ".py"
    compile(script, chapter.with_suffix(".py").name, "exec")
    cells = code_cells(read(chapter))
    assert len(re.findall(r"^# In\[\d+\]:$", script, re.MULTILINE)) == len(cells)
    plain = [line for cell in cells for line in cell.source.splitlines() if "%" not in line]
    assert set(plain) <= set(script.splitlines())
