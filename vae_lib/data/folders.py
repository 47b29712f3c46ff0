"""A folder of picture files as the four parts of a detector's protocol, files named."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path

import numpy as np

from ..checks import check_seed
from .layouts import NORMAL, SUFFIXES, sides_of
from .parts import check_shares, check_sides, divide
from .pictures import Background, read_images
from .splits import Labelled, Split

Group = str | Callable[[Path], Hashable] | None


def from_folder(
    path: str | Path,
    size: tuple[int, int] | None = None,
    channels: int = 3,
    normal: str | Sequence[str] = NORMAL,
    anomaly: str | Sequence[str] = ("anomaly",),
    seed: int = 0,
    calibration: float = 0.25,
    validation: float = 0.15,
    test: float | None = None,
    group: Group = None,
    resize: str = "stretch",
    background: Background = None,
) -> Split:
    """Read a folder of PNG and JPEG files, and split it: anomalies to judge by, none to learn from.

    Three layouts are known:

    - pictures alone, all normal;
    - sub-folders by label: those named in `normal`, and those named in `anomaly`;
    - `train/` and `test/`, as MVTec AD has them: normal folders in both, and in `test/` a folder
      for each kind of defect, whatever its name. A folder `ground_truth/` of masks is not read.

    The result is a `Split` with `files`, the paths of each part in the order of its pictures, and
    `class_names`: class 0, called as the first of `normal`, then the folders of anomalies. In the
    third layout `test/` is the test part, and `train/` is divided into the others, so that
    validation is all normal. In the second the whole is divided, and only validation and test have
    anomalies.

    Hidden files and what systems leave behind (`Thumbs.db`, `desktop.ini`, `__MACOSX`) are passed
    over, and so are files that are no pictures beside sub-folders (a licence, a list).

    Args:
        size, channels, resize, background: as in `read_images`.
        normal, anomaly: names of sub-folders; several of `anomaly` are as many kinds.
        seed: of the division.
        calibration, validation, test: shares of the normal pictures (of `train/` in the third
            layout, which takes no `test`; else `test` is 0.2 unless given). The rest is to train
            on. Anomalies are divided between validation and test in the same proportion.
        group: what tells which pictures must stay in one part, such as shots of one object: a
            function of the path, or a regular expression whose first group (or whole match) in the
            file's name is the same for them. Shares are then shares of groups, and normal pictures
            of a group with an anomaly go where it goes.

    Raises:
        ValueError: a path that is no folder, one without pictures, or in none of the layouts; a
            file or a folder where it does not belong; no normal picture; too few for the shares; a
            group in both `train/` and `test/`; and what `read_images` refuses, by file.
    """
    check_seed("seed", seed)
    shares = {"calibration": calibration, "validation": validation}
    shares["test"] = 0.2 if test is None else test
    check_shares(**shares)
    normal, anomaly = _names("normal", normal), _names("anomaly", anomaly)
    if both := sorted(set(normal) & set(anomaly)):
        raise ValueError(f"normal is {normal} and anomaly is {anomaly}; {both} cannot be both")
    root = _root(path)
    sides = sides_of(root, normal, anomaly)
    if "test" in sides and test is not None:
        found = f"test is {test!r} and {str(root)!r} has a folder 'test'"
        raise ValueError(f"{found}; expected None, since that folder is the test part")

    listed = [entry for side in sides.values() for entry in side]
    files, kinds = [file for file, _ in listed], sorted({kind for _, kind in listed if kind})
    classes = np.array([1 + kinds.index(kind) if kind else 0 for _, kind in listed], "int64")
    if not files:
        raise ValueError(f"{str(root)!r} has no picture; expected files {SUFFIXES}")
    if classes.all():
        raise ValueError(f"{str(root)!r} has no normal picture; expected some in one of {normal}")
    groups = np.arange(len(files)) if group is None else _groups(files, group)
    if "test" not in sides:
        parts = divide(classes, groups, shares, seed)
    else:
        end = len(sides["train"])
        if not end:
            raise ValueError(f"{str(root / 'train')!r} has no picture; expected some to train on")
        _check_apart(files, groups, end)
        del shares["test"]
        parts = divide(classes[:end], groups[:end], shares, seed)
        parts["test"] = np.arange(end, len(files))
        check_sides("test", classes[end:], bool(classes.any()))
    images = read_images(files, channels, size, resize, background)
    labelled = {
        part: Labelled(images[index], classes[index] > 0, classes[index])
        for part, index in parts.items()
    }
    return Split(
        train=labelled["train"].images,
        calibration=labelled["calibration"].images,
        validation=labelled["validation"],
        test=labelled["test"],
        train_classes=labelled["train"].classes,
        calibration_classes=labelled["calibration"].classes,
        files={part: tuple(files[i] for i in index) for part, index in parts.items()},
        class_names=(normal[0], *kinds),
    )


def _root(path: str | Path) -> Path:
    """The folder, if it is one."""
    if not (isinstance(path, (str, Path)) and str(path)):
        raise ValueError(f"path is {path!r}; expected a folder, a str or a Path")
    root = Path(path)
    if not root.is_dir():
        found = "a file" if root.exists() else "not there"
        raise ValueError(f"path is {str(path)!r}, which is {found}; expected a folder")
    return root


def _names(name: str, folders: str | Sequence[str]) -> tuple[str, ...]:
    """One name of a folder or several, as a tuple."""
    names = (folders,) if isinstance(folders, str) else folders
    listed = isinstance(names, (tuple, list)) and len(names) > 0
    if not listed or not all(isinstance(one, str) and one for one in names):
        raise ValueError(f"{name} is {folders!r}; expected a folder's name or a list of them")
    return tuple(names)


def _groups(files: list[Path], group: str | Callable[[Path], Hashable]) -> np.ndarray:
    """The number of each file's group."""
    key_of = _by_name(group) if isinstance(group, str) else group
    if not callable(key_of):
        raise ValueError(f"group is {group!r}; expected a regular expression, a function or None")
    numbers: dict[Hashable, int] = {}
    groups = []
    for file in files:
        key = key_of(file)
        if key is None or not isinstance(key, Hashable):
            found = f"group gives {key!r} for {str(file)!r}"
            raise ValueError(f"{found}; expected what tells its group")
        groups.append(numbers.setdefault(key, len(numbers)))
    return np.array(groups)


def _by_name(expression: str) -> Callable[[Path], str | None]:
    """What the first group of a regular expression, or all of it, matches in a file's name."""
    try:
        pattern = re.compile(expression)
    except re.error as error:
        found = f"group is {expression!r}, which is no regular expression ({error})"
        raise ValueError(f"{found}; expected one, or a function") from error

    def key(file: Path) -> str | None:
        match = pattern.search(file.name)
        return match and match[min(1, pattern.groups)]

    return key


def _check_apart(files: list[Path], groups: np.ndarray, end: int) -> None:
    """No group may be both in train/, the files before `end`, and in test/."""
    trained = dict(zip(groups[:end], files, strict=False))
    for file, number in zip(files[end:], groups[end:], strict=True):
        if number in trained:
            found = f"group tells that {str(trained[number])!r} and {str(file)!r} belong together"
            raise ValueError(f"{found}; expected each group in 'train' alone or in 'test' alone")
