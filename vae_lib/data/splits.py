"""Four disjoint parts of a data set: to train, to calibrate, to choose and to judge by."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..checks import check_seed
from .datasets import load
from .parts import check_shares

Classes = int | Sequence[int] | None


class Labelled(NamedTuple):
    """Images, whether each `is_anomaly` (bool, (n,)), and their original `classes` (int, (n,))."""

    images: np.ndarray
    is_anomaly: np.ndarray
    classes: np.ndarray


class Split(NamedTuple):
    """Four disjoint parts. `train` and `calibration` are normal; the other two are labelled.

    `validation` has those anomalies that the training set has: where only the test set has any,
    its images are all normal. Where no class is anomalous at all, so are those of `test`.
    Of a folder, `files` has the paths of each part, by its name and in the order of its images, and
    `class_names` what the classes 0, 1, ... are called.
    """

    train: np.ndarray
    calibration: np.ndarray
    validation: Labelled
    test: Labelled
    train_classes: np.ndarray
    calibration_classes: np.ndarray
    files: dict[str, tuple[Path, ...]] | None = None
    class_names: tuple[str, ...] | None = None


def one_class(
    name: str | Path = "mnist-5k",
    normal: int = 0,
    anomaly: Classes = None,
    seed: int = 0,
    calibration: float = 0.25,
    validation: float = 0.15,
) -> Split:
    """Split with one normal class. `anomaly` defaults to every other class, if there is one.

    The test part is the data set's own test set, whatever the seed. The training set is cut by
    `seed`: of each normal class the shares `calibration` and `validation` are set aside and the
    rest is `train`; of each anomalous class the share `validation` goes to the validation part.
    Anomalies may be in the test set only: then the validation part holds normal images alone, as
    do both labelled parts where the data set has a single class.

    Raises:
        ValueError: an unknown class, a normal one that the training set lacks, an empty list, a
            class both normal and anomalous, shares that leave a part empty, or no seed.
    """
    return _split(name, normal, anomaly, seed, calibration, validation)


def multi_class(
    name: str | Path = "mnist-5k",
    anomaly: Classes = 0,
    normal: Classes = None,
    seed: int = 0,
    calibration: float = 0.25,
    validation: float = 0.15,
) -> Split:
    """Split with many normal classes: all of the training set but `anomaly`, or those listed.

    The rest, errors included, is as in `one_class`.
    """
    return _split(name, normal, anomaly, seed, calibration, validation)


def _split(
    name: str | Path,
    normal: Classes,
    anomaly: Classes,
    seed: int,
    calibration: float,
    validation: float,
) -> Split:
    check_seed("seed", seed)
    check_shares(calibration=calibration, validation=validation)
    x, y, x_test, y_test = load(name)
    normal, anomaly = _sides(normal, anomaly, y, y_test)

    rng = np.random.RandomState(seed)
    train, calibrate, validate = [], [], []
    for c in normal + anomaly:
        index = rng.permutation(np.flatnonzero(y == c))
        cut = round(validation * len(index))
        validate.append(index[:cut])
        if c in normal:
            end = cut + round(calibration * len(index))
            calibrate.append(index[cut:end])
            train.append(index[end:])
    train, calibrate, validate = (
        rng.permutation(np.concatenate(part)) for part in (train, calibrate, validate)
    )
    test = np.flatnonzero(np.isin(y_test, normal + anomaly))
    trained_on = [c for c in anomaly if c in y]
    for part, classes, sides in (
        ("train", y[train], [normal]),
        ("calibration", y[calibrate], [normal]),
        ("validation", y[validate], [normal, trained_on]),
        ("test", y_test[test], [normal, anomaly]),
    ):
        for side in filter(None, sides):
            if not np.isin(classes, side).any():
                raise ValueError(
                    f"the {part} part has no image of the classes {side}; expected more images or "
                    "other shares"
                )
    return Split(
        train=x[train],
        calibration=x[calibrate],
        validation=Labelled(x[validate], np.isin(y[validate], anomaly), y[validate]),
        test=Labelled(x_test[test], np.isin(y_test[test], anomaly), y_test[test]),
        train_classes=y[train],
        calibration_classes=y[calibrate],
    )


def _sides(
    normal: Classes, anomaly: Classes, y_train: np.ndarray, y_test: np.ndarray
) -> tuple[list[int], list[int]]:
    """The normal and the anomalous classes: two disjoint lists, the second one perhaps empty."""
    trained = np.unique(y_train).tolist()
    known = np.union1d(y_train, y_test).tolist()
    chosen = None if normal is None else _chosen(normal, "normal", "training classes", trained)
    others = [] if anomaly is None else _chosen(anomaly, "anomaly", "classes", known)
    normal = [c for c in trained if c not in others] if chosen is None else chosen
    anomaly = [c for c in known if c not in normal] if anomaly is None else others
    if not normal or not (anomaly or len(known) == 1):
        found = f"normal is {normal} and anomaly is {anomaly}"
        raise ValueError(f"{found}; expected one class or more of each")
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
