"""A model, a score and a threshold as one thing: calibrated once, saved and loaded as one file."""

from __future__ import annotations

import hashlib
import io
import json
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
from sklearn.exceptions import NotFittedError
from sklearn.metrics import average_precision_score, confusion_matrix, roc_auc_score, roc_curve

from . import scores, thresholds
from .classes import ConditionalVAE, MixtureVAE, check_labels
from .data import Labelled
from .model import VAE

FORMAT = 1
METHODS = {
    "conformal": thresholds.conformal,
    "quantile": thresholds.quantile,
    "tail": thresholds.tail,
}
CALIBRATION = ("calibration_scores", "calibration_classes")


class Interval(NamedTuple):
    """A figure on the given images, and its 95 % bootstrap interval."""

    value: float
    low: float
    high: float


class Evaluation(NamedTuple):
    """What `evaluate` measures. Rates are in 0..1; `confusion` is [[tn, fp], [fn, tp]]."""

    auroc: Interval
    average_precision: Interval
    fpr_at_95_tpr: Interval
    false_alarm_rate: Interval
    detection_rate: Interval
    confusion: np.ndarray


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

        With classes, the smallest over them.
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
        """Whether each image is an anomaly, with classes under each of them: bool (n,)."""
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
        is_anomaly = np.asarray(is_anomaly)
        if is_anomaly.shape != (len(images),) or is_anomaly.dtype != bool:
            found = f"is_anomaly has shape {is_anomaly.shape} and dtype {is_anomaly.dtype}"
            raise ValueError(f"{found}; expected ({len(images)},) of bool")
        if is_anomaly.all() or not is_anomaly.any():
            raise ValueError("is_anomaly has one kind only; expected normal and anomalous images")
        class_scores = self.class_scores(images)
        normal, anomalous = class_scores[~is_anomaly], class_scores[is_anomaly]
        rng = np.random.RandomState(seed)
        draws = [
            self._figures(*(part[rng.choice(len(part), len(part))] for part in (normal, anomalous)))
            for _ in range(resamples)
        ]
        low, high = np.quantile(draws, [0.025, 0.975], axis=0)
        values = self._figures(normal, anomalous)
        intervals = (Interval(*map(float, row)) for row in zip(values, low, high, strict=True))
        return Evaluation(*intervals, confusion_matrix(is_anomaly, self._flag(class_scores)))

    def _figures(self, normal: np.ndarray, anomalous: np.ndarray) -> list[float]:
        found = np.concatenate([normal, anomalous]).min(axis=1)
        truth = np.arange(len(found)) >= len(normal)
        false_alarms, hits, _ = roc_curve(truth, found)
        return [
            roc_auc_score(truth, found),
            average_precision_score(truth, found),
            false_alarms[np.searchsorted(hits, 0.95)],
            np.mean(self._flag(normal)),
            np.mean(self._flag(anomalous)),
        ]

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
            "format": FORMAT,
            "one_model": isinstance(self.model, VAE),
            "score": self._score.name,
            "arguments": self._score.arguments(),
            "threshold": self.threshold.tolist() if self._by_class else self.threshold,
            "false_alarm_rate": self.false_alarm_rate,
            "method": self.method,
            "fits_score": self._fits_score,
        }
        arrays = io.BytesIO()
        calibration = {name: getattr(self, name) for name in CALIBRATION}
        np.savez(arrays, **calibration, **self._state())
        members = {
            "detector.json": json.dumps(description).encode(),
            "arrays.npz": arrays.getvalue(),
        }
        members |= {f"model{c}.keras": _model_bytes(one) for c, one in enumerate(self._models)}
        path = Path(path)
        temporary = path.with_name(path.name + ".part")
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as file:
            for name, content in members.items():
                file.writestr(name, content)
            file.writestr("sha256", _digest(members))
        temporary.replace(path)

    @classmethod
    def load(cls, path: str | Path) -> AnomalyDetector:
        """The detector that `save` wrote. Nothing is unpickled.

        Raises a ValueError for a file that is not a detector, is damaged or edited, or was written
        by a newer version of the library.
        """
        expected = f"path is {str(path)!r}; expected a file that AnomalyDetector.save wrote"
        try:
            with zipfile.ZipFile(path) as file:
                members = {name: file.read(name) for name in file.namelist()}
            digest = members.pop("sha256").decode()
            description = json.loads(members["detector.json"])
        except FileNotFoundError:
            raise
        except Exception as error:  # archives and their compression fail in many ways
            raise ValueError(f"{expected}, but it cannot be read: {error}") from error
        if description.get("format", 0) > FORMAT:
            found = f"format {description['format']}, and this library knows {FORMAT}"
            raise ValueError(f"{expected}, but it has {found}: install a newer vae_lib")
        if digest != _digest(members):
            raise ValueError(f"{expected}, but its content was changed: the checksums differ")
        models = [_load_model(members[name]) for name in members if name.endswith(".keras")]
        score = scores.SCORES[description["score"]](**description["arguments"])
        detector = cls(models[0] if description["one_model"] else models, score)
        with np.load(io.BytesIO(members["arrays.npz"]), allow_pickle=False) as arrays:
            for name in CALIBRATION:
                setattr(detector, name, arrays[name])
            detector._set_state(dict(arrays))
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


def _model_bytes(model: VAE) -> bytes:
    """The model as a .keras file, without the optimizer, which would treble its size."""
    bare = type(model).from_config(model.get_config())
    bare.set_weights(model.get_weights())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        bare.save(path)
        return path.read_bytes()


def _load_model(content: bytes) -> VAE:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        path.write_bytes(content)
        return keras.saving.load_model(path, compile=False, safe_mode=True)


def _digest(members: dict[str, bytes]) -> str:
    hashes = [hashlib.sha256(content).hexdigest() for content in members.values()]
    return hashlib.sha256("".join(hashes).encode()).hexdigest()
