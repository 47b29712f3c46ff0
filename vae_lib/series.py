"""Windows of a series, and from the scores of windows back to its points.

A series is (time,) or (time, channels), in equal steps. Overlapping windows share points: so split
a series by time first, and cut each part into windows of its own. Train on overlapping ones, and
calibrate on windows that lie apart (`stride=length`), or on blocks of time (`block_maxima`): what
overlaps counts one stretch of time many times, and a threshold from it is too low.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .checks import check_count, is_real, plain_array

GAPS = ("refuse", "cut")
POINT_SCORES = ("mean", "max", "last")


class Windows(NamedTuple):
    """Windows (n, length, channels), float32, and the place (n,) at which each of them starts."""

    values: np.ndarray
    starts: np.ndarray


def windows(
    series: np.ndarray,
    length: int,
    stride: int = 1,
    times: np.ndarray | None = None,
    gaps: str = "refuse",
) -> Windows:
    """Windows of a series (time,) or (time, channels): the first starts at 0, the next at `stride`.

    With `gaps="cut"` windows that hold a NaN, or that span a jump in `times` (time,), numbers or
    datetime64, are left out: nothing is filled in. Points after the last whole window are in none.

    Raises:
        ValueError: a series shorter than a window, of another rank or without numbers; infinite
            values; NaN or jumps unless they may be cut; times that do not rise; no window left.
    """
    check_count("length", length)
    check_count("stride", stride)
    if gaps not in GAPS:
        raise ValueError(f"gaps is {gaps!r}; expected one of {GAPS}")
    x = as_series(series)
    if len(x) < length:
        raise ValueError(f"series has {len(x)} points; expected {length} or more, one window")
    broken = np.isnan(x).any(axis=1)  # a point that no window may hold
    jumps = jumps_of(times, len(x))
    if gaps == "refuse" and (broken.any() or jumps.any()):
        what, where = ("NaN", broken) if broken.any() else ("a jump of its times", jumps)
        problem = f"series has {what} at {np.flatnonzero(where)[:5].tolist()}"
        raise ValueError(f"{problem}; expected none, or gaps='cut'")
    starts = whole_starts(broken, jumps, length, stride)
    if len(starts) == 0:
        raise ValueError(f"series has no window of {length} points without a gap; expected one")
    views = np.lib.stride_tricks.sliding_window_view(x, length, axis=0)  # no copy yet
    return Windows(np.moveaxis(views[starts], 1, 2), starts)


def whole_starts(broken: np.ndarray, jumps: np.ndarray, length: int, stride: int) -> np.ndarray:
    """Where windows start that hold no broken point and no jump, perhaps nowhere.

    `broken` and `jumps` are bool (time,): a point without a value, and a jump before a point.
    """
    starts = np.arange(0, len(broken) - length + 1, stride)
    held, jumped = np.concatenate([[0], np.cumsum(broken)]), np.cumsum(jumps)
    whole = held[starts + length] == held[starts]
    return starts[whole & (jumped[starts + length - 1] == jumped[starts])]


def point_scores(
    scores: np.ndarray, starts: np.ndarray, length: int, n: int, how: str = "mean"
) -> np.ndarray:
    """Scores (n,) of points from scores (m,) of windows of `length` points, at `starts` (m,).

    A point gets the mean or the largest score of all windows that hold it, or the score of the
    first window that ends with or after it, "last": the only one of the three that is known as soon
    as the point comes, for windows of stride 1. A point in no window gets NaN.

    Raises a ValueError for scores that are not finite, starts of another number, and windows
    outside the series.
    """
    check_count("length", length)
    check_count("n", n)
    scores, starts = plain_array(scores, "scores"), plain_array(starts, "starts")
    if how not in POINT_SCORES:
        raise ValueError(f"how is {how!r}; expected one of {POINT_SCORES}")
    if scores.ndim != 1 or scores.dtype.kind not in "fiu" or not np.isfinite(scores).all():
        problem = f"scores has shape {scores.shape} and dtype {scores.dtype}"
        raise ValueError(f"{problem}; expected finite numbers, one a window")
    if starts.shape != scores.shape or starts.dtype.kind not in "iu":
        problem = f"starts has shape {starts.shape} and dtype {starts.dtype}"
        raise ValueError(f"{problem}; expected {scores.shape} of integers")
    if len(starts) and (starts.min() < 0 or starts.max() + length > n):
        problem = f"starts has values in {starts.min()}..{starts.max()}"
        raise ValueError(f"{problem}; expected 0..{n - length}")
    points = np.full(n, np.nan)
    order = np.argsort(starts, kind="stable")
    if how == "mean":
        sums, counts = (_covering(w, starts, length, n) for w in (scores, np.ones(len(scores))))
        return np.divide(sums, counts, out=points, where=counts > 0)
    if how == "max":
        for i in order[np.argsort(scores[order], kind="stable")]:  # the largest is written last
            points[starts[i] : starts[i] + length] = scores[i]
        return points
    for i in order[::-1]:  # the first window to end with a point is written last
        points[starts[i] : starts[i] + length] = scores[i]
    return points


def overlap_mean(values: np.ndarray, n: int) -> np.ndarray:
    """Means (n, channels) over the windows that hold each point, of values (m, length, channels).

    The windows start at 0, 1, 2, ...; a point in none of them gets NaN.
    """
    starts, length = np.arange(len(values)), values.shape[1]
    sums = np.zeros((n, values.shape[2]))
    for k in range(length):
        sums[k : k + len(values)] += values[:, k]
    counts = _covering(np.ones(len(values)), starts, length, n)[:, None]
    return np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0)


def block_maxima(scores: np.ndarray, block: int) -> np.ndarray:
    """The largest of every `block` scores of points, or of windows of stride 1: (n // block,).

    For a promise on time instead of points: `thresholds.conformal(block_maxima(s, 600), 0.05)` is
    exceeded in one normal block of 600 points in twenty at most, if blocks are alike and long
    beside what the series remembers. Leading nan, of points in no window, is left out, and so are
    the last scores that make no whole block.

    Raises a ValueError for scores that are not finite, or fewer than a block.
    """
    check_count("block", block)
    scores = plain_array(scores, "scores")
    if scores.ndim != 1 or scores.dtype.kind not in "fiu":
        problem = f"scores has shape {scores.shape} and dtype {scores.dtype}"
        raise ValueError(f"{problem}; expected numbers, one a point")
    known = np.flatnonzero(~np.isnan(scores))
    scores = scores[known[0] if len(known) else len(scores) :]
    if len(scores) < block:
        raise ValueError(f"scores has {len(scores)} values; expected {block} or more, one block")
    if not np.isfinite(scores).all():
        raise ValueError("scores has NaN or infinite values; expected finite numbers")
    return scores[: len(scores) // block * block].reshape(-1, block).max(axis=1)


def z_normalise(values: np.ndarray, floor: float) -> np.ndarray:
    """Windows (n, length, channels), each channel of each brought to mean 0 and deviation 1.

    What is left is shape. Level and amplitude are thrown away, so an anomaly in one of them can no
    longer be found: it is for series in which both wander and mean nothing. A deviation below
    `floor`, in the series' own unit, is taken for `floor`: otherwise a window in which nothing
    happens would become noise as large as any signal. About the noise of the sensor is right.

    A `Stream` cuts its windows by itself, so its detector has to be one of unscaled windows.

    Raises a ValueError for values of another shape, NaN and infinite ones, and a floor that is not
    above 0.
    """
    values = plain_array(values, "values")
    if values.ndim != 3 or 0 in values.shape or values.dtype.kind not in "fiu":
        problem = f"values has shape {values.shape} and dtype {values.dtype}"
        raise ValueError(f"{problem}; expected numbers (n, length, channels)")
    if not np.isfinite(values).all():
        raise ValueError("values has NaN or infinite values; expected finite numbers")
    if not (is_real(floor) and 0 < floor < np.inf):
        raise ValueError(f"floor is {floor!r}; expected a number above 0")
    x = values.astype("float64")
    x -= x.mean(axis=1, keepdims=True)
    return (x / np.maximum(x.std(axis=1, keepdims=True), floor)).astype("float32")


def as_series(series: np.ndarray, name: str = "series") -> np.ndarray:
    """A series as float32 (time, channels), NaN included; a ValueError for other wrong values."""
    x = plain_array(series, name)
    if x.ndim not in (1, 2) or 0 in x.shape:
        raise ValueError(f"{name} has shape {x.shape}; expected (time,) or (time, channels)")
    if x.dtype.kind not in "fiu":
        raise ValueError(f"{name} has dtype {x.dtype}; expected numbers")
    if np.isinf(x).any():
        places = np.flatnonzero(np.isinf(x).reshape(len(x), -1).any(axis=1))
        raise ValueError(f"{name} is infinite at {places[:5].tolist()}; expected finite numbers")
    with np.errstate(over="ignore"):
        small = x.astype("float32").reshape(len(x), -1)
    if np.isinf(small).any():
        raise ValueError(f"{name} has values that float32 cannot hold; expected smaller ones")
    return small


def jumps_of(times: np.ndarray | None, n: int) -> np.ndarray:
    """Whether the step before each of n points is over half as long again as the usual one.

    Without times no step is. Raises a ValueError for times that do not rise, of another number, or
    not finite.
    """
    if times is None:
        return np.zeros(n, bool)
    times = plain_array(times, "times")
    if times.shape != (n,) or times.dtype.kind not in "fiuM":
        problem = f"times has shape {times.shape} and dtype {times.dtype}"
        raise ValueError(f"{problem}; expected ({n},) of numbers or datetime64")
    if np.isnat(times).any() if times.dtype.kind == "M" else not np.isfinite(times).all():
        raise ValueError("times has NaN or infinite values; expected a time for each point")
    steps = np.diff(times.astype("int64") if times.dtype.kind == "M" else times.astype("float64"))
    if (steps <= 0).any():
        where = np.flatnonzero(steps <= 0)[:5] + 1
        raise ValueError(f"times does not rise at {where.tolist()}; expected rising times")
    return np.concatenate([[False], steps > 1.5 * np.median(steps)] if n > 1 else [[False]])


def _covering(weights: np.ndarray, starts: np.ndarray, length: int, n: int) -> np.ndarray:
    """The sum (n,) of the weights of all windows that hold each point."""
    edges = np.zeros(n + 1)
    np.add.at(edges, starts, weights)
    np.add.at(edges, starts + length, -weights)
    return np.cumsum(edges)[:n]
