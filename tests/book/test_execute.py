"""`make execute` writes stable outputs, and a chapter that does not end well stays as it was."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
from nbconvert.exporters import ScriptExporter
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from execute import record_run_time
from notebook_files import ROOT, read

NOISE = "import os, sys\nnoise = int.from_bytes(os.urandom(4), 'big') / 2**32"
PRINT = "print(f'{1 + SIZE * noise:.9f}')\nsys.stdout.flush()\nprint('done')"
DRAW = "import matplotlib.pyplot as plt\nplt.plot([0, noise])\nplt.show()"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "tools", tmp_path / "tools")
    (tmp_path / "chapters").mkdir()
    return tmp_path


def write(folder: Path, *sources: str) -> Path:
    path = folder / "chapters" / "01_a.ipynb"
    cells = [new_markdown_cell("**Run time:** under 0 s"), new_code_cell(NOISE)]
    nbformat.write(new_notebook(cells=[*cells, *map(new_code_cell, sources)]), path)
    return path


def command(folder: Path, *options: str) -> list[str]:
    return [sys.executable, str(folder / "tools" / "execute.py"), *options]


def execute(folder: Path, *options: str) -> subprocess.CompletedProcess:
    return subprocess.run(command(folder, *options), capture_output=True, text=True, check=False)


def test_what_it_writes_is_stable(folder: Path) -> None:
    path = write(folder, PRINT.replace("SIZE", "1e-6"), DRAW)
    assert execute(folder).returncode == 0
    first = path.read_bytes()
    notebook = read(path)
    assert "done" in notebook.cells[2].outputs[0].text, "the chunks of a stream are joined"
    assert notebook.cells[0].source == "**Run time:** under 10 s"
    assert "version" not in notebook.metadata["language_info"]
    script, ending = ScriptExporter().from_notebook_node(notebook)
    assert (ending["output_extension"], "noise = int" in script) == (".py", True)
    assert "execution" not in notebook.cells[1].metadata

    assert "nothing changed" in execute(folder, "01").stdout
    assert path.read_bytes() == first

    assert execute(folder, "--fresh").returncode == 0
    assert path.read_bytes() != first


def test_new_results_and_new_code_are_written(folder: Path) -> None:
    path = write(folder, PRINT.replace("SIZE", "1000"), DRAW)
    execute(folder)
    first = path.read_bytes()
    assert "new outputs in 1 cells" in execute(folder).stdout  # the figure has no numbers
    assert path.read_bytes() != first

    notebook = read(path)
    notebook.cells[1].source += "\n# changed"
    nbformat.write(notebook, path)
    assert "new outputs in 3 cells" in execute(folder).stdout


def test_a_failing_chapter_stays_as_it_was(folder: Path) -> None:
    path = write(folder, "print('first')", "raise ValueError('too bad')")
    before = path.read_bytes()
    result = execute(folder)
    assert result.returncode == 1
    assert result.stderr.strip() == "01_a failed and stays as it was: cell 3: ValueError: too bad"
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_an_interrupted_chapter_stays_as_it_was(folder: Path) -> None:
    path = write(folder, "import time\ntime.sleep(60)")
    before = path.read_bytes()
    with subprocess.Popen(
        command(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # whatever runs the tests in the background may have told its children to ignore Ctrl-C
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        while "cell 2/2" not in process.stdout.readline():
            assert process.poll() is None
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "Interrupted: 01_a stays as it was." in errors
    assert "Traceback" not in errors
    assert path.read_bytes() == before


def test_an_unknown_chapter_is_explained(folder: Path) -> None:
    write(folder)
    result = execute(folder, "99")
    assert result.stderr.strip() == "There is no chapter '99': there are 01_a."
    assert result.returncode == 1


def stated(seconds: float, before: int | None) -> int:
    metadata = {} if before is None else {"run_seconds": before}
    notebook: NotebookNode = new_notebook(metadata=metadata)
    record_run_time(notebook, seconds)
    return notebook.metadata["run_seconds"]


@pytest.mark.parametrize(
    ("seconds", "before", "after"),
    [
        (3, None, 10),
        (9, None, 20),  # 9 s and a quarter more
        (9, 10, 10),  # still true: not restated
        (11, 10, 20),
        (11, 30, 30),
        (9, 30, 20),  # less than a third
        (80, None, 90),
    ],
)
def test_run_time_is_restated_only_when_wrong(seconds: float, before: int, after: int) -> None:
    assert stated(seconds, before) == after
