"""Each check passes a good notebook and fails one with its fault, so no check is asleep."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path

import checks
import nbformat
import pytest
from links import addresses, anchors, broken
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from notebook_files import LANGUAGE, fingerprint

ALT = "Eight points inside a circle and one far outside it"
SOLUTION = "<details><summary>Solution</summary>\n\nBecause.\n\n</details>\n\n"


def good() -> NotebookNode:
    """A notebook that every check passes."""
    stream = new_output("stream", name="stdout", text="AUROC 0.9532 of 400\n")
    png = {"image/png": base64.b64encode(b"png").decode()}
    picture = new_output("display_data", data=png)
    install = 'if "google.colab" in sys.modules:\n    %pip install git+https://github.com/O/R'
    notebook = new_notebook(
        cells=[
            new_markdown_cell(
                "# Title\n\n" + "\n\n".join(checks.OPENING) + " under 20 s",
                attachments={"result.png": png},
            ),
            new_code_cell(install, execution_count=1, metadata={"tags": ["setup"]}),
            new_markdown_cell("## Idea\n\nAt a rate of 0.05 we see. $x = 0.9532$ and `0.9532`."),
            new_code_cell(
                "draw(rate=0.05)",
                execution_count=2,
                outputs=[stream, picture],
                metadata={"mystnb": {"image": {"alt": ALT}}, "tags": ["hide-input", "result"]},
            ),
            new_markdown_cell("## Take-aways\n\n## In practice\n\n## Exercises\n\n" + SOLUTION * 3),
        ],
        metadata={"run_seconds": 20, "language_info": dict(LANGUAGE)},
    )
    notebook.metadata["executed"] = fingerprint(notebook)
    return notebook


def spoil_prose(text: str) -> Callable[[NotebookNode], None]:
    return lambda notebook: notebook.cells[2].update(source=text)


def spoil_code(text: str) -> Callable[[NotebookNode], None]:
    return lambda notebook: notebook.cells[3].update(source=text)


def add_output(output: NotebookNode) -> Callable[[NotebookNode], None]:
    return lambda notebook: notebook.cells[3].outputs.append(output)


def large_picture(size: int) -> NotebookNode:
    return new_output("display_data", data={"image/png": base64.b64encode(b"0" * size).decode()})


FAULTS: list[tuple[Callable, Callable[[NotebookNode], None]]] = [
    (checks.executed_in_order, lambda nb: nb.cells[3].update(execution_count=None)),
    (checks.executed_in_order, lambda nb: nb.cells[3].update(execution_count=5)),
    (checks.executed_in_order, lambda nb: nb.update(cells=[])),
    (checks.executed_as_it_stands, spoil_code("draw(rate=0.06)")),
    (checks.language_named, lambda nb: nb.metadata.pop("language_info")),
    (checks.language_named, lambda nb: nb.metadata.language_info.pop("file_extension")),
    (checks.language_named, lambda nb: nb.metadata.language_info.pop("nbconvert_exporter")),
    (checks.language_named, lambda nb: nb.metadata.language_info.update(version="3.11.7")),
    (checks.clean_outputs, add_output(new_output("stream", name="stderr", text="Warning"))),
    (checks.clean_outputs, add_output(new_output("error", ename="ValueError", evalue="no"))),
    (checks.nothing_unchecked, lambda nb: nb.cells[3].metadata.update(tags=["nbval-skip"])),
    (checks.nothing_unchecked, spoil_code("# NBVAL_IGNORE_OUTPUT\ndraw()")),
    (checks.plain_markdown, spoil_prose("```{note}\nhello\n```")),
    (checks.plain_markdown, spoil_prose(":::{note}\nhello\n:::")),
    (checks.plain_markdown, spoil_prose("see {ref}`there`")),
    (checks.alt_texts, lambda nb: nb.cells[3].metadata.pop("mystnb")),
    (checks.alt_texts, add_output(large_picture(9))),
    (checks.alt_texts, spoil_prose("![](picture.png)")),
    (checks.alt_texts, spoil_prose('<img src="picture.png">')),
    (checks.plotting_is_folded, lambda nb: nb.cells[3].metadata.update(tags=["result"])),
    (checks.figures_have_facts, lambda nb: nb.cells[3].outputs.pop(0)),
    (checks.sizes, add_output(large_picture(checks.LARGEST_PNG + 1))),
    (checks.sizes, spoil_prose("long " * 400_000)),
    (checks.run_time, lambda nb: nb.metadata.update(run_seconds=30)),
    (checks.run_time, lambda nb: nb.metadata.pop("run_seconds")),
    (checks.run_time, lambda nb: nb.metadata.update(run_seconds=100)),
    (checks.no_absolute_path, spoil_code("open('/home/me/data.npz')")),
    (checks.no_absolute_path, spoil_prose("see C:\\data")),
    (checks.no_absolute_path, add_output(new_output("stream", text="in /tmp/x/y"))),
    (checks.short_cells, spoil_code("x = 1\n" * (checks.LONGEST_CELL + 1))),
    (checks.setup_first, lambda nb: nb.cells[1].metadata.pop("tags")),
    (checks.setup_first, lambda nb: nb.cells[1].update(source="import sys")),
    (checks.opening, lambda nb: nb.cells.pop(0)),
    (checks.result_in_opening, lambda nb: nb.cells[0].pop("attachments")),
    (checks.result_in_opening, lambda nb: nb.cells[3].metadata.pop("tags")),
    (checks.result_in_opening, lambda nb: nb.cells[3].outputs[1].data.update({"image/png": "x"})),
    (checks.ending, lambda nb: nb.cells.append(new_markdown_cell("## More"))),
    (checks.ending, lambda nb: nb.cells[4].update(source=nb.cells[4].source[: -len(SOLUTION)])),
    (checks.no_typed_results, spoil_prose("The AUROC is 0.953.")),
    (checks.no_typed_results, spoil_prose("The AUROC is 95.3 %.")),
    (checks.no_typed_results, spoil_prose("| AUROC | 0.95 |")),
]


@pytest.mark.parametrize("check", checks.CHECKS, ids=lambda check: check.__name__)
def test_a_good_notebook_passes(check: Callable) -> None:
    assert list(check(good())) == []


@pytest.mark.parametrize(("check", "spoil"), FAULTS)
def test_a_fault_is_found(check: Callable, spoil: Callable) -> None:
    notebook = good()
    spoil(notebook)
    assert list(check(notebook)) != []


def test_every_check_has_a_fault_that_it_finds() -> None:
    assert {check for check, _ in FAULTS} == set(checks.CHECKS)


def test_links_that_lead_nowhere_are_found(tmp_path: Path) -> None:
    nbformat.write(good(), tmp_path / "02_b.ipynb")
    (tmp_path / "a.md").write_text(
        "# A page\n\n[ok](02_b.ipynb#idea) [ok](#a-page) [ok](https://example.org)\n"
        "[bad](03_c.ipynb) [bad](02_b.ipynb#no-idea) [bad](#another)\n"
    )
    assert len(broken(tmp_path / "a.md")) == 3


def test_anchors_are_named_as_on_github() -> None:
    text = "# What is an anomaly?\n\n(label)=\n## `VAE`, and [more](x.md)\n"
    assert anchors(text) == {"what-is-an-anomaly", "label", "vae-and-more"}


@pytest.mark.parametrize(
    "text",
    [
        "https://colab.research.google.com/github/me/book/blob/main/chapters/01_a.ipynb",
        'pip install "vae_lib @ git+https://github.com/me/book"',
        "%pip install git+https://github.com/me/book.git",
        "git clone https://github.com/me/book\n",
        "repository-code: https://github.com/me/book",
        "  source_repository: https://github.com/me/book",
        'Repository = "https://github.com/me/book"',
    ],
)
def test_addresses_are_found(text: str) -> None:
    assert addresses(text) == {"me/book"}
