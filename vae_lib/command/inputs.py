"""What is scored: a folder of pictures, an .npz, or a table, in parts that fit into memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..data import as_images, read_images
from ..data.datasets import NORMAL, SUFFIXES
from ..data.pictures import RESIZES
from ..data.tables import TABLE_SUFFIXES as TABLES
from ..data.tables import read_table
from ..frames import is_frame, names_of

PART = 256  # pictures or rows that are read and scored at once
IMAGES, LABELS = ("images", "x", "x_test"), "is_anomaly"  # arrays of an .npz
FORMS = f"a folder of {SUFFIXES}, an .npz, or a table in {TABLES}"


class Part(NamedTuple):
    """Items with their names, and labels (n,) of bool where they were asked for."""

    names: list[str]
    items: object  # an array, or a DataFrame
    is_anomaly: np.ndarray | None


class Source(NamedTuple):
    """A kind of name, "file" or "row"; how many items; and the parts of them."""

    kind: str
    count: int
    parts: Iterator[Part]


def read(
    path: str,
    shape: tuple[int, ...],
    label: str | None = None,
    labelled: bool | None = False,
    drop: tuple[str, ...] = (),
    array: str | None = None,
    resize: str | None = None,
) -> Source:
    """The items of a file or folder, for a detector of data of that shape.

    Args:
        label: the column of a table, or the array of an .npz, that tells anomalies; it is no input.
        labelled: whether labels are needed; None takes those that are there. Of a folder they are
            its sub-folders' names, if one of them is "normal" or "good".
        drop: columns of a table that are no input.
        array: the array of an .npz to take.
        resize: how pictures of another size are brought to that of the detector; None refuses them.

    Raises a ValueError for what is not there, of another kind than the detector, or not labelled.
    """
    root = Path(path)
    if root.is_dir():
        if len(shape) != 3:
            raise ValueError(f"input is the folder {path!r}; expected rows of shape {shape}")
        return _pictures(root, shape, labelled, resize)
    if not root.is_file():
        raise ValueError(f"input is {path!r}, which is not there; expected {FORMS}")
    if root.suffix.lower() == ".npz":
        return _slices(*_arrays(root, shape, label, labelled, array))
    if root.suffix.lower() not in TABLES:
        raise ValueError(f"input is {path!r}; expected {FORMS}")
    if len(shape) != 1:
        raise ValueError(f"input is the table {path!r}; expected images of shape {shape}")
    return _slices(*_table(root, label, labelled, drop))


def _pictures(
    root: Path, shape: tuple[int, ...], labelled: bool | None, resize: str | None
) -> Source:
    """All picture files below the folder, by name; anomalies are those in no folder of `NORMAL`."""
    if resize is not None and resize not in RESIZES:
        raise ValueError(f"resize is {resize!r}; expected one of {tuple(RESIZES)}")
    inside = (file.relative_to(root) for file in root.rglob("*"))
    files = sorted(
        file
        for file in inside
        if file.suffix.lower() in SUFFIXES and not any(p.startswith(".") for p in file.parts)
    )
    if not files:
        raise ValueError(f"input is {str(root)!r}, without a picture; expected {SUFFIXES} in it")
    if labelled is None:
        labelled = any(file.parent.name in NORMAL for file in files)
    elif labelled and (stray := [file for file in files if len(file.parts) == 1]):
        found = f"{str(stray[0])!r} lies in no folder of one label"
        raise ValueError(f"{found}; expected 'normal' or 'good', and others for anomalies")
    *size, channels = shape

    def parts() -> Iterator[Part]:
        for start in range(0, len(files), PART):
            some = files[start : start + PART]
            paths = [root / file for file in some]
            images = read_images(paths, channels, resize and tuple(size), resize or "stretch")
            labels = np.array([file.parent.name not in NORMAL for file in some])
            yield Part([file.as_posix() for file in some], images, labels if labelled else None)

    return Source("file", len(files), parts())


def _arrays(
    path: Path, shape: tuple[int, ...], label: str | None, labelled: bool | None, array: str | None
) -> tuple[np.ndarray, np.ndarray | None]:
    try:
        with np.load(path, allow_pickle=False) as file:
            held = {name: file[name] for name in file.files}
    except Exception as error:  # the archive, its compression and its arrays fail in many ways
        raise ValueError(f"{str(path)!r} cannot be read: {error}; expected an .npz") from error
    flags = held.pop(label or LABELS, None)
    name = array or next((n for n in IMAGES if n in held), None)
    name = next(iter(held)) if name is None and len(held) == 1 else name
    if name not in held:
        found = f"{path.name} has the arrays {sorted(held)}"
        raise ValueError(f"{found}; expected {array or IMAGES[0]!r}, or one alone: see --array")
    if labelled and flags is None:
        raise ValueError(f"{path.name} has no array {label or LABELS!r}; expected one of labels")
    items = as_images(held[name], name) if len(shape) == 3 else held[name].astype("float32")
    labelled = flags is not None if labelled is None else labelled
    return items, _flags(flags, len(items)) if labelled else None


def _table(path: Path, label: str | None, labelled: bool | None, drop: tuple[str, ...]):
    table = read_table(path)
    labelled = label is not None if labelled is None else labelled
    names = names_of(table)
    if labelled and label is None:
        raise ValueError("label is None; expected --label COLUMN of 0 and 1, 1 for an anomaly")
    out = [*drop, *([label] if label else [])]
    for name in out:
        if name not in names:
            raise ValueError(f"column {name!r} is not in {path.name}; expected one of {names}")
    flags = table.iloc[:, names.index(label)].to_numpy() if labelled else None
    rows = table.iloc[:, [name not in out for name in names]]
    return rows, _flags(flags, len(rows)) if labelled else None


def _flags(flags: np.ndarray, n: int) -> np.ndarray:
    if flags.shape != (n,) or flags.dtype.kind not in "biu" or not np.isin(flags, (0, 1)).all():
        found = f"labels have shape {flags.shape} and dtype {flags.dtype}"
        raise ValueError(f"{found}; expected ({n},) of bool, or of 0 and 1")
    return flags.astype(bool)


def _slices(items, flags: np.ndarray | None) -> Source:
    if len(items) == 0:
        raise ValueError("input has no rows; expected one or more")

    def parts() -> Iterator[Part]:
        for start in range(0, len(items), PART):
            here = slice(start, start + PART)
            some = items.iloc[here] if is_frame(items) else items[here]
            names = [str(i) for i in range(start, start + len(some))]
            yield Part(names, some, None if flags is None else flags[here])

    return Source("row", len(items), parts())
