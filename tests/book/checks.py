"""What every chapter must keep to: each check takes a notebook and returns the problems it finds.

`test_chapters.py` runs them on the chapters, `test_checks.py` on notebooks made to fail them.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping

from nbformat import NotebookNode

from notebook_compare import numbers, texts
from notebook_files import LANGUAGE, code_cells, fingerprint, tags

LONGEST_CELL = 25  # lines
LONGEST_RUN = 90  # seconds
LARGEST_NOTEBOOK = 1_500_000  # bytes
LARGEST_PNG = 150_000  # bytes
SHORTEST_ALT = 40  # characters
OPENING = ("You will learn", "You need", "You will make", "**Run time:**")
ENDING = ("Take-aways", "In practice", "Exercises")

DIRECTIVE = re.compile(r"^\s*(?:`{3,}|:{3,}|~{3,})\s*\{.*", re.MULTILINE)
ROLE = re.compile(r"\{[a-z][\w:+-]*\}`[^`\n]+`")
ABSOLUTE = re.compile(r"(?<![\w./:-])/(?:home|root|tmp|Users|work|mnt|opt|var)/|\b[A-Z]:\\|file://")
UNCHECKED = re.compile(r"nbval-(?:skip|ignore-output)|NBVAL_(?:SKIP|IGNORE_OUTPUT)")
RUN_TIME = re.compile(r"\*\*Run time:\*\* under (\d+) s")
NOT_PROSE = re.compile(
    r"^```.*?^```|`[^`\n]+`|\$\$.*?\$\$|\$[^$\n]+\$|\]\([^)]*\)|<[^>]+>", re.DOTALL | re.MULTILINE
)


def prose(notebook: NotebookNode) -> list[str]:
    return [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]


def pictures(cell: NotebookNode) -> list[NotebookNode]:
    return [out for out in cell.outputs if "image/png" in out.get("data", {})]


def output_text(output: Mapping) -> str:
    """All that an output says in words and numbers, without the pictures."""
    return "\n".join(texts(output).values())


def executed_in_order(notebook: NotebookNode) -> Iterator[str]:
    counts = [cell.execution_count for cell in code_cells(notebook)]
    if not counts or counts != list(range(1, len(counts) + 1)):
        yield f"cells were not run once each from top to bottom: {counts}"


def executed_as_it_stands(notebook: NotebookNode) -> Iterator[str]:
    if notebook.metadata.get("executed") != fingerprint(notebook):
        yield "code changed since `make execute` last ran it"


def language_named(notebook: NotebookNode) -> Iterator[str]:
    if (found := notebook.metadata.get("language_info")) != LANGUAGE:
        yield f"metadata language_info is {found}: converters and editors need {LANGUAGE}"


def clean_outputs(notebook: NotebookNode) -> Iterator[str]:
    for number, cell in enumerate(code_cells(notebook), start=1):
        for output in cell.outputs:
            if output.get("name") == "stderr":
                yield f"cell {number} has words on stderr: {output.text[:100]!r}"
            if output.output_type == "error" and "raises-exception" not in tags(cell):
                yield f"cell {number} ended in {output.ename}"


def nothing_unchecked(notebook: NotebookNode) -> Iterator[str]:
    for number, cell in enumerate(code_cells(notebook), start=1):
        if found := UNCHECKED.search(cell.source + " ".join(tags(cell))):
            yield f"cell {number} switches its comparison off with {found[0]}"


def plain_markdown(notebook: NotebookNode) -> Iterator[str]:
    for text in prose(notebook):
        for found in DIRECTIVE.findall(text) + ROLE.findall(text):
            yield f"MyST in a notebook reads as raw text elsewhere: {found.strip()!r}"


def alt_texts(notebook: NotebookNode) -> Iterator[str]:
    for number, cell in enumerate(code_cells(notebook), start=1):
        alt = cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")
        if pictures(cell) and len(alt) < SHORTEST_ALT:
            yield f"cell {number} needs {SHORTEST_ALT} characters of mystnb.image.alt, has {alt!r}"
        if len(pictures(cell)) > 1:
            yield f"cell {number} shows several figures, and one alt text cannot describe them"
    for text in prose(notebook):
        if re.search(r"!\[\s*\]", text) or re.search(r"<img(?![^>]*\balt=\"[^\"]+\")", text):
            yield "a picture in Markdown has no alt text"


def plotting_is_folded(notebook: NotebookNode) -> Iterator[str]:
    for number, cell in enumerate(code_cells(notebook), start=1):
        if pictures(cell) and not {"hide-input", "hide-cell"} & set(tags(cell)):
            yield f"cell {number} draws a figure, and its code is not folded (hide-input)"


def figures_have_facts(notebook: NotebookNode) -> Iterator[str]:
    for number, cell in enumerate(code_cells(notebook), start=1):
        if pictures(cell) and not any(output_text(out).strip() for out in cell.outputs):
            yield f"cell {number} draws a figure and prints nothing that a test could compare"


def sizes(notebook: NotebookNode) -> Iterator[str]:
    if (
        size := len(json.dumps(notebook, indent=1, ensure_ascii=False).encode())
    ) > LARGEST_NOTEBOOK:
        yield f"the notebook has {size} bytes, {LARGEST_NOTEBOOK} are allowed"
    for number, cell in enumerate(code_cells(notebook), start=1):
        for picture in pictures(cell):
            if (size := len(base64.b64decode(picture.data["image/png"]))) > LARGEST_PNG:
                yield f"the figure of cell {number} has {size} bytes, {LARGEST_PNG} are allowed"


def run_time(notebook: NotebookNode) -> Iterator[str]:
    measured = notebook.metadata.get("run_seconds")
    stated = [int(seconds) for text in prose(notebook) for seconds in RUN_TIME.findall(text)]
    if measured is None or measured > LONGEST_RUN:
        yield f"run_seconds is {measured}: {LONGEST_RUN} at most"
    if stated != [measured]:
        yield f"the text states run times {stated}, metadata run_seconds is {measured}"


def no_absolute_path(notebook: NotebookNode) -> Iterator[str]:
    for cell in notebook.cells:
        outputs = [output_text(output) for output in cell.get("outputs", [])]
        for text in [cell.source, *outputs]:
            if found := ABSOLUTE.search(text):
                yield f"absolute path near {text[found.start() : found.start() + 40]!r}"


def short_cells(notebook: NotebookNode) -> Iterator[str]:
    for number, cell in enumerate(code_cells(notebook), start=1):
        if (lines := len(cell.source.splitlines())) > LONGEST_CELL:
            yield f"cell {number} has {lines} lines, {LONGEST_CELL} fit on a screen"


def setup_first(notebook: NotebookNode) -> Iterator[str]:
    first = code_cells(notebook)[0]
    if "setup" not in tags(first):
        yield "the first code cell is not tagged 'setup'"
    if "colab" not in first.source.lower() or "git+https://" not in first.source:
        yield "the first code cell does not install vae_lib in Colab"


def opening(notebook: NotebookNode) -> Iterator[str]:
    before_code = []
    for cell in notebook.cells:
        if cell.cell_type == "code":
            break
        before_code.append(cell.source)
    yield from (
        f"the opening lacks {phrase!r}"
        for phrase in OPENING
        if phrase not in "\n".join(before_code)
    )


def result_in_opening(notebook: NotebookNode) -> Iterator[str]:
    shown = [cell.get("attachments", {}).get("result.png") for cell in notebook.cells]
    shown = [picture["image/png"] for picture in shown if picture]
    made = [
        picture.data["image/png"]
        for cell in code_cells(notebook)
        for picture in pictures(cell)
        if "result" in tags(cell)
    ]
    if len(made) != 1 or shown != made:
        yield "the opening does not show the figure of the one cell tagged 'result'"


def ending(notebook: NotebookNode) -> Iterator[str]:
    text = "\n\n".join(prose(notebook))
    headings = re.findall(r"^## +(.+?) *$", text, re.MULTILINE)
    if tuple(headings[-3:]) != ENDING:
        yield f"the chapter ends with {headings[-3:]}, not with {list(ENDING)}"
    exercises = text.rpartition("\n## Exercises")[2]
    solutions = re.findall(r"<details>\s*<summary>.+?</summary>.+?</details>", exercises, re.DOTALL)
    if len(solutions) < 3:
        yield f"{len(solutions)} exercises with a solution in <details>: three at least"


def no_typed_results(notebook: NotebookNode) -> Iterator[str]:
    """A decimal number of the prose that is also a result must come from a cell.

    Numbers that stand in the code are inputs, and may be spoken of.
    """
    inputs = {n for cell in code_cells(notebook) for n in numbers(cell.source)}
    outputs = [out for cell in code_cells(notebook) for out in cell.outputs]
    results = [
        float(n.replace(",", "").replace("−", "-"))
        for out in outputs
        for n in numbers(output_text(out))
        if "." in n
    ]
    for text in prose(notebook):
        words = NOT_PROSE.sub(" ", text)
        for number in numbers(words):
            decimals = len(number.partition(".")[2])
            percent = re.search(rf"{re.escape(number)}\s?%", words) is not None
            if number in inputs or decimals < (1 if percent else 2):
                continue
            values = [
                value * scale for value in results for scale in ((1, 100) if percent else (1,))
            ]
            if any(f"{abs(value):.{decimals}f}" == number.lstrip("+-−") for value in values):
                yield f"{number} is typed into the text, and is a result: let a cell print it"


CHECKS = (
    executed_in_order,
    executed_as_it_stands,
    language_named,
    clean_outputs,
    nothing_unchecked,
    plain_markdown,
    alt_texts,
    plotting_is_folded,
    figures_have_facts,
    sizes,
    run_time,
    no_absolute_path,
    short_cells,
    setup_first,
    opening,
    result_in_opening,
    ending,
    no_typed_results,
)
