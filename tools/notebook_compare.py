"""Do two lists of notebook outputs say the same? Text exactly, numbers within a tolerance.

Used by nbval (through `book_pytest.py`) and by `execute.py`, with the standard library alone.

- Words must match; runs of spaces, dashes and box lines count as one space, since the width of
  a column depends on its numbers.
- Decimal numbers may differ by `atol + rtol * |committed|`; numbers printed as integers may not
  differ at all, unless the cell has a tag `int-atol=…`; `nan` equals `nan` and nothing else.
- A number glued to letters (`28x28`, `mnist-5k`, `z1`) or part of a version (`2.21.0`) is text.
- Pictures are not compared, but how many outputs there are and of which kinds is.
"""

from __future__ import annotations

import html
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import zip_longest

FIGURE_TEXT = re.compile(r"<(?:Figure|\S*\.Figure) .*>", re.DOTALL)
PICTURES = {"image/png", "image/jpeg", "image/svg+xml", "application/pdf"}
FILLER = re.compile(r"[\s\-=_—–─-╿]+")  # spaces, dashes, rules, box drawing
NUMBER = re.compile(
    r"(?<![\w.])[-+−]?"  # the sign belongs to the number, but not in "a-5" or "1-5"
    r"(?:(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d*)?(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?|nan|inf)"
    r"(?!\w|\.\d|,\d{3}\b)"
)
DECIMAL = re.compile(r"\.\d|[eE]|nan|inf")  # "10." ends a sentence as often as it is a float


@dataclass(frozen=True)
class Tolerance:
    """How far a number may move; `CONTRIBUTING.md` says how the defaults were chosen."""

    rtol: float = 1e-3
    atol: float = 1e-3
    int_atol: float = 0.0

    def allowed(self, committed: str, computed: str) -> float:
        """The largest accepted difference between two numbers as they are printed."""
        if DECIMAL.search(committed) or DECIMAL.search(computed):
            return self.atol + self.rtol * abs(value(committed))
        return self.int_atol


def tolerance_of(cell: Mapping, notebook: Mapping) -> Tolerance:
    """The cell's tags (`rtol=0.05`), else the notebook's metadata `tolerance`, else defaults."""
    chosen = {key: float(value) for key, value in notebook.get("tolerance", {}).items()}
    for tag in cell.get("metadata", {}).get("tags", []):
        name, equals, value = tag.partition("=")
        if equals:
            chosen[name.strip().replace("-", "_")] = float(value)
    if unknown := chosen.keys() - {"rtol", "atol", "int_atol"}:
        raise ValueError(f"unknown tolerance {sorted(unknown)}: expected rtol, atol or int-atol")
    return replace(Tolerance(), **chosen)


def numbers(text: str) -> list[str]:
    """The numbers of a text, as they are printed."""
    return NUMBER.findall(text)


def value(text: str) -> float:
    return float(text.replace(",", "").replace("−", "-"))


def differences(
    committed: Iterable[Mapping], computed: Iterable[Mapping], tolerance: Tolerance
) -> list[str]:
    """Every disagreement as one line of text; an empty list means that the outputs agree."""
    old, new = coalesce(committed), coalesce(computed)
    old_kinds, new_kinds = [*map(_kind, old)], [*map(_kind, new)]
    if old_kinds != new_kinds:
        return [f"outputs differ in kind: committed {old_kinds}, computed {new_kinds}"] + [
            f"new on stderr: {output['text'].strip()[-400:]}"
            for output in new
            if output.get("name") == "stderr"
        ]
    return [
        f"output {index}, {kind}: {line}"
        for index, (before, after) in enumerate(zip(old, new, strict=True), start=1)
        for kind, text in texts(before).items()
        for line in _text_differences(text, texts(after)[kind], tolerance)
    ]


def coalesce(outputs: Iterable[Mapping]) -> list[dict]:
    """Join the chunks of each stream: where a flush falls is chance."""
    joined: list[dict] = []
    streams: dict[str, dict] = {}
    for output in outputs:
        if output["output_type"] != "stream":
            joined.append(dict(output))
        elif output["name"] in streams:
            streams[output["name"]]["text"] += output["text"]
        else:
            streams[output["name"]] = dict(output)
            joined.append(streams[output["name"]])
    return joined


def without_stderr(outputs: Iterable[Mapping]) -> list[Mapping]:
    return [output for output in outputs if output.get("name") != "stderr"]


def texts(output: Mapping) -> dict[str, str]:
    """What of an output is compared, by kind."""
    if output["output_type"] == "stream":
        return {output["name"]: output["text"]}
    if output["output_type"] == "error":
        return {"error": f"{output['ename']}: {output['evalue']}"}
    compared = {}
    for kind, content in output["data"].items():
        if kind in PICTURES:
            continue
        text = "".join(content) if isinstance(content, list) else str(content)
        if PICTURES & output["data"].keys() and FIGURE_TEXT.fullmatch(text):
            text = ""  # not left out: the other side may have words beside its picture
        compared[kind] = _without_tags(text) if kind == "text/html" else text
    return compared


def _kind(output: Mapping) -> str:
    if "data" in output:
        return f"{output['output_type']}({', '.join(sorted(output['data']))})"
    return output.get("name", output["output_type"])  # of a stream, or "error"


def _without_tags(text: str) -> str:
    text = re.sub(r"<(style|script)\b.*?</\1>", " ", text, flags=re.DOTALL | re.IGNORECASE)
    return html.unescape(re.sub(r"<[^>]+>", " ", text))


def _text_differences(committed: str, computed: str, tolerance: Tolerance) -> list[str]:
    old_words, new_words = _words(committed), _words(computed)
    if old_words != new_words:
        pairs = zip_longest(old_words, new_words)
        alike = next(index for index, (old, new) in enumerate(pairs) if old != new)
        old, new = ("…".join(words[alike:])[:200] for words in (old_words, new_words))
        return [f"text differs: committed {old!r}, computed {new!r}"]
    allowed = [
        (old, new, tolerance.allowed(old, new))
        for old, new in zip(numbers(committed), numbers(computed), strict=True)
    ]
    return [
        f"number {index}: committed {old}, computed {new}, allowed difference {difference:.3g}"
        for index, (old, new, difference) in enumerate(allowed, start=1)
        if not _close(value(old), value(new), difference)
    ]


def _words(text: str) -> list[str]:
    """The text between the numbers, with fillers made alike."""
    return [FILLER.sub(" ", part).strip() for part in NUMBER.split(text)]


def _close(old: float, new: float, allowed: float) -> bool:
    both_nan = math.isnan(old) and math.isnan(new)
    return both_nan or math.isclose(old, new, rel_tol=0, abs_tol=allowed)
