"""The four disjoint parts of a data set: what they hold, and how examples are divided into them."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..checks import is_real
from ..frames import is_frame

PARTS = ("train", "calibration", "validation", "test")


class Labelled(NamedTuple):
    """Examples, whether each `is_anomaly` (bool, (n,)), and their `classes` (integers, (n,)).

    `items` is an array (n, ...), or a DataFrame of n rows. `classes` are those of the data set; of
    other sources 0 is normal, and 1, 2, ... are kinds of anomaly.
    """

    items: np.ndarray
    is_anomaly: np.ndarray
    classes: np.ndarray


class Split(NamedTuple):
    """Four disjoint parts: `train` and `calibration` are normal, the other two are labelled.

    Attributes:
        train, calibration: arrays (n, ...), or DataFrames.
        validation, test: `Labelled` examples, normal and anomalous.
        train_classes, calibration_classes: integers (n,), as `Labelled.classes`.
        files: of a folder, the paths of each part, by its name and in the order of its items.
        class_names: of a folder, what the classes 0, 1, ... are called.
        starts: of a series, the time stamps (else the places) at which the windows of each part
            start, by its name.
        columns: of a series with names, what its channels are called.
    """

    train: np.ndarray
    calibration: np.ndarray
    validation: Labelled
    test: Labelled
    train_classes: np.ndarray
    calibration_classes: np.ndarray
    files: dict[str, tuple[Path, ...]] | None = None
    class_names: tuple[str, ...] | None = None
    starts: dict[str, np.ndarray] | None = None
    columns: tuple[str, ...] | None = None


def check_shares(shares: Mapping[str, float]) -> None:
    """Each share by name must be between 0 and 1, and together they must leave some to train on."""
    for name, share in shares.items():
        if not (is_real(share) and 0 < share < 1):
            raise ValueError(f"{name} is {share!r}; expected a share between 0 and 1")
    if sum(shares.values()) >= 1:
        raise ValueError(
            f"shares are {dict(shares)}, which leave nothing to train on; expected a sum below 1"
        )


def divide(
    is_anomaly: np.ndarray,
    classes: np.ndarray,
    shares: Mapping[str, float],
    seed: int,
    groups: np.ndarray | None = None,
    times: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """Indices of the examples in each part, by its name: drawn, or with `times` cut in their order.

    "train" and "calibration" are normal. Drawn indices are in a random order, but for those of
    "test", which are sorted.

    Args:
        is_anomaly, classes: bool and integers (n,). Each class is divided for itself.
        shares: of the normal examples, by part; the rest is "train". Anomalies go to "validation"
            and "test" in proportion to their shares. Without "test" (the source has a test set of
            its own) the share "validation" of them is used, and no more.
        seed: of the draw.
        groups: integers 0, 1, ... (n,): the examples of a group stay in one part. The groups are
            divided instead of the examples: those with an anomaly as anomalies are, together with
            their normal examples. If at least half of the groups with a normal example have an
            anomaly, too, they are divided as normal ones, and their anomalies in "train" and
            "calibration" are left out.
        times: (n,), numbers or datetime64: "train" is first, "test" last, and examples of one time
            are in one part.

    Raises:
        ValueError: shares that leave nothing to train on.
    """
    check_shares(shares)
    if times is not None:
        parts = cut(times, is_anomaly, shares)
    else:
        parts = _drawn(is_anomaly, classes, shares, seed, groups)
    normal = {name: parts[name][~is_anomaly[parts[name]]] for name in ("train", "calibration")}
    return parts | normal


def _drawn(
    is_anomaly: np.ndarray,
    classes: np.ndarray,
    shares: Mapping[str, float],
    seed: int,
    groups: np.ndarray | None,
) -> dict[str, np.ndarray]:
    rng = np.random.RandomState(seed)  # its streams are frozen by NumPy's compatibility policy
    groups = np.arange(len(classes)) if groups is None else groups
    low, high = classes.min(), classes.max()
    kinds = classes + (high - low + 1) * is_anomaly  # above `high` if anomalous
    group_kinds = np.full(groups.max() + 1, low)  # a group of several kinds counts as the last one
    np.maximum.at(group_kinds, groups[~is_anomaly], kinds[~is_anomaly])
    has_normal = np.isin(np.arange(len(group_kinds)), groups[~is_anomaly])
    mixed = has_normal & np.isin(np.arange(len(group_kinds)), groups[is_anomaly])
    decisive = is_anomaly.copy()
    if 2 * mixed.sum() >= has_normal.sum():
        decisive &= ~mixed[groups]
    np.maximum.at(group_kinds, groups[decisive], kinds[decisive])

    validation, test = shares["validation"], shares.get("test")
    drawn: dict[str, list[np.ndarray]] = {part: [] for part in (*PARTS, "unused")}
    for kind in np.unique(group_kinds):
        members = rng.permutation(np.flatnonzero(group_kinds == kind))
        if kind <= high:
            some = {p: shares[p] for p in ("validation", "calibration", "test") if p in shares}
            rest = "train"
        else:
            some = {"validation": validation / (validation + test) if test else validation}
            rest = "test" if test else "unused"
        ends = np.cumsum([round(share * len(members)) for share in some.values()])
        for part, taken in zip([*some, rest], np.split(members, ends), strict=True):
            drawn[part].append(taken)

    parts = {}
    for part in ("train", *(p for p in PARTS if p in shares)):
        places = np.full(len(group_kinds), -1)
        chosen = np.concatenate(drawn[part])
        places[chosen] = np.arange(len(chosen))
        index = np.flatnonzero(places[groups] >= 0)
        index = index[np.argsort(places[groups[index]], kind="stable")]
        parts[part] = np.sort(index) if part == "test" else rng.permutation(index)
    return parts


def cut(
    times: np.ndarray, is_anomaly: np.ndarray, shares: Mapping[str, float]
) -> dict[str, np.ndarray]:
    """Indices of the examples in each part, in the order of time, anomalies among them."""
    order = np.argsort(times, kind="stable")
    ordered, normal = times[order], np.cumsum(~is_anomaly[order])
    train = 1 - sum(shares.values())
    counts = np.cumsum([train, shares["calibration"], shares["validation"]]) * normal[-1]
    ends = []
    for count in np.rint(counts):
        last = ordered[np.searchsorted(normal, count)]  # the time at the border: all in one part
        ends.append(np.searchsorted(ordered, last, side="right") if count else 0)
    return dict(zip(PARTS, np.split(order, ends), strict=True))


def assemble(
    items,
    is_anomaly: np.ndarray,
    classes: np.ndarray,
    parts: Mapping[str, np.ndarray],
    test: Labelled | None = None,
    **described,
) -> Split:
    """The `Split` of these examples, whose `parts` are indices as `divide` gives them.

    Args:
        test: the test part, where the source has one of its own.
        described: `files`, `class_names`, `starts` and `columns` of the `Split`.

    A UserWarning names a part for validation or test that has no normal example, or no anomalous
    one although the source has anomalies.

    Raises:
        ValueError: no example in `train` or in `calibration`.
    """

    def taken(index: np.ndarray) -> Labelled:
        chosen = items.iloc[index] if is_frame(items) else items[index]
        return Labelled(chosen, is_anomaly[index], classes[index])

    labelled = {part: taken(index) for part, index in parts.items()}
    if test is not None:
        labelled["test"] = test
    for part in ("train", "calibration"):
        if len(parts[part]) == 0:
            advice = "expected more examples (or groups of them), or other shares"
            raise ValueError(f"the {part} part has no normal example; {advice}")
    has_anomalies = bool(is_anomaly.any())  # what validation is drawn from
    for part in ("validation", "test"):
        flags = labelled[part].is_anomaly
        has_anomalies |= part == "test" and bool(flags.any())
        missing = ["normal"] if flags.all() else []
        missing += ["anomalous"] if has_anomalies and not flags.any() else []
        if missing:
            lacks = f"the {part} part has no {' and no '.join(missing)} example"
            warnings.warn(f"{lacks}: `evaluate` needs both kinds", stacklevel=4)
    return Split(
        train=labelled["train"].items,
        calibration=labelled["calibration"].items,
        validation=labelled["validation"],
        test=labelled["test"],
        train_classes=labelled["train"].classes,
        calibration_classes=labelled["calibration"].classes,
        **described,
    )
