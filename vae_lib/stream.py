"""A detector on a stream: items come one after another, and the world moves meanwhile."""

from __future__ import annotations

import bisect
import math
from pathlib import Path
from typing import NamedTuple

import numpy as np

from . import saving
from .checks import check_array, check_count, check_seed, plain_array
from .detector import AnomalyDetector
from .frames import is_frame, plain

THRESHOLDS = ("fixed", "sliding", "online")
JUMP = 0.01  # share of the martingale's capital that is spread over all bets anew in each step
BETS = np.array([-1, -0.5, 0, 0.5, 1])  # from "p-values are small" to "they are large"
MOST = 1e300  # of the capital on a bet: what drifts for weeks may not make it infinite
ARRAYS = ("recent", "pool", "bets", "window", "events")
NUMBERS = ("count", "level", "highest", "capital")
SETTINGS = ("threshold", "memory", "step", "patience", "certainty", "seed", "every")
KIND = "Stream"


class Found(NamedTuple):
    """What a stream says of items, one value each; of those before the first whole window, nothing.

    `scores` and `p_values` are nan there. `alarms` and `drift` are bool: an alarm is about an item,
    drift about the stream up to it.
    """

    scores: np.ndarray
    p_values: np.ndarray
    alarms: np.ndarray
    drift: np.ndarray


class Event(NamedTuple):
    """A run of alarms: the places of its first and last item, and of its highest score."""

    first: int
    last: int
    peak: int


class Stream:
    """Scores items as they come, with a threshold that keeps its rate of alarms while scores drift.

    The default, "online", keeps the share of all alarms, false and true. It is for brief anomalies:
    one that lasts is flagged as often as normal items are, so it is found at its beginning if at
    all. In chapter 11 (section 11.9), in a leak that stays, "online" is back at one alarm in twenty
    points, as before the leak, and the "fixed" threshold flags more than three points in ten. If
    you look for anomalies that last, take `threshold="fixed"`, whose rate moves with the scores, or
    compare `scores` with `detector.threshold` beside the online alarms.

    Args:
        detector: calibrated, of one model without classes: `VAE` or `MixtureVAE`. Where it is of
            windows (time, channels), the items are points (channels,), and a point is judged by the
            window that ends with it.
        threshold: "fixed" is the detector's own. "sliding" compares an item with the last `memory`
            ones. "online" does so at a level that rises after each item without an alarm and falls
            after one with it (adaptive conformal inference; Gibbs and Candès, 2021): the share of
            alarms comes to the detector's rate, whatever the scores do. Without labels no threshold
            can tell an anomaly that lasts from a change of the world: "sliding" and "online" get
            used to either, "fixed" to neither.
        memory: items that a moving threshold remembers; the calibration scores are the first. A
            sliding threshold needs 1 / rate - 1 of them at least.
        step: how far the online level moves. With the default of both, and 5 % asked for, the share
            of alarms among any 1,000 items was 3 to 7 % on 50 streams of each of eleven kinds, with
            slow, sudden, seasonal and no drift, of level and of scale. A larger step keeps closer
            to the rate and costs detections, since after an alarm the next one is harder to raise.
        patience: a gap of fewer items than this between two alarms leaves them one event.
        certainty: of `drift`. While the stream is like the calibration data, the chance that drift
            is ever said is 1 / certainty at most.
        seed: of the random numbers that break ties between scores.
        every: items from one look at drift to the next, by default the length of a window, since
            windows that share points are no independent witnesses. A series that remembers for
            longer wants more: items so far apart should know nothing of each other.

    Drift is judged by a conformal test martingale (Vovk et al., 2021).
    """

    def __init__(
        self,
        detector: AnomalyDetector,
        threshold: str = "online",
        memory: int = 200,
        step: float = 0.04,
        patience: int = 1,
        certainty: float = 100.0,
        seed: int = 0,
        every: int | None = None,
    ):
        if not isinstance(detector, AnomalyDetector):
            problem = f"detector is a {type(detector).__name__}"
            raise ValueError(f"{problem}; expected an AnomalyDetector of one VAE")
        if detector.threshold is None:
            raise ValueError("detector has no threshold; expected a calibrated one")
        if np.ndim(detector.threshold):  # classes: its scores are each of another distribution
            problem = f"detector has a threshold for each of {len(detector.threshold)} classes"
            raise ValueError(f"{problem}; expected one for all, as of a VAE or a MixtureVAE")
        if threshold not in THRESHOLDS:
            raise ValueError(f"threshold is {threshold!r}; expected one of {THRESHOLDS}")
        check_count("memory", memory)
        check_count("patience", patience)
        check_seed("seed", seed)
        for name, value, least in (("step", step, 0.0), ("certainty", certainty, 1.0)):
            if not (isinstance(value, (int, float)) and least < value < np.inf):
                raise ValueError(f"{name} is {value!r}; expected a number above {least:g}")
        rate = detector.false_alarm_rate
        if threshold == "sliding" and 1 / (memory + 1) > rate:  # no p-value is so small
            expected = f"expected {math.ceil(1 / rate - 1e-9) - 1} or more, to slide at {rate}"
            raise ValueError(f"memory is {memory}; {expected}")
        self.detector, self.threshold = detector, threshold
        self.memory, self.step, self.patience = int(memory), float(step), int(patience)
        self.certainty, self.seed = float(certainty), int(seed)
        shape = detector.form().data_shape
        self._length = shape[0] if len(shape) == 2 else 1
        self._item = shape[1:] if len(shape) == 2 else shape
        check_count("every", every := self._length if every is None else every)
        self.every = int(every)
        self.reset()

    @property
    def drift(self) -> bool:
        """Whether the martingale has reached `certainty` since the last `reset`."""
        return self.highest >= self.certainty

    @property
    def events(self) -> list[Event]:
        """Alarms so far, in runs; the last one may still go on."""
        return [Event(*map(int, event[:3])) for event in self._events]

    def reset(self) -> None:
        """Forget all items."""
        scores = self.detector.calibration_scores
        self.count = 0  # items so far: after a restart, go on with this one
        self.level = float(self.detector.false_alarm_rate)  # of the online threshold
        self.capital = self.highest = 1.0  # of the martingale, now and at its best
        self._bets = np.full(len(BETS), 1 / len(BETS))
        self._pool = sorted(scores.tolist())
        self._recent = np.resize(scores, self.memory)  # few calibration scores stand there often
        self._window = np.empty((0, *self._item), "float32")
        self._events: list[tuple[int, int, int, float]] = []  # first, last, peak, its score

    def push(self, items) -> Found:
        """Take one item, or several (n, *item) in their order, and judge each.

        Rows and points may come as a DataFrame, whose columns are taken by their names.

        Raises a ValueError for items of another shape, NaN and infinite ones: then none was taken.
        """
        if is_frame(items) and self._length == 1:  # the detector knows its columns
            scores = self.detector.score(items)
        else:
            points = np.concatenate([self._window, self._checked(items)])
            scores = self._scores(points, len(points) - len(self._window))
            self._window = points[max(len(points) - self._length + 1, 0) :]
        verdicts = [self._judge(score) for score in scores]
        return Found(scores, *map(np.array, zip(*verdicts, strict=True)))

    def _checked(self, items) -> np.ndarray:
        """Items or points (n, *item) as the model takes them."""
        items = plain_array(plain(items, self.detector.columns, "items"), "items")
        items = items[None] if items.shape == self._item else items
        form = self.detector.form("items")
        check_array(items, self._item, form.unit_interval, "items")
        return items.astype("float32")

    def _scores(self, points: np.ndarray, n: int) -> np.ndarray:
        """Scores (n,) of the last n points; nan before the first whole window."""
        if self._length == 1:
            return self.detector.score(points)
        scores = np.full(n, np.nan)
        whole = len(points) - self._length + 1
        if whole > 0:
            views = np.lib.stride_tricks.sliding_window_view(points, self._length, axis=0)
            scores[-whole:] = self.detector.score(np.moveaxis(views, -1, 1))
        return scores

    def _judge(self, score: float) -> tuple[float, bool, bool]:
        """p-value, alarm, drift; and remember the score."""
        place, self.count = self.count, self.count + 1
        if np.isnan(score):
            return np.nan, False, self.drift
        rate, fixed = self.detector.false_alarm_rate, self.threshold == "fixed"
        reference = self.detector.calibration_scores if fixed else self._recent
        p_value = (1 + np.count_nonzero(reference >= score)) / (1 + len(reference))
        level = self.level if self.threshold == "online" else rate
        alarm = bool(score > self.detector.threshold if fixed else p_value <= level)
        self._recent[place % self.memory] = score
        self.level += self.step * (rate - alarm)
        if alarm:
            self._note(place, score)
        if (place + 1) % self.every == 0:
            self._bet(score)
        return p_value, alarm, self.drift

    def _note(self, place: int, score: float) -> None:
        """The alarm belongs to the last event, or begins a new one."""
        if self._events and place - self._events[-1][1] <= self.patience:
            first, _, peak, best = self._events[-1]
            peak, best = (place, score) if score > best else (peak, best)
            self._events[-1] = (first, place, peak, best)
        else:
            self._events.append((place, place, place, score))

    def _bet(self, score: float) -> None:
        """One step of the simple jumper: its capital is a martingale while scores are exchangeable.

        The p-value is among the calibration scores and all that were bet on before: such p-values
        are uniform and independent, which those among the calibration scores alone are not.
        """
        below, upto = bisect.bisect_left(self._pool, score), bisect.bisect_right(self._pool, score)
        tie = np.random.RandomState((self.seed + self.count) % 2**32).rand()
        above, equal = len(self._pool) - upto, upto - below + 1
        p_value = (above + tie * equal) / (len(self._pool) + 1)
        self._pool.insert(upto, score)
        spread = (1 - JUMP) * self._bets + JUMP * self._bets.sum() / len(BETS)
        self._bets = np.minimum(spread * (1 + BETS * (p_value - 0.5)), MOST)
        self.capital = float(self._bets.sum())
        self.highest = max(self.highest, self.capital)

    def save(self, path: str | Path) -> None:
        """Write detector and state to one file, whole or not at all.

        After a restart, `load` it and push the items from number `count` on: none is lost, and none
        counted twice.
        """
        saving.save(path, KIND, self.state())

    @classmethod
    def load(cls, path: str | Path) -> Stream:
        """The stream that `save` wrote; a file from a stranger is as safe as a detector's.

        Raises a ValueError for a file that is none, is damaged, or whose state does not fit.
        """
        return saving.load(path, KIND, cls.from_state)

    def state(self) -> dict:
        """Detector, settings and all that is remembered, as plain values and arrays."""
        events = np.array(self._events, "float64").reshape(-1, 4)
        memories = (self._recent, np.array(self._pool), self._bets, self._window, events)
        return {
            "detector": self.detector.state(),
            "settings": {name: getattr(self, name) for name in SETTINGS},
            "numbers": {name: getattr(self, name) for name in NUMBERS},
            "arrays": dict(zip(ARRAYS, memories, strict=True)),
        }

    @classmethod
    def from_state(cls, state: dict) -> Stream:
        """The stream of this state. Raises a ValueError where its parts do not fit."""
        saving.check(state, SCHEMA)
        new = cls(AnomalyDetector.from_state(state["detector"]), **state["settings"])
        arrays = state["arrays"]
        sizes = {"recent": (new.memory,), "bets": (len(BETS),), "pool": (None,)}
        sizes |= {"window": (None, *new._item), "events": (None, 4)}
        for name, size in sizes.items():
            shape = np.shape(array := arrays[name])
            fits = isinstance(array, np.ndarray) and np.isfinite(array).all()
            fits = fits and len(shape) == len(size)
            if not fits or any(n not in (None, m) for n, m in zip(size, shape, strict=True)):
                raise ValueError(f"its {name} has shape {shape}; expected finite numbers {size}")
        if len(arrays["window"]) >= new._length > 1:
            raise ValueError(f"its window has {len(arrays['window'])} points already")
        for name, value in state["numbers"].items():
            setattr(new, name, value)
        new._recent, new._bets = arrays["recent"].astype("float64"), arrays["bets"]
        new._pool, new._window = sorted(arrays["pool"].tolist()), arrays["window"]
        new._events = [(int(a), int(b), int(c), float(d)) for a, b, c, d in arrays["events"]]
        return new


NUMBER = {"type": "number"}
COUNT = {"type": "integer", "minimum": 0, "maximum": 2**53}
SCHEMA = saving.object_of(
    detector={"type": "object"},
    settings=saving.object_of(
        threshold={"enum": list(THRESHOLDS)},
        **dict.fromkeys(("step", "certainty"), NUMBER),
        **dict.fromkeys(("memory", "patience", "seed", "every"), COUNT),
    ),
    numbers=saving.object_of(count=COUNT, level=NUMBER, highest=NUMBER, capital=NUMBER),
    arrays=saving.object_of(**dict.fromkeys(ARRAYS, saving.ARRAY_SCHEMA)),
)
