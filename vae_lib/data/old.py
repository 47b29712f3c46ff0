"""`from_table` and `from_folder`: `split` with the former draws and shares of chapter 10."""

from __future__ import annotations

import numpy as np
from sklearn.model_selection import GroupShuffleSplit, ShuffleSplit

from .parts import PARTS, Split, divide
from .sources import split_folder, split_table


def from_table(
    table,
    anomaly=None,
    groups=None,
    time=None,
    drop=(),
    seed=0,
    calibration=0.2,
    validation=0.15,
    test=0.25,
) -> Split:
    """`split` of a table."""
    shares = {"calibration": calibration, "validation": validation, "test": test}
    return split_table(table, anomaly, groups, time, drop, shares, seed, _table_as_before)


def from_folder(
    path,
    size=None,
    channels=3,
    normal=None,
    anomaly=None,
    seed=0,
    calibration=0.25,
    validation=0.15,
    test=0.2,
    group=None,
    resize="stretch",
    background=None,
) -> Split:
    """`split` of a folder."""
    shares = {"calibration": calibration, "validation": validation, "test": test}
    reading = {"size": size, "channels": channels, "resize": resize, "background": background}
    return split_folder(path, normal, anomaly, group, reading, shares, seed, _folder_as_before)


def _table_as_before(is_anomaly, classes, shares, seed, groups, times) -> dict[str, np.ndarray]:
    if times is not None:
        return divide(is_anomaly, classes, shares, seed, times=times)
    sizes = [1 - sum(shares.values()), *shares.values()]
    rest, parts = np.flatnonzero(~is_anomaly), []
    draw = ShuffleSplit
    if groups is not None:
        rest, draw = np.arange(len(is_anomaly)), GroupShuffleSplit
    for i in (3, 2, 1):
        drawing = draw(1, test_size=sizes[i] / sum(sizes[: i + 1]), random_state=seed)
        left, taken = next(drawing.split(rest, groups=None if groups is None else groups[rest]))
        parts.append(rest[taken])
        rest = rest[left]
    parts = [rest, *parts[::-1]]
    if groups is None and is_anomaly.any():
        strange = np.random.RandomState(seed).permutation(np.flatnonzero(is_anomaly))
        end = round(len(strange) * sizes[2] / (sizes[2] + sizes[3]))
        for i, some in ((2, strange[:end]), (3, strange[end:])):
            parts[i] = np.random.RandomState(seed).permutation(np.concatenate([parts[i], some]))
    parts[:2] = (part[~is_anomaly[part]] for part in parts[:2])
    return dict(zip(PARTS, parts, strict=True))


def _folder_as_before(is_anomaly, classes, shares, seed, groups) -> dict[str, np.ndarray]:
    groups = np.arange(len(classes)) if groups is None else groups
    rng = np.random.RandomState(seed)
    kinds = np.zeros(groups.max() + 1, "int64")
    np.maximum.at(kinds, groups, classes)
    normal = {"train": 1 - sum(shares.values()), **shares}
    anomalous = {part: share * (part in ("validation", "test")) for part, share in normal.items()}
    drawn = {part: [] for part in normal}
    for kind in np.unique(kinds):
        members = rng.permutation(np.flatnonzero(kinds == kind))
        ends = np.cumsum(list((anomalous if kind else normal).values()))
        cuts = np.rint(ends[:-1] / ends[-1] * len(members)).astype(int)
        for part, some in zip(drawn, np.split(members, cuts), strict=True):
            drawn[part] += some.tolist()
    parts = {}
    for part, some in drawn.items():
        index = np.flatnonzero(np.isin(groups, some))
        parts[part] = index if part == "test" else rng.permutation(index)
    return parts
