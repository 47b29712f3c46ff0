"""A CSV file, whole or not at all, and a bar that shows how far the work is."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from .. import files

BAR = 30  # characters


def write(path: str, header: Sequence[str], rows: Iterable[Sequence]) -> None:
    """Write to the file, or to the standard output for "-", when all rows are there.

    Raises a ValueError for a path that is a folder or in none.
    """
    target = Path(path)
    if path != "-" and (target.is_dir() or not target.parent.is_dir()):
        raise ValueError(f"out is {path!r}; expected a file's name in a folder that exists")
    if path == "-":
        text = io.StringIO()
        _table(text, header, rows)
        sys.stdout.write(text.getvalue())
        return
    with files.whole(target, "x", newline="", encoding="utf-8") as file:
        _table(file, header, rows)


def shown(parts: Iterable, count: int) -> Iterator:
    """The parts one after another, with a bar on stderr where a person looks at it."""
    done = 0
    for part in parts:
        yield part
        done += len(part.names)
        if sys.stderr.isatty():
            bar = "#" * (BAR * done // count)
            end = "\n" if done == count else ""
            print(f"\r[{bar:.<{BAR}}] {done}/{count}", end=end, file=sys.stderr, flush=True)


def _table(file, header: Sequence[str], rows: Iterable[Sequence]) -> None:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
