"""A folder of picture files: which files it holds, and what its sub-folders say of them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

SUFFIXES = (".png", ".jpg", ".jpeg")
NORMAL = ("normal", "good")  # what folders of normal pictures are called
SYSTEM = ("thumbs.db", "desktop.ini", "__macosx")  # files that systems leave behind

Names = str | Sequence[str] | None
Labels = list[tuple[Path, str | None]]  # files, each with its kind of anomaly


class Listing(NamedTuple):
    """Picture files, their classes (n,), the classes' names, and the count before a test folder."""

    files: list[Path]
    classes: np.ndarray
    class_names: tuple[str, ...]
    drawn: int


def list_folder(path: str | Path, normal: Names = None, anomaly: Names = None) -> Listing:
    """The picture files of a folder in one of three layouts.

    - pictures alone, all normal;
    - sub-folders by label: those named in `normal`, and those named in `anomaly`;
    - `train/` and `test/`, as MVTec AD has them: normal folders in both, and in `test/` a folder
      for each kind of defect, whatever its name. A folder `ground_truth/` of masks is not read.

    Hidden files, files that systems leave behind, and files other than pictures beside sub-folders
    (a licence, a list) are ignored. In the third layout the files of `test/` come last, after the
    first `drawn`; else `drawn` is their number.

    Raises:
        ValueError: a path that is not a folder, one without pictures, or in none of the layouts; a
            file or a folder in a place where it has no label; no normal picture; a file that is
            there twice, by a link.
    """
    normal, anomaly = _names("normal", normal, NORMAL), _names("anomaly", anomaly, ("anomaly",))
    if both := sorted(set(normal) & set(anomaly)):
        raise ValueError(f"normal is {normal} and anomaly is {anomaly}; {both} cannot be both")
    root = Path(path)
    if not root.is_dir():
        problem = "a file" if root.exists() else "not there"
        raise ValueError(f"source is {str(path)!r}, which is {problem}; expected a folder")
    folders = _folders(root)
    with_test = {"train", "test"} <= set(folders)
    if not folders:
        labels, tested = [(file, None) for file in _pictures(root)], []
    elif with_test:
        _check_known(folders, ("train", "test", "ground_truth"))
        train, test = (_folders(folders[side], labelled=True) for side in ("train", "test"))
        _check_known(train, normal)
        labels, tested = _labels(train, normal), _labels(test, normal)
    else:
        _check_known(folders, (*normal, *anomaly), ", named in normal and anomaly")
        labels, tested = _labels(folders, normal), []
    drawn, labels = len(labels), labels + tested
    if not labels:
        raise ValueError(f"{str(root)!r} has no picture; expected files {SUFFIXES}")
    if not drawn:
        raise ValueError(f"{str(root / 'train')!r} has no picture; expected some to train on")
    files, kinds = [file for file, _ in labels], sorted({kind for _, kind in labels if kind})
    _check_once(files)
    classes = np.array([1 + kinds.index(kind) if kind else 0 for _, kind in labels], "int64")
    if classes.all():
        raise ValueError(f"{str(root)!r} has no normal picture; expected some in one of {normal}")
    return Listing(files, classes, (normal[0], *kinds), drawn)


def groups_of(
    listing: Listing, group: str | Callable[[Path], Hashable] | None
) -> np.ndarray | None:
    """The number of each file's group, as `split` takes it; None without groups.

    Raises:
        ValueError: neither a regular expression nor a function; a file without a group; a group
            both in `train/` and in `test/`.
    """
    if group is None:
        return None
    key_of = _matched(group) if isinstance(group, str) else group
    if not callable(key_of):
        raise ValueError(f"group is {group!r}; expected a regular expression, a function or None")
    numbers: dict[Hashable, int] = {}
    first_files: dict[int, Path] = {}
    groups = []
    for place, file in enumerate(listing.files):
        key = key_of(file)
        if key is None or not isinstance(key, Hashable):
            problem = f"group gives {key!r} for {str(file)!r}"
            raise ValueError(f"{problem}; expected a key that can be compared, such as a text")
        groups.append(numbers.setdefault(key, len(numbers)))
        if place < listing.drawn:
            first_files.setdefault(groups[-1], file)
        elif groups[-1] in first_files:
            both = f"{str(first_files[groups[-1]])!r} and {str(file)!r}"
            raise ValueError(
                f"group is the same for {both}; expected each group in 'train' alone or in 'test' "
                "alone"
            )
    return np.array(groups)


def _matched(expression: str) -> Callable[[Path], str | None]:
    """What the first group of a regular expression, or all of it, matches in a file's name."""
    try:
        pattern = re.compile(expression)
    except re.error as error:
        problem = f"group is {expression!r}, which is not a regular expression ({error})"
        raise ValueError(f"{problem}; expected one, or a function") from error

    def key(file: Path) -> str | None:
        match = pattern.search(file.name)
        return match and match[min(1, pattern.groups)]

    return key


def _names(name: str, folders: Names, default: tuple[str, ...]) -> tuple[str, ...]:
    """One name of a folder or several, as a tuple."""
    names = default if folders is None else (folders,) if isinstance(folders, str) else folders
    listed = isinstance(names, (tuple, list)) and len(names) > 0
    if not listed or not all(isinstance(one, str) and one for one in names):
        raise ValueError(f"{name} is {folders!r}; expected a folder's name or a list of them")
    return tuple(names)


def _labels(folders: dict[str, Path], normal: tuple[str, ...]) -> Labels:
    kinds = {name: None if name in normal else name for name in folders}
    return [(file, kinds[name]) for name in folders for file in _pictures(folders[name])]


def _visible(folder: Path) -> list[Path]:
    """What is in a folder, by name, without what is hidden."""
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise ValueError(f"{str(folder)!r} cannot be read: {error}; expected a folder") from error
    return [e for e in entries if not e.name.startswith(".") and e.name.lower() not in SYSTEM]


def _folders(folder: Path, labelled: bool = False) -> dict[str, Path]:
    """Its sub-folders by name; no picture may lie beside them, where it would have no label."""
    entries = _visible(folder)
    folders = {entry.name: entry for entry in entries if entry.is_dir()}
    stray = [entry for entry in entries if entry.suffix.lower() in SUFFIXES and not entry.is_dir()]
    if stray and (folders or labelled):
        problem = f"{str(stray[0])!r} is not in a folder with a label"
        raise ValueError(f"{problem}; expected it in one, such as 'normal' or 'good'")
    return folders


def _pictures(folder: Path) -> list[Path]:
    """Its picture files; nothing else may be there."""
    entries = _visible(folder)
    for entry in entries:
        if entry.is_dir() or entry.suffix.lower() not in SUFFIXES:
            kind = "a folder" if entry.is_dir() else "not a picture by its name"
            raise ValueError(f"{str(entry)!r} is {kind}; expected only files {SUFFIXES}")
    return entries


def _check_known(folders: dict[str, Path], known: tuple[str, ...], advice: str = "") -> None:
    for name, folder in folders.items():
        if name not in known:
            problem = f"{str(folder)!r} is a folder without a known label"
            raise ValueError(f"{problem}; expected one of {known}{advice}")


def _check_once(files: list[Path]) -> None:
    """No file may be there twice, by a link: it could come into two parts."""
    seen: dict[str, Path] = {}
    for file in files:
        first = seen.setdefault(os.path.realpath(file), file)
        if first is not file:
            problem = f"{str(file)!r} is the same file as {str(first)!r}"
            raise ValueError(f"{problem}; expected one of them")
