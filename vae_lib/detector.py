"""A model, a score and a threshold as one thing: calibrated once, saved and loaded as one file."""

from __future__ import annotations

import hashlib
import io
import json
import tempfile
import zipfile
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
from sklearn.exceptions import NotFittedError
from sklearn.metrics import average_precision_score, confusion_matrix, roc_auc_score, roc_curve

from . import scores, thresholds
from .data import Labelled
from .model import VAE

FORMAT = 1
METHODS = {
    "conformal": thresholds.conformal,
    "quantile": thresholds.quantile,
    "tail": thresholds.tail,
}
MEMBERS = ("detector.json", "arrays.npz", "model.keras")


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
        model: a trained VAE.
        score: a name in `scores.SCORES` or an object from `scores`. The default is "relative" for
            images and "likelihood" for tables.
    """

    def __init__(self, model: VAE, score: str | scores.Score | None = None):
        if not isinstance(model, VAE):
            raise ValueError(f"model is a {type(model).__name__}; expected a VAE")
        if score is None:
            score = "relative" if len(model.data_shape) == 3 else "likelihood"
        self.model = model
        self._score = scores.get(score)
        self.threshold: float | None = None
        self.false_alarm_rate: float | None = None
        self.method: str | None = None
        self.calibration_scores: np.ndarray | None = None

    def calibrate(
        self,
        images: np.ndarray | Labelled,
        false_alarm_rate: float = 0.05,
        method: str = "conformal",
    ) -> AnomalyDetector:
        """Set the threshold from normal images that the model has not seen.

        `method` names a function of `thresholds`: "conformal" keeps the false-alarm rate on
        average for any n; see there for what each promises. A score that has to learn (latent,
        activations, fusion) takes every other image for it, and the threshold the rest.

        Raises:
            ValueError: labelled anomalies among the images, too few of them for the rate, a rate
                outside (0, 1), an unknown method, images that do not fit the model.
        """
        if isinstance(images, Labelled):
            if np.any(images.is_anomaly):
                found = f"images has {int(np.sum(images.is_anomaly))} labelled anomalies"
                raise ValueError(f"{found}; expected normal images only")
            images = images.images
        if method not in METHODS:
            raise ValueError(f"method is {method!r}; expected one of {tuple(METHODS)}")
        if self._score.learned:
            self._score.fit(self.model, images[::2])
            images = images[1::2]
        found = self._score(self.model, images)
        threshold = METHODS[method](found, false_alarm_rate)
        self.threshold, self.calibration_scores = threshold, found
        self.false_alarm_rate, self.method = float(false_alarm_rate), method
        return self

    def score(self, images: np.ndarray) -> np.ndarray:
        """Anomaly scores (n,): higher is more anomalous. Needs `calibrate` if the score learns."""
        return self._score(self.model, images)

    def p_value(self, images: np.ndarray) -> np.ndarray:
        """Conformal p-values (n,) in (0, 1]: how often a normal image scores at least as high."""
        self._check_calibrated()
        return thresholds.p_values(self.calibration_scores, self.score(images))

    def predict(self, images: np.ndarray) -> np.ndarray:
        """Whether each image is an anomaly: bool (n,)."""
        self._check_calibrated()
        return self.score(images) > self.threshold

    def heatmap(self, images: np.ndarray) -> np.ndarray:
        """The share of each pixel in the score, in the shape of the images; shares sum to it."""
        return self._score.map(self.model, images)

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
        found = self.score(images)
        normal, anomalous = found[~is_anomaly], found[is_anomaly]
        rng = np.random.RandomState(seed)
        draws = [
            self._figures(rng.choice(normal, len(normal)), rng.choice(anomalous, len(anomalous)))
            for _ in range(resamples)
        ]
        low, high = np.quantile(draws, [0.025, 0.975], axis=0)
        values = self._figures(normal, anomalous)
        intervals = (Interval(*map(float, row)) for row in zip(values, low, high, strict=True))
        return Evaluation(*intervals, confusion_matrix(is_anomaly, found > self.threshold))

    def _figures(self, normal: np.ndarray, anomalous: np.ndarray) -> list[float]:
        found = np.concatenate([normal, anomalous])
        truth = np.arange(len(found)) >= len(normal)
        false_alarms, hits, _ = roc_curve(truth, found)
        return [
            roc_auc_score(truth, found),
            average_precision_score(truth, found),
            false_alarms[np.searchsorted(hits, 0.95)],
            np.mean(normal > self.threshold),
            np.mean(anomalous > self.threshold),
        ]

    def _check_calibrated(self) -> None:
        if self.threshold is None:
            raise NotFittedError("this detector has no threshold yet: call calibrate first")

    def save(self, path: str | Path) -> None:
        """Write model, score and calibration to one file, whole or not at all."""
        self._check_calibrated()
        description = {
            "format": FORMAT,
            "score": scores.get_name(self._score),
            "arguments": self._score.arguments(),
            "threshold": self.threshold,
            "false_alarm_rate": self.false_alarm_rate,
            "method": self.method,
        }
        arrays = io.BytesIO()
        np.savez(arrays, calibration_scores=self.calibration_scores, **self._score.state())
        members = dict(
            zip(
                MEMBERS,
                (json.dumps(description).encode(), arrays.getvalue(), _model_bytes(self.model)),
                strict=True,
            )
        )
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
                members = {name: file.read(name) for name in MEMBERS}
                digest = file.read("sha256").decode()
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
        with tempfile.TemporaryDirectory() as folder:
            model_path = Path(folder) / "model.keras"
            model_path.write_bytes(members["model.keras"])
            model = keras.saving.load_model(model_path, compile=False, safe_mode=True)
        score = scores.SCORES[description["score"]](**description["arguments"])
        detector = cls(model, score)
        with np.load(io.BytesIO(members["arrays.npz"]), allow_pickle=False) as arrays:
            detector.calibration_scores = arrays["calibration_scores"]
            score.set_state(dict(arrays))
        for name in ("threshold", "false_alarm_rate", "method"):
            setattr(detector, name, description[name])
        return detector


def _model_bytes(model: VAE) -> bytes:
    """The model as a .keras file, without the optimizer, which would treble its size."""
    bare = type(model).from_config(model.get_config())
    bare.set_weights(model.get_weights())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        bare.save(path)
        return path.read_bytes()


def _digest(members: dict[str, bytes]) -> str:
    hashes = [hashlib.sha256(content).hexdigest() for content in members.values()]
    return hashlib.sha256("".join(hashes).encode()).hexdigest()
