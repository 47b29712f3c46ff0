"""What a detector knows at one moment: models with their scores, and the calibration of them."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from sklearn.exceptions import NotFittedError

from .. import explanations, saving, scores
from ..batches import Form, arrays, whole
from ..checks import check_labels, is_real
from ..classes import ConditionalVAE, Given
from ..model import VAE
from ..scores.base import ARGUMENTS, scaled
from ..scores.fusion import LEAST
from ..thresholds import METHODS, p_values
from . import inputs, recipe
from .inputs import Inputs
from .models import OWN_SCORE, OwnScore, Scorer, digest, from_states, state_of
from .models import SCHEMA as MODELS

DEFAULT_SCORES = {1: "joint", 2: "joint", 3: "auto"}  # by the axes of one item

CALIBRATION = saving.object_of(
    threshold={"type": "array", "items": {"type": "number"}, "minItems": 1},
    false_alarm_rate={"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
    method={"enum": list(METHODS)},
    scores=saving.ARRAY_SCHEMA,
    classes=saving.ARRAY_SCHEMA,
)
SCHEMA = saving.object_of(
    models=MODELS,
    by_class={"type": "boolean"},
    members=saving.COUNT,
    score=saving.object_of(name=saving.WORD, arguments=ARGUMENTS),
    fits_score={"type": "boolean"},
    learned={"type": "array", "items": {"type": "object"}},
    inputs=inputs.SCHEMA,
    calibration=CALIBRATION,
    usual=saving.ARRAY_SCHEMA,
    recipe=saving.maybe(recipe.SCHEMA),
)


class Calibration(NamedTuple):
    """A threshold per class, (classes,), and the scores (n,) and their classes (n,) behind them."""

    thresholds: np.ndarray
    false_alarm_rate: float
    method: str
    scores: np.ndarray
    classes: np.ndarray

    @classmethod
    def of(cls, scores: Sequence[np.ndarray], rate: float, method: str) -> Calibration:
        """From the scores of each class. Raises a ValueError as the functions of `thresholds`."""
        limits = np.array([METHODS[method](part, rate) for part in scores])
        classes = np.repeat(np.arange(len(scores)), [len(part) for part in scores])
        return cls(limits, float(rate), method, np.concatenate(scores), classes)

    def flag(self, class_scores: np.ndarray) -> np.ndarray:
        """Alarms (n,) from scores (n, classes): above the thresholds of all classes."""
        return (class_scores > self.thresholds).all(axis=1)

    def p_values(self, class_scores: np.ndarray) -> np.ndarray:
        """p-values (n,) from scores (n, classes): the largest of those under each class."""
        parts = [
            p_values(self.scores[self.classes == c], scores)
            for c, scores in enumerate(class_scores.T)
        ]
        return np.max(parts, axis=0)

    def state(self) -> dict:
        """As plain values and arrays."""
        fields = self._asdict()
        return {"threshold": fields.pop("thresholds").tolist(), **fields}

    @classmethod
    def from_state(cls, state: dict, n_classes: int) -> Calibration:
        """The calibration of this state, whose threshold must be what its scores give."""
        scores, classes = state["scores"], state["classes"]
        for array in (scores, classes):
            if not isinstance(array, np.ndarray) or array.ndim != 1:
                raise ValueError("its calibration scores or classes are not arrays (n,)")
        check_labels(classes, len(scores), n_classes, "calibration/classes")
        parts = [scores[classes == c] for c in range(n_classes)]
        with warnings.catch_warnings():  # "tail" has warned when it was calibrated
            warnings.simplefilter("ignore")
            made = cls.of(parts, state["false_alarm_rate"], state["method"])
        limits, saved = made.thresholds, np.array(state["threshold"])
        if saved.shape != limits.shape or not np.allclose(saved, limits, rtol=1e-6, atol=0):
            raise ValueError(f"its threshold is {saved.tolist()}, by its scores {limits.tolist()}")
        return made._replace(thresholds=saved)


def check_settings(false_alarm_rate: object, method: object) -> None:
    """Raise a ValueError unless a calibration can be asked for these."""
    if not (is_real(false_alarm_rate) and 0 < false_alarm_rate < 1):
        problem = f"false_alarm_rate is {false_alarm_rate!r}"
        raise ValueError(f"{problem}; expected a number between 0 and 1")
    if not (isinstance(method, str) and method in METHODS):
        raise ValueError(f"method is {method!r}; expected one of {tuple(METHODS)}")


class State(NamedTuple):
    """Models with their scores, and what was calibrated with them.

    A view is a model under one class, with its score; `members` is how many times all classes are
    there: models of one kind whose scores are averaged. `fits_score` says whether calibration
    items teach the score, too; `weights` are the fingerprints of the views' weights, and `usual`
    holds usual values of rows: see `explanations.usual_values`.
    """

    models: list[VAE | Scorer]
    views: list[tuple[VAE | Given, scores.Score]]
    by_class: bool
    members: int
    fits_score: bool
    inputs: Inputs = Inputs()
    weights: list[bytes] | None = None
    calibration: Calibration | None = None
    usual: np.ndarray | None = None

    @classmethod
    def of(
        cls,
        models: list[VAE | Scorer],
        score: str | scores.Score | None,
        listed: bool = False,
        members: int = 1,
    ) -> State:
        """Models that nothing was calibrated with: `listed` by class, or `members` of one kind.

        Raises a ValueError for a score that does not suit them.
        """
        first, several = models[0], len(models) > 1
        by_class = listed or isinstance(first, ConditionalVAE)
        shape = first.form().data_shape
        if not isinstance(first, VAE):  # a `Scorer`
            if score is not None and not isinstance(score, OwnScore):
                problem = f"score is {score!r} for a {type(first).__name__}, which scores by itself"
                raise ValueError(f"{problem}; expected None")
            score = OwnScore()
        elif score is None:
            score = DEFAULT_SCORES.get(len(shape), "joint")
            if score == "auto" and (by_class or several):  # it would choose anew for each
                score = "fusion"
        score = scores.get(score).copy()  # two detectors may be given one object
        views = models if listed or not by_class else [first.given(c) for c in range(first.classes)]
        score.suit(views)
        if score.directions_only and len(shape) != 3:
            problem = f"score is {score.label()}, which compares directions and not sizes"
            warnings.warn(f"{problem}: in a table the largest value may pass", stacklevel=4)
        fits_score = bool(score.learned) and (by_class or several or not score.fitted)
        pairs = [(view, score) for view in views]
        if by_class or several:  # what a score learns is of one view
            kind, arguments = type(score), score.arguments()
            pairs = [(view, kind(**arguments)) for view in views]
        return cls(models, pairs, by_class, members, fits_score)

    @property
    def score(self) -> scores.Score:
        """The first view's, which says what all are."""
        return self.views[0][1]

    def form(self, name: str = "items") -> Form:
        """What the model's data look like."""
        return self.models[0].form(name)

    def arrays(self, items, name: str = "items") -> tuple[np.ndarray, np.ndarray | None]:
        """All items as the model takes them, and their labels if they come in batches with them."""
        form = self.form(name)
        return whole(self.inputs.plain(items, form), form)

    def calibrated(
        self, items, classes, training, rate: float, method: str, usual: np.ndarray | None = None
    ) -> State:
        """This state with a threshold from normal items (of those classes).

        `training` are items, or (items, classes), that a score learns from, too, where it has to.
        Without `usual` values of rows they come from `training`, or else from the items.
        """
        groups = self._groups(items, classes)
        seen = [None] * len(groups)
        if training is not None:
            pair = training if isinstance(training, tuple) else (training, None)
            if len(pair) != 2:
                raise ValueError(f"training has {len(pair)} parts; expected (items, classes)")
            seen = self._groups(*pair, "training")
        views, parts, weights = [], [], []
        for i, (model, score) in enumerate(self.views):
            group, trained_on = groups[i % len(groups)], seen[i % len(groups)]
            if self.fits_score:
                held_out, group = group[::2], group[1::2]
                score = score.copy()
                score.fit(model, *((held_out,) if trained_on is None else (trained_on, held_out)))
            values, fingerprint = score.of(model, group)
            views.append((model, score))
            parts.append(values)
            weights.append(fingerprint)
        if self.members > 1:
            parts = [self.averaged(np.stack(parts, axis=1))[:, 0]]
        calibration = Calibration.of(parts, rate, method)
        if usual is None:
            usual = self.usual_of(groups[0] if training is None else seen[0])
        return self._replace(views=views, weights=weights, calibration=calibration, usual=usual)

    def usual_of(self, items: np.ndarray) -> np.ndarray | None:
        """Usual values (candidates, features) of rows, which `shares` tries; of others None."""
        if items.ndim != 2 or not len(items):
            return None
        return explanations.usual_values(items, self.inputs.sources(items.shape[1]))

    def _groups(self, items, classes, name: str = "items") -> list[np.ndarray]:
        """The items of each class, or all of them without classes."""
        items, labels = self.arrays(items, name)
        label = "classes" if name == "items" else f"classes of {name}"
        if not self.by_class:
            if classes is not None:
                problem = f"{label} came for a model without them"
                raise ValueError(f"{problem}; expected a ConditionalVAE or a list of VAEs")
            return [items]
        classes = labels if classes is None else classes
        check_labels(classes, len(items), len(self.views), label)
        groups = [items[np.asarray(classes) == c] for c in range(len(self.views))]
        for c, group in enumerate(groups):
            if len(group) == 0:
                raise ValueError(f"{label} has no {c}; expected every class of the model")
        return groups

    def scores(self, items) -> tuple[np.ndarray, list[bytes]]:
        """Scores (n, classes), and fingerprints of the weights that gave them."""
        form = self.form()
        return self._scored(batch for batch, _ in arrays(self.inputs.plain(items, form), form))

    def _scored(self, batches: Iterable[np.ndarray]) -> tuple[np.ndarray, list[bytes]]:
        parts, seen, weights = [], 0, []
        for batch in batches:
            of_views = [score.of(model, batch, first=seen) for model, score in self.views]
            parts.append(self.averaged(np.stack([values for values, _ in of_views], axis=1)))
            weights = [fingerprint for _, fingerprint in of_views]
            seen += len(batch)
        return np.concatenate(parts), weights

    def averaged(self, scores: np.ndarray) -> np.ndarray:
        """Scores (n, classes) from those of all views, (n, members x classes).

        The mean over the members is the geometric one where scores cannot be negative: they differ
        by orders of magnitude, and the largest would decide alone.
        """
        if self.members == 1:
            return scores
        scores = scores.reshape(len(scores), self.members, -1)
        if self.score.positive:
            return np.exp(np.log(scores + LEAST).mean(axis=1))
        return scores.mean(axis=1)

    def maps(self, items: np.ndarray) -> np.ndarray:
        """Shares of pixels, or of moments and channels, in the shape of the items (n, ...).

        With classes, under the closest one; of several members, their mean. They sum to the score.
        """
        if self.members > 1:
            maps = [score.map(model, items) for model, score in self.views]
            shares = np.mean([scaled(of_one, np.ones(len(items))) for of_one in maps], axis=0)
            return scaled(shares, self._scored([items])[0][:, 0])
        if not self.by_class:
            model, score = self.views[0]
            return score.map(model, items)
        closest = self._scored([items])[0].argmin(axis=1)
        shares = np.empty(items.shape)
        for c in np.unique(closest):
            model, score = self.views[c]
            shares[closest == c] = score.map(model, items[closest == c])
        return shares

    def shares(self, rows: np.ndarray) -> np.ndarray:
        """Shares (n, columns) of the columns in each row's score: see `explanations.shares`."""
        self.check_fresh(self.weights)

        def score(rows: np.ndarray) -> np.ndarray:
            scores = self._scored([rows])[0].min(axis=1)
            return np.log(scores + LEAST) if self.score.positive else scores

        return explanations.shares(score, rows, self.usual, self.inputs.sources(rows.shape[1]))

    def calibrated_scores(self, items) -> tuple[np.ndarray, Calibration]:
        """Scores (n, classes), and the calibration that holds for them."""
        self.check_fresh(self.weights)
        try:
            scores, weights = self.scores(items)
        except ValueError:  # perhaps of a score that was fitted on other weights, too
            self.check_now()
            raise
        self.check_fresh(weights)
        return scores, self.calibration

    def check_fresh(self, weights: list[bytes] | None) -> None:
        """There must be a calibration, and it must come from these weights."""
        if self.calibration is None:
            raise NotFittedError("this detector has no threshold yet: call calibrate first")
        if weights != self.weights:
            raise NotFittedError(
                "the model's weights have changed since calibrate, and its threshold no longer "
                "holds: call calibrate again"
            )

    def check_now(self) -> None:
        """There must be a calibration, and it must hold for the weights as they are now."""
        self.check_fresh([digest(model) for model, _ in self.views])

    def state(self) -> dict:
        """All of it, as plain values and arrays. Raises a ValueError for a score without a name."""
        name = OWN_SCORE if isinstance(self.score, OwnScore) else self.score.name
        if name is None:
            problem = f"score is a {self.score.label()}, which has no name"
            raise ValueError(f"{problem}; give its class one, and define it before you load")
        return {
            "models": [state_of(model) for model in self.models],
            "by_class": self.by_class,
            "members": self.members,
            "score": {"name": name, "arguments": self.score.arguments()},
            "fits_score": self.fits_score,
            "learned": [score.state() for _, score in self.views],
            "inputs": self.inputs.state(),
            "calibration": self.calibration.state(),
            "usual": self.usual,
        }

    @classmethod
    def from_state(cls, state: dict, own: VAE | Sequence[VAE] | Scorer | None) -> State:
        """The state that was saved, of which nothing is trusted; `own` has parts of the user's."""
        models = from_states(state["models"], own)
        name, arguments = state["score"]["name"], state["score"]["arguments"]
        known = {**scores.SCORES, OWN_SCORE: OwnScore}
        if name not in known:
            reason = f"its score is {name!r}, and none of {tuple(scores.SCORES)}"
            raise ValueError(f"{reason}: define its class first")
        n_members, by_class = state["members"], state["by_class"]
        conditional = isinstance(models[0], ConditionalVAE)
        if n_members != (1 if by_class else len(models)) or (conditional and not by_class):
            raise ValueError(f"it has {len(models)} models for {n_members} members")
        now = cls.of(models, known[name](**arguments), by_class and not conditional, n_members)
        shape = now.form().data_shape
        calibration = Calibration.from_state(state["calibration"], len(now.views) // n_members)
        if len(state["learned"]) != len(now.views):
            raise ValueError(f"it has {len(state['learned'])} scores for {len(now.views)} models")
        for (view, score), learned in zip(now.views, state["learned"], strict=True):
            score.set_state(learned)
            if score.state().keys() != learned.keys():
                reason = f"its score has learned {sorted(learned)}"
                raise ValueError(f"{reason}, not {sorted(score.state())}")
            score.trace(view)  # do the sizes of what it has learned fit the model's?
        if (usual := state["usual"]) is not None:
            if not isinstance(usual, np.ndarray) or usual.shape[1:] != shape or len(shape) != 1:
                raise ValueError(f"its usual values do not fit data of shape {shape}")
            if not len(usual) or usual.dtype.kind != "f" or not np.isfinite(usual).all():
                raise ValueError("its usual values are not finite numbers")
        return now._replace(
            fits_score=bool(now.score.learned) and state["fits_score"],
            inputs=Inputs.from_state(state["inputs"], shape),
            weights=[digest(view) for view, _ in now.views],
            calibration=calibration,
            usual=usual,
        )
