"""The detector itself: what it learns, says and shows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from sklearn.exceptions import NotFittedError

from .. import scores, thresholds
from ..classes import ConditionalVAE, MixtureVAE, check_labels
from ..data import Labelled
from ..model import VAE
from . import archive
from .evaluation import Evaluation, evaluate

METHODS = {
    "conformal": thresholds.conformal,
    "quantile": thresholds.quantile,
    "tail": thresholds.tail,
}
CALIBRATION = ("calibration_scores", "calibration_classes")


class AnomalyDetector:
    """Says which images are anomalous, at a false-alarm rate that is known beforehand.

    Args:
        model: a trained VAE, or a sequence of them, one for each normal class 0, 1, ...
        score: a name in `scores.SCORES` or an object from `scores`. The default is "relative" for
            images and "likelihood" for tables.

    A `ConditionalVAE`, or one VAE a class, scores an image under each class: the image is as
    anomalous as under the class that suits it best. Such a detector has one threshold a class, and
    an anomaly exceeds them all. So a normal image of class c is flagged only if it exceeds that of
    c: the false-alarm rate is kept within each class, not only on average over them (a Mondrian
    conformal detector).
    """

    def __init__(self, model: VAE | Sequence[VAE], score: str | scores.Score | None = None):
        self._models = _check_models(model)
        first = self._models[0]
        if score is None:
            score = "relative" if len(first.data_shape) == 3 else "likelihood"
        self.model = model
        self._score = scores.get(score)
        mixture = any(isinstance(one, MixtureVAE) for one in self._models)
        if mixture and self._score.standard_prior:
            found = f"score is {self._score.label()}, which takes the prior for one standard normal"
            raise ValueError(f"{found}; expected another one for a MixtureVAE")
        conditional = isinstance(first, ConditionalVAE)
        self._by_class = conditional or not isinstance(model, VAE)
        views = [first.given(c) for c in range(first.classes)] if conditional else self._models
        self._views = [(view, self._score) for view in views]
        if self._by_class:  # what a score learns is of one class
            kind, arguments = type(self._score), self._score.arguments()
            self._views = [(view, kind(**arguments)) for view in views]
        self._fits_score = bool(self._score.learned) and (self._by_class or not self._score.fitted)
        self.threshold: float | np.ndarray | None = None
        self.false_alarm_rate: float | None = None
        self.method: str | None = None
        self.calibration_scores: np.ndarray | None = None
        self.calibration_classes: np.ndarray | None = None

    def calibrate(
        self,
        images: np.ndarray | Labelled,
        false_alarm_rate: float = 0.05,
        method: str = "conformal",
        classes: np.ndarray | None = None,
    ) -> AnomalyDetector:
        """Set the threshold from normal images that the model has not seen.

        `method` names a function of `thresholds`: "conformal" keeps the false-alarm rate on
        average for any n; see there for what each promises. A score that has to learn (latent,
        activations, neighbours, fusion) takes every other image for it and the threshold the rest,
        unless you fitted it before. A detector with classes wants `classes`, integers (n,): the
        threshold of each class comes from its own images under that class.

        Raises:
            ValueError: labelled anomalies among the images, too few of them (or of a class) for the
                rate, a rate outside (0, 1), an unknown method, images that do not fit the model,
                classes missing for a detector that has them or given for another.
        """
        if isinstance(images, Labelled):
            if np.any(images.is_anomaly):
                found = f"images has {int(np.sum(images.is_anomaly))} labelled anomalies"
                raise ValueError(f"{found}; expected normal images only")
            classes = images.classes if classes is None and self._by_class else classes
            images = images.images
        if method not in METHODS:
            raise ValueError(f"method is {method!r}; expected one of {tuple(METHODS)}")
        if self._by_class:
            check_labels(classes, len(images), len(self._views), "classes")
        elif classes is not None:
            raise ValueError(
                "classes came for one VAE without them; expected a ConditionalVAE or a list of VAEs"
            )
        groups, found = [], []
        for c, (model, score) in enumerate(self._views):
            group = np.asarray(images)[np.asarray(classes) == c] if self._by_class else images
            if self._by_class and len(group) == 0:
                raise ValueError(f"classes has no {c}; expected every class of the model")
            if self._fits_score:
                score.fit(model, group[::2])
                group = group[1::2]
            groups.append(np.full(len(group), c))
            found.append(score(model, group))
        threshold = np.array([METHODS[method](part, false_alarm_rate) for part in found])
        self.threshold = threshold if self._by_class else float(threshold[0])
        self.calibration_scores = np.concatenate(found)
        self.calibration_classes = np.concatenate(groups)
        self.false_alarm_rate, self.method = float(false_alarm_rate), method
        return self

    def class_scores(self, images: np.ndarray) -> np.ndarray:
        """The score under each class: (n, classes); (n, 1) for a VAE without classes."""
        if not self._by_class:
            return self.score(images)[:, None]
        return np.stack([score(model, images) for model, score in self._views], axis=1)

    def score(self, images: np.ndarray) -> np.ndarray:
        """Anomaly scores (n,): higher is more anomalous. Needs `calibrate` if the score learns.

        With classes, the smallest over them; equation (7.3).
        """
        if not self._by_class:
            return self._score(self.model, images)
        return self.class_scores(images).min(axis=1)

    def closest_class(self, images: np.ndarray) -> np.ndarray:
        """Which class suits each image best, the one of its score: integers (n,)."""
        return self.class_scores(images).argmin(axis=1)

    def p_value(self, images: np.ndarray) -> np.ndarray:
        """Conformal p-values (n,) in (0, 1]: how often a normal image scores at least as high.

        With classes, the largest of the p-values that each class gives: at least that of the
        image's own class, which nobody has to know, so p <= rate is as rare as promised in each.
        """
        self._check_calibrated()
        parts = [
            thresholds.p_values(self.calibration_scores[self.calibration_classes == c], found)
            for c, found in enumerate(self.class_scores(images).T)
        ]
        return np.max(parts, axis=0)

    def predict(self, images: np.ndarray) -> np.ndarray:
        """Whether each image is an anomaly, with classes under each of them: bool (n,).

        With classes, equation (7.4).
        """
        self._check_calibrated()
        return self._flag(self.class_scores(images))

    def _flag(self, class_scores: np.ndarray) -> np.ndarray:
        return (class_scores > self.threshold).all(axis=1)

    def heatmap(self, images: np.ndarray) -> np.ndarray:
        """The share of each pixel in the score, in the shape of the images; shares sum to it.

        With classes, under the closest one.
        """
        if not self._by_class:
            return self._score.map(self.model, images)
        closest, images = self.closest_class(images), np.asarray(images)
        shares = np.empty(images.shape)
        for c in np.unique(closest):
            model, score = self._views[c]
            shares[closest == c] = score.map(model, images[closest == c])
        return shares

    def evaluate(
        self, images: np.ndarray, is_anomaly: np.ndarray, resamples: int = 200, seed: int = 0
    ) -> Evaluation:
        """Figures on labelled images, with bootstrap intervals over images (not over trainings).

        Raises a ValueError unless is_anomaly is bool (n,) and has both kinds.
        """
        self._check_calibrated()
        return evaluate(self.class_scores(images), is_anomaly, self._flag, resamples, seed)

    def _check_calibrated(self) -> None:
        if self.threshold is None:
            raise NotFittedError("this detector has no threshold yet: call calibrate first")

    def save(self, path: str | Path) -> None:
        """Write model, score and calibration to one file, whole or not at all."""
        self._check_calibrated()
        if self._score.name is None:
            found = f"score is a {self._score.label()}, which has no name"
            raise ValueError(f"{found}; give its class one, and define it before you load")
        description = {
            "one_model": isinstance(self.model, VAE),
            "score": self._score.name,
            "arguments": self._score.arguments(),
            "threshold": self.threshold.tolist() if self._by_class else self.threshold,
            "false_alarm_rate": self.false_alarm_rate,
            "method": self.method,
            "fits_score": self._fits_score,
        }
        calibration = {name: getattr(self, name) for name in CALIBRATION}
        arrays = calibration | self._state()
        archive.write(path, archive.Content(description, arrays, self._models))

    @classmethod
    def load(cls, path: str | Path) -> AnomalyDetector:
        """The detector that `save` wrote. Nothing is unpickled.

        Raises a ValueError for a file that is not a detector, is damaged or edited, or was written
        by a newer version of the library.
        """
        description, arrays, models = archive.read(path)
        score = scores.SCORES[description["score"]](**description["arguments"])
        detector = cls(models[0] if description["one_model"] else models, score)
        for name in CALIBRATION:
            setattr(detector, name, arrays[name])
        detector._set_state(arrays)
        for name in ("threshold", "false_alarm_rate", "method"):
            setattr(detector, name, description[name])
        detector._fits_score = description["fits_score"]
        if detector._by_class:
            detector.threshold = np.array(detector.threshold)
        return detector

    def _state(self) -> dict[str, np.ndarray]:
        """What the scores have learned, with the number of the class in front."""
        states = enumerate(score.state() for _, score in self._views)
        return {f"{c}:{name}": array for c, state in states for name, array in state.items()}

    def _set_state(self, arrays: dict[str, np.ndarray]) -> None:
        for c, (_, score) in enumerate(self._views):
            start = f"{c}:"
            own = {k.removeprefix(start): v for k, v in arrays.items() if k.startswith(start)}
            score.set_state(own)


def _check_models(model: VAE | Sequence[VAE]) -> list[VAE]:
    """The models of a detector; several must be plain VAEs of data of one shape."""
    if isinstance(model, VAE):
        return [model]
    expected = "expected a VAE, or a list of VAEs, one for each normal class"
    if not isinstance(model, (list, tuple)) or not model:
        raise ValueError(f"model is a {type(model).__name__}; {expected}")
    kinds = {type(one).__name__ for one in model}
    if any(isinstance(one, ConditionalVAE) or not isinstance(one, VAE) for one in model):
        raise ValueError(f"model has {sorted(kinds)}; {expected}")
    if len(shapes := {one.data_shape for one in model}) > 1:
        raise ValueError(f"model has data of shapes {sorted(shapes)}; expected one shape")
    return list(model)
