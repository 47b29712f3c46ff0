"""Do two lists of notebook outputs say the same? Text exactly, numbers within a tolerance.

Used by nbval (through `nbval_tolerance.py`) and by `execute.py`, with the standard library alone.

- Words must match; runs of spaces, dashes and box lines count as one space, since the width of
  a column depends on its numbers.
- Numbers may move as far as `printed_numbers.py` says; `nan` equals `nan` and nothing else.
- Pictures are not compared, but how many outputs there are and of which kinds is.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping

from output_texts import coalesce, kind_of, texts
from printed_numbers import NUMBER, Tolerance, numbers, value

FILLER = re.compile(r"[\s\-=_—–─-╿]+")  # spaces, dashes, rules, box drawing


def differences(
    committed: Iterable[Mapping], computed: Iterable[Mapping], tolerance: Tolerance
) -> list[str]:
    """Every disagreement as one line of text; an empty list means that the outputs agree."""
    old, new = coalesce(committed), coalesce(computed)
    old_kinds, new_kinds = [*map(kind_of, old)], [*map(kind_of, new)]
    if old_kinds != new_kinds:
        return [f"outputs differ in kind: committed {old_kinds}, computed {new_kinds}"] + [
            f"new on stderr: {output['text'].strip()[-400:]}"
            for output in new
            if output.get("name") == "stderr"
        ]
    found = []
    for index, (before, after) in enumerate(zip(old, new, strict=True), start=1):
        old_texts, new_texts = texts(before), texts(after)
        for kind, text in old_texts.items():
            found += [
                f"output {index}, {kind}: {line}"
                for line in _text_differences(text, new_texts[kind], tolerance)
            ]
    return found


def _text_differences(committed: str, computed: str, tolerance: Tolerance) -> list[str]:
    old_words, new_words = _words(committed), _words(computed)
    if old_words != new_words:
        for old, new in zip(old_words, new_words, strict=False):
            if old != new:
                return [f"text differs: committed {old[:200]!r}, computed {new[:200]!r}"]
        longer = old_words if len(old_words) > len(new_words) else new_words
        which = "computed lacks" if longer is old_words else "computed adds"
        rest = "…".join(longer[min(len(old_words), len(new_words)) :])
        return [f"text differs: {which} {rest[:200]!r}"]
    found = []
    pairs = zip(numbers(committed), numbers(computed), strict=True)
    for index, (old, new) in enumerate(pairs, start=1):
        allowed = tolerance.allowed(old, new)
        if not _close(value(old), value(new), allowed):
            found.append(
                f"number {index}: committed {old}, computed {new}, allowed difference {allowed:.3g}"
            )
    return found


def _words(text: str) -> list[str]:
    """The text between the numbers, with fillers made alike."""
    return [FILLER.sub(" ", part).strip() for part in NUMBER.split(text)]


def _close(old: float, new: float, allowed: float) -> bool:
    if math.isfinite(old) and math.isfinite(new):
        return abs(old - new) <= allowed
    return old == new or (math.isnan(old) and math.isnan(new))
