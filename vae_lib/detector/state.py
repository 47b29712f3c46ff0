"""What a detector knows at one moment: models with their scores, and the calibration of them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from sklearn.exceptions import NotFittedError

from .. import saving, scores
from ..batches import arrays, whole
from ..classes import ConditionalVAE, Given, check_labels
from ..explanations import usual_values
from ..model import VAE
from ..scores.base import ARGUMENTS, WORD, scaled
from ..scores.fusion import LEAST
from . import models
from .calibration import SCHEMA as CALIBRATION
from .calibration import Calibration
from .inputs import SCHEMA as INPUTS
from .inputs import Inputs
from .own import NAME, OwnScore, Scorer, digest, is_own
from .recipe import SCHEMA as RECIPE

DEFAULT_SCORES = {1: "joint", 2: "joint", 3: "auto"}  # by the axes of one item


def default_score(data_shape: Sequence[int], several: bool) -> str:
    """The score of a detector that was asked for none, of several classes or models or of one."""
    score = DEFAULT_SCORES.get(len(data_shape), "joint")
    return "fusion" if several and score == "auto" else score  # it would choose anew for each


SCHEMA = saving.object_of(
    models=models.SCHEMA,
    by_class={"type": "boolean"},
    members=saving.COUNT,
    score=saving.object_of(name=WORD, arguments=ARGUMENTS),
    fits_score={"type": "boolean"},
    learned={"type": "array", "items": {"type": "object"}},
    inputs=INPUTS,
    calibration=CALIBRATION,
    usual=saving.ARRAY_SCHEMA,
    recipe={"anyOf": [RECIPE, {"type": "null"}]},
)


class State(NamedTuple):
    """Models with their scores, and what was calibrated with them.

    A view is a model under one class, with its score; `members` is how many times all classes are
    there: models of one kind whose scores are averaged. `fits_score` says whether calibration
    images teach the score, too; `weights` are the fingerprints of the views' weights, and `usual`
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
        if is_own(first):
            if score is not None and not isinstance(score, OwnScore):
                came = f"score is {score!r} for a {type(first).__name__}, which scores by itself"
                raise ValueError(f"{came}; expected None")
            score = OwnScore()
        elif score is None:
            score = default_score(shape, by_class or several)
        score = scores.get(score).copy()  # two detectors may be given one object
        views = models if listed or not by_class else [first.given(c) for c in range(first.classes)]
        score.suit(views)
        if score.directions_only and len(shape) != 3:
            came = f"score is {score.label()}, which compares directions and not sizes"
            warnings.warn(f"{came}: in a table the largest value may pass", stacklevel=4)
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

    def form(self, name: str = "items"):
        """What the model's data look like."""
        return self.models[0].form(name)

    def calibrated(
        self, items, classes, training, rate: float, method: str, usual: np.ndarray | None = None
    ) -> State:
        """This state with a threshold from normal items (of those classes).

        `training` are items, or (items, classes), that a score learns from, too, where it has to.
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
        if usual is None and len(self.form().data_shape) == 1:
            rows = groups[0] if training is None else seen[0]
            usual = usual_values(rows, self.inputs.sources(rows.shape[1])) if len(rows) else None
        return self._replace(views=views, weights=weights, calibration=calibration, usual=usual)

    def _groups(self, items, classes, name: str = "items") -> list[np.ndarray]:
        """The items of each class, or all of them without classes."""
        items, labels = whole(self.inputs.plain(items, self.form(name)), self.form(name))
        label = "classes" if name == "items" else f"classes of {name}"
        if not self.by_class:
            if classes is not None:
                came = f"{label} came for a model without them"
                raise ValueError(f"{came}; expected a ConditionalVAE or a list of VAEs")
            return [items]
        classes = labels if classes is None else classes
        check_labels(classes, len(items), len(self.views), label)
        groups = [items[np.asarray(classes) == c] for c in range(len(self.views))]
        for c, group in enumerate(groups):
            if len(group) == 0:
                raise ValueError(f"{label} has no {c}; expected every class of the model")
        return groups

    def state(self) -> dict:
        """All of it, as plain values and arrays. Raises a ValueError for a score without a name."""
        name = NAME if isinstance(self.score, OwnScore) else self.score.name
        if name is None:
            came = f"score is a {self.score.label()}, which has no name"
            raise ValueError(f"{came}; give its class one, and define it before you load")
        return {
            "models": [models.state_of(model) for model in self.models],
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
        found = models.from_states(state["models"], own)
        name, arguments = state["score"]["name"], state["score"]["arguments"]
        known = {**scores.SCORES, NAME: OwnScore}
        if name not in known:
            reason = f"its score is {name!r}, and none of {tuple(scores.SCORES)}"
            raise ValueError(f"{reason}: define its class first")
        members, by_class = state["members"], state["by_class"]
        conditional = isinstance(found[0], ConditionalVAE)
        if members != (1 if by_class else len(found)) or (conditional and not by_class):
            raise ValueError(f"it has {len(found)} models for {members} members")
        now = cls.of(found, known[name](**arguments), by_class and not conditional, members)
        form = now.form()
        calibration = Calibration.from_state(state["calibration"], len(now.views) // members)
        if len(state["learned"]) != len(now.views):
            raise ValueError(f"it has {len(state['learned'])} scores for {len(now.views)} models")
        for (view, score), learned in zip(now.views, state["learned"], strict=True):
            score.set_state(learned)
            if score.state().keys() != learned.keys():
                reason = f"its score has learned {sorted(learned)}"
                raise ValueError(f"{reason}, not {sorted(score.state())}")
            score.trace(view)  # do the sizes of what it has learned fit the model's?
        return now._replace(
            fits_score=bool(now.score.learned) and state["fits_score"],
            inputs=Inputs.from_state(state["inputs"], form.data_shape),
            weights=[digest(view) for view, _ in now.views],
            calibration=calibration,
            usual=_usual(state["usual"], form.data_shape),
        )

    def maps(self, items: np.ndarray) -> np.ndarray:
        """Shares of pixels, or of moments and channels, in the shape of the items (n, ...).

        With classes, under the closest one; of several members, their mean. They sum to the score.
        """
        if self.members > 1:
            maps = [score.map(model, items) for model, score in self.views]
            shares = np.mean([scaled(of_one, np.ones(len(items))) for of_one in maps], axis=0)
            return scaled(shares, self._replace(inputs=Inputs()).scores(items)[0][:, 0])
        if not self.by_class:
            model, score = self.views[0]
            return score.map(model, items)
        closest = self._replace(inputs=Inputs()).scores(items)[0].argmin(axis=1)
        shares = np.empty(items.shape)
        for c in np.unique(closest):
            model, score = self.views[c]
            shares[closest == c] = score.map(model, items[closest == c])
        return shares

    def scores(self, items) -> tuple[np.ndarray, list[bytes]]:
        """Scores (n, classes), and fingerprints of the weights that gave them."""
        parts, seen, weights = [], 0, []
        form = self.form()
        for batch, _ in arrays(self.inputs.plain(items, form), form):
            scored = [score.of(model, batch, first=seen) for model, score in self.views]
            parts.append(self.averaged(np.stack([values for values, _ in scored], axis=1)))
            weights = [fingerprint for _, fingerprint in scored]
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
        if self.positive:
            return np.exp(np.log(scores + LEAST).mean(axis=1))
        return scores.mean(axis=1)

    @property
    def positive(self) -> bool:
        """Whether no score can be negative."""
        return self.score.positive

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


def _usual(usual: object, data_shape: tuple[int, ...]) -> np.ndarray | None:
    """Usual values (candidates, features) from a file, of rows alone."""
    if usual is None:
        return None
    if not isinstance(usual, np.ndarray) or usual.shape[1:] != data_shape or len(data_shape) != 1:
        raise ValueError(f"its usual values do not fit data of shape {data_shape}")
    if not len(usual) or usual.dtype.kind != "f" or not np.isfinite(usual).all():
        raise ValueError("its usual values are not finite numbers")
    return usual
