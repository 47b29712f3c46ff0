"""Which picture files a folder holds, and what its sub-folders say of them."""

from __future__ import annotations

import os
from pathlib import Path

SUFFIXES = (".png", ".jpg", ".jpeg")
NORMAL = ("normal", "good")  # what folders of normal pictures are called
SYSTEM = ("thumbs.db", "desktop.ini", "__macosx")  # what systems leave behind, and names with a dot

Listed = list[tuple[Path, str | None]]  # files, each with its kind of anomaly


def sides_of(root: Path, normal: tuple[str, ...], anomaly: tuple[str, ...]) -> dict[str, Listed]:
    """All files by layout: "all" of them, or those of "train" and of "test".

    Raises a ValueError for what does not belong where it lies, and for a file that is there twice.
    """
    folders = _folders(root)
    if not folders:
        sides = {"all": [(file, None) for file in _pictures(root)]}
    elif {"train", "test"} <= set(folders):
        _check_known(folders, ("train", "test", "ground_truth"))
        train, test = (_folders(folders[side], labelled=True) for side in ("train", "test"))
        _check_known(train, normal)
        sides = {"train": _listed(train, normal), "test": _listed(test, normal)}
    else:
        _check_known(folders, (*normal, *anomaly), ", named in normal and anomaly")
        sides = {"all": _listed(folders, normal)}
    _check_once([file for side in sides.values() for file, _ in side])
    return sides


def _listed(folders: dict[str, Path], normal: tuple[str, ...]) -> Listed:
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
        found = f"{str(stray[0])!r} lies in no folder of one label"
        raise ValueError(f"{found}; expected it in one, such as 'normal' or 'good'")
    return folders


def _pictures(folder: Path) -> list[Path]:
    """Its picture files, and there may be nothing else."""
    entries = _visible(folder)
    for entry in entries:
        if entry.is_dir() or entry.suffix.lower() not in SUFFIXES:
            kind = "a folder" if entry.is_dir() else "no picture by its name"
            raise ValueError(f"{str(entry)!r} is {kind}; expected files {SUFFIXES} alone")
    return entries


def _check_known(folders: dict[str, Path], known: tuple[str, ...], advice: str = "") -> None:
    for name, folder in folders.items():
        if name not in known:
            found = f"{str(folder)!r} is a folder that stands for no label"
            raise ValueError(f"{found}; expected one of {known}{advice}")


def _check_once(files: list[Path]) -> None:
    """No file may be there twice, by a link: it could come into two parts."""
    seen: dict[str, Path] = {}
    for file in files:
        first = seen.setdefault(os.path.realpath(file), file)
        if first is not file:
            found = f"{str(file)!r} is the same file as {str(first)!r}"
            raise ValueError(f"{found}; expected one of them")
