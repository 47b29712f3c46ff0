"""A collection divided into parts: anomalies to judge by only, and groups kept together."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..checks import is_real

LABELLED = ("validation", "test")  # the parts that may have anomalies


def divide(
    classes: np.ndarray, groups: np.ndarray, shares: Mapping[str, float], seed: int
) -> dict[str, np.ndarray]:
    """Indices of the examples in each part, by the part's name: "train", and those of `shares`.

    Args:
        classes: integers (n,): 0 is normal, every other one a kind of anomaly.
        groups: integers 0, 1, ... (n,): examples of one group go to one part.
        shares: of the groups, by part; the rest is "train".
        seed: of the order in which groups are drawn.

    A group with an anomaly goes to "validation" or "test", in the proportion of their shares, and
    takes its normal examples along; each kind of anomaly is divided for itself. Indices are in a
    random order; those of "test" are sorted. Raises a ValueError where a part gets no normal
    example, or one of those two no anomaly though there are some.
    """
    rng = np.random.RandomState(seed)  # its streams are frozen by NumPy's compatibility policy
    kinds = np.zeros(groups.max() + 1, "int64")
    np.maximum.at(kinds, groups, classes)  # a group with several kinds counts as the last of them
    normal = {"train": 1 - sum(shares.values()), **shares}
    anomalous = {part: share * (part in LABELLED) for part, share in normal.items()}
    drawn: dict[str, list[int]] = {part: [] for part in normal}
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
        check_sides(part, classes[index], part in LABELLED and bool(classes.any()))
    return parts


def check_sides(part: str, classes: np.ndarray, labelled: bool) -> None:
    """The part must have a normal example, and if it is labelled an anomalous one, too."""
    for side, missing in (("normal", classes.all()), ("anomalous", not classes.any() and labelled)):
        if missing:
            found = f"the {part} part has no {side} example"
            raise ValueError(f"{found}; expected more (groups of) examples, or other shares")


def check_shares(**shares: float) -> None:
    """Shares by name must be positive and leave a rest to train on."""
    positive = all(is_real(share) and share > 0 for share in shares.values())
    if not (positive and sum(shares.values()) < 1):
        found = " and ".join(f"{name} is {share!r}" for name, share in shares.items())
        raise ValueError(f"{found}; expected positive shares with a sum below 1")
