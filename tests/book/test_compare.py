"""The comparer of outputs, alone and through real nbval runs: each way to differ must fail."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from notebook_compare import Tolerance, differences, numbers, tolerance_of
from notebook_files import ROOT


def out(text: str, name: str = "stdout") -> nbformat.NotebookNode:
    return new_output("stream", name=name, text=text)


def shown(**data: str) -> nbformat.NotebookNode:
    return new_output("display_data", data={k.replace("_", "/"): v for k, v in data.items()})


def agree(committed: str, computed: str, **tolerance: float) -> bool:
    return not differences([out(committed)], [out(computed)], Tolerance(**tolerance))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("AUROC 0.953 of 400", ["0.953", "400"]),
        ("[-1.5  2e-05 nan -inf]", ["-1.5", "2e-05", "nan", "-inf"]),
        ("28x28, mnist-5k, z1, float32, 12ms", []),
        ("TensorFlow 2.21.0", []),
        ("5-NN from 0.1-0.2", ["5", "0.1", "0.2"]),
        ("5,000 of 12,345.5", ["5,000", "12,345.5"]),
        ("shape (1, 28, 28)", ["1", "28", "28"]),
        ("97.4%", ["97.4"]),
        ("information", []),
    ],
)
def test_numbers_are_told_from_text(text: str, found: list[str]) -> None:
    assert numbers(text) == found


@pytest.mark.parametrize(
    ("committed", "computed"),
    [
        ("loss 0.9530", "loss 0.9535"),
        ("loss 1234.5", "loss 1235.5"),
        ("x     0.5\n---------", "x   0.5001\n------------"),
        ("value nan", "value nan"),
        ("value inf", "value inf"),
        ("[1. 2.]", "[1. 2.]"),
        ("-0.0001", "0.0001"),
        ("1", "0.9999"),
    ],
)
def test_outputs_agree(committed: str, computed: str) -> None:
    assert agree(committed, computed)


@pytest.mark.parametrize(
    ("committed", "computed"),
    [
        ("loss 0.953", "loss 0.963"),
        ("loss 0.953", "loss -0.953"),
        ("loss 1234.5", "loss 1237.5"),
        ("5000 points", "5001 points"),
        ("5,000 points", "5,001 points"),
        ("there were 10.", "there were 11."),
        ("shape (28, 28)", "shape (28, 29)"),
        ("mnist-5k", "mnist-6k"),
        ("28x28", "29x29"),
        ("version 2.21.0", "version 2.21.1"),
        ("normal 0.5", "anomalous 0.5"),
        ("0.5", "0.5 0.5"),
        ("0.5 0.5", "0.5"),
        ("value nan", "value 0.0"),
        ("value 0.0", "value nan"),
        ("value inf", "value -inf"),
        ("value 1.0", "value inf"),
        ("done", ""),
    ],
)
def test_outputs_differ(committed: str, computed: str) -> None:
    assert not agree(committed, computed)


def test_message_gives_number_and_allowance() -> None:
    (line,) = differences([out("a 1.00")], [out("a 1.50")], Tolerance())
    assert all(part in line for part in ("committed 1.00", "computed 1.50", "0.002"))


def test_tolerance_comes_from_tag_then_notebook_then_default() -> None:
    cell = new_code_cell(metadata={"tags": ["rtol=0.5", "setup"]})
    assert tolerance_of(cell, {"tolerance": {"rtol": 0.1, "atol": 0.2}}) == Tolerance(0.5, 0.2)
    assert tolerance_of(new_code_cell(), {}) == Tolerance()
    assert not agree("x = 0.5010", "x = 0.5000", rtol=0, atol=0)
    assert agree("401", "400", int_atol=1)
    assert tolerance_of(new_code_cell(metadata={"tags": ["int-atol=2"]}), {}).int_atol == 2


@pytest.mark.parametrize("tag", ["rtoll=0.1", "rtol=much", "colour=1"])
def test_unknown_tolerance_is_an_error(tag: str) -> None:
    with pytest.raises(ValueError, match=r"unknown tolerance|could not convert"):
        tolerance_of(new_code_cell(metadata={"tags": [tag]}), {})


def test_html_is_compared_without_its_tags() -> None:
    old = [shown(text_html="<style>td {width: 10px}</style><b>AUROC</b> 0.9500")]
    near = [shown(text_html="<style>td {width: 12px}</style><b>AUROC</b> 0.9501")]
    far = [shown(text_html="<b>AUROC</b> 0.9700")]
    assert not differences(old, near, Tolerance())
    assert differences(old, far, Tolerance())


def test_pictures_count_but_are_not_compared() -> None:
    old = [shown(image_png="AAAA", text_plain="<Figure size 640x480 with 1 Axes>")]
    new = [shown(image_png="BBBB", text_plain="<Figure size 800x480 with 2 Axes>")]
    assert not differences(old, new, Tolerance())
    assert differences(old, [], Tolerance())
    assert differences(old, new + new, Tolerance())
    assert differences(old, [shown(text_plain="<Figure size 640x480 with 1 Axes>")], Tolerance())
    words = [shown(image_png="BBBB", text_plain="a")], [shown(image_png="BBBB", text_plain="b")]
    assert differences(*words, Tolerance())


def test_chunks_of_a_stream_are_one() -> None:
    assert not differences([out("a\nb\n")], [out("a\n"), out("b\n")], Tolerance())


# Through nbval: source, committed outputs, tags, and whether nbval must pass it.
ALWAYS = "print('x = 0.5000')"
CASES = {
    "less than the tolerance": (ALWAYS, [out("x = 0.5010\n")], [], True),
    "more than the tolerance": (ALWAYS, [out("x = 0.5100\n")], [], False),
    "a tag widens it": (ALWAYS, [out("x = 0.5100\n")], ["atol=0.02"], True),
    "a tag that is not understood": (ALWAYS, [out("x = 0.5000\n")], ["rtl=1"], False),
    "output missing from the run": ("x = 1", [out("x = 0.5000\n")], [], False),
    "output missing from the commit": (ALWAYS, [], [], False),
    "another kind of output": ("1 + 1", [out("2")], [], False),
    "new words on stderr": ("import sys; print('w', file=sys.stderr)", [], [], False),
    "stderr while setting up": ("import sys; print('w', file=sys.stderr)", [], ["setup"], True),
    "a value that a semicolon hides": ("1 + 1;", [], [], True),
    "a figure": (
        "import matplotlib.pyplot as plt; plt.plot([1, 2]); plt.show()",
        [shown(image_png="AAAA", text_plain="<Figure size 9x9 with 1 Axes>")],
        [],
        True,
    ),
    "an exception": ("1 / 0", [], [], False),
}


@pytest.fixture(scope="module")
def nbval(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Run this project's pytest set-up on small notebooks: outcome of each test by its name."""
    folder = tmp_path_factory.mktemp("nbval")
    shutil.copy(ROOT / "conftest.py", folder)
    shutil.copy(ROOT / "pyproject.toml", folder)
    shutil.copytree(ROOT / "tools", folder / "tools")
    (folder / "chapters").mkdir()
    cells = [
        new_code_cell(source, outputs=outputs, execution_count=n, metadata={"tags": tags})
        for n, (source, outputs, tags, _) in enumerate(CASES.values(), start=1)
    ]
    solutions = "<details>\n\n```python\nassert x == 1\n```\n\n</details>\n\n" * 2
    cells.append(new_markdown_cell(solutions.replace("x == 1", "x == 2", 1)))
    wide = new_code_cell(ALWAYS, outputs=[out("x = 0.9\n")], execution_count=1)
    notebooks = {
        "01_cases": new_notebook(cells=cells),
        "02_metadata": new_notebook(cells=[wide], metadata={"tolerance": {"atol": 1}}),
        "03_never_run": new_notebook(cells=[new_code_cell(ALWAYS), new_code_cell("  ")]),
    }
    for name, notebook in notebooks.items():
        nbformat.write(notebook, folder / "chapters" / f"{name}.ipynb")
    command = [sys.executable, "-m", "pytest", "-q", "--junitxml=report.xml", "chapters"]
    run = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | {"MPLBACKEND": "Agg"},  # as unit tests set it: kernels must not obey
        capture_output=True,
        text=True,
        check=False,
    )
    outcomes = {"last line": run.stdout.strip().splitlines()[-1], "exit": str(run.returncode)}
    for case in ElementTree.parse(folder / "report.xml").iter("testcase"):
        notebook = case.get("classname").split(".")[-2]  # chapters.01_cases.ipynb
        problems = [child.tag for child in case if child.tag in ("failure", "error")]
        outcomes[f"{notebook} {case.get('name')}"] = "failed" if problems else "passed"
    return outcomes


@pytest.mark.parametrize("case", CASES)
def test_nbval(nbval: dict[str, str], case: str) -> None:
    expected = "passed" if CASES[case][3] else "failed"
    assert nbval[f"01_cases Cell {list(CASES).index(case)}"] == expected


def test_nbval_takes_tolerances_fails_unrun_cells_and_runs_solutions(nbval: dict[str, str]) -> None:
    assert nbval["02_metadata Cell 0"] == "passed"
    assert nbval["03_never_run Cell 0"] == "failed"
    assert nbval["03_never_run Cell 1"] == "passed"  # an empty cell has nothing to run
    assert nbval["01_cases Solution 1"] == "failed"
    assert nbval["01_cases Solution 2"] == "passed"


def test_last_line_is_the_plain_count(nbval: dict[str, str]) -> None:
    outcomes = [value for key, value in nbval.items() if key not in ("last line", "exit")]
    passed, failed = outcomes.count("passed"), outcomes.count("failed")
    assert nbval["last line"] == f"{passed} passed, {failed} failed"
    assert nbval["exit"] == "1"
