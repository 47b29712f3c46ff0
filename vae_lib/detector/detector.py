"""The detector itself: what it learns, says and shows."""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .. import scores
from ..batches import is_stream, whole
from ..checks import check_path, plain_array
from ..classes import ConditionalVAE, check_labels
from ..data import Labelled
from ..frames import columns_of, is_frame, plain
from ..model import VAE
from . import archive, export, storage
from .calibration import METHODS, Calibration
from .evaluation import Evaluation, evaluate
from .own import OwnScore, Scorer, is_own
from .state import State, check_models


class AnomalyDetector:
    """Says which images are anomalous, at a false-alarm rate that is known beforehand.

    Args:
        model: a trained VAE, or a sequence of them, one for each normal class 0, 1, ...; or a Keras
            model of your own that scores by itself: see `Scorer`.
        score: a name in `scores.SCORES` or an object from `scores`. The default is "joint" for
            tables; for images it is "auto", and "fusion" with classes.

    A `ConditionalVAE`, or one VAE a class, scores an image under each class: the image is as
    anomalous as under the class that suits it best. Such a detector has one threshold a class, and
    an anomaly exceeds them all. So a normal image of class c is flagged only if it exceeds that of
    c: the false-alarm rate is kept within each class, not only on average over them (a Mondrian
    conformal detector).

    Rows of a table may come as a DataFrame of numbers and booleans. The names of the columns that
    `calibrate` saw are kept, in the file, too: another order is put right by name, another name is
    a ValueError, and an array without names a warning. Arrays come out, but a heatmap is a
    DataFrame again.
    """

    def __init__(
        self, model: VAE | Sequence[VAE] | Scorer, score: str | scores.Score | None = None
    ):
        self._models = check_models(model)
        first = self._models[0]
        conditional = isinstance(first, ConditionalVAE)
        shape = first.form().data_shape
        self._listed = isinstance(model, (list, tuple))
        self._by_class = conditional or self._listed
        if is_own(first):
            if score is not None and not isinstance(score, OwnScore):
                found = f"score is {score!r} for a {type(first).__name__}, which scores by itself"
                raise ValueError(f"{found}; expected None")
            score = OwnScore()
        elif score is None:
            one = "fusion" if self._by_class else "auto"
            score = one if len(shape) == 3 else "joint"
        self._score = scores.get(score).copy()  # two detectors may be given one object
        views = [first.given(c) for c in range(first.classes)] if conditional else self._models
        self._score.suit(views)
        if self._score.directions_only and len(shape) != 3:
            found = f"score is {self._score.label()}, which compares directions and not sizes"
            warnings.warn(f"{found}: in a table the largest value may pass", stacklevel=2)
        pairs = [(view, self._score) for view in views]
        if self._by_class:  # what a score learns is of one class
            kind, arguments = type(self._score), self._score.arguments()
            pairs = [(view, kind(**arguments)) for view in views]
        self._fits_score = bool(self._score.learned) and (self._by_class or not self._score.fitted)
        self._now = State(pairs)  # replaced as a whole: other threads see the old or the new one

    @property
    def model(self) -> VAE | list[VAE] | Scorer:
        """The VAE, the list of them, or your own. Another model is another detector."""
        return list(self._models) if self._listed else self._models[0]

    @property
    def threshold(self) -> float | np.ndarray | None:
        """What an anomaly's score exceeds; with classes one for each, (classes,)."""
        found = self._calibrated("thresholds")
        return found if self._by_class or found is None else float(found[0])

    @property
    def false_alarm_rate(self) -> float | None:
        """The rate that was asked for."""
        return self._calibrated("false_alarm_rate")

    @property
    def method(self) -> str | None:
        """How the threshold was found, a name in `thresholds`."""
        return self._calibrated("method")

    @property
    def calibration_scores(self) -> np.ndarray | None:
        """The scores (n,) behind the threshold."""
        return self._calibrated("scores")

    @property
    def calibration_classes(self) -> np.ndarray | None:
        """The class (n,) of each of them; all 0 without classes."""
        return self._calibrated("classes")

    def calibrate(
        self,
        images: np.ndarray | Labelled,
        false_alarm_rate: float = 0.05,
        method: str = "conformal",
        classes: np.ndarray | None = None,
        training: np.ndarray | tuple[np.ndarray, np.ndarray] | None = None,
    ) -> AnomalyDetector:
        """Set the threshold from normal images that the model has not seen.

        `method` names a function of `thresholds`: "conformal" keeps the false-alarm rate on
        average for any n; see there for what each promises. A score that has to learn (latent,
        activations, neighbours, joint, fusion, typicality, auto) takes every other image for it and
        the threshold the rest, unless you fitted it before. It learns more if it gets the images
        that the model was trained on, too, as `training`; with classes, a pair (images, classes). A
        detector with classes wants `classes`, integers (n,), or batches (images, classes): the
        threshold of each class comes from its own images under that class. The threshold is for the
        models as they are: after more training calibrate again.

        Raises:
            ValueError: labelled anomalies among the images, too few of them (or of a class) for the
                rate, a rate outside (0, 1), an unknown method, images that do not fit the model,
                classes missing for a detector that has them or given for another. The detector
                stays as it was.
        """
        if isinstance(images, Labelled):
            flags = plain_array(images.is_anomaly, "is_anomaly")
            if flags.shape != (len(images.items),) or flags.dtype.kind not in "biu":
                found = f"is_anomaly has shape {flags.shape} and dtype {flags.dtype}"
                raise ValueError(f"{found}; expected ({len(images.items)},) of bool")
            if np.any(images.is_anomaly):
                found = f"images has {int(np.sum(images.is_anomaly))} labelled anomalies"
                raise ValueError(f"{found}; expected normal images only")
            classes = images.classes if classes is None and self._by_class else classes
            images = images.items
        if not (isinstance(method, str) and method in METHODS):
            raise ValueError(f"method is {method!r}; expected one of {tuple(METHODS)}")
        columns = columns_of(images)
        groups = self._by_view(plain(images, columns, "images"), classes)
        trained_on = [None] * len(groups)
        if training is not None:
            pair = training if isinstance(training, tuple) else (training, None)
            if len(pair) != 2:
                raise ValueError(f"training has {len(pair)} parts; expected (images, classes)")
            rows = plain(pair[0], columns, "training")
            trained_on = self._by_view(rows, pair[1], "training")
        views, found, weights = [], [], []
        for (model, score), group, seen in zip(self._now.views, groups, trained_on, strict=True):
            if self._fits_score:
                held_out, group = group[::2], group[1::2]
                score = score.copy()
                score.fit(model, *((held_out,) if seen is None else (seen, held_out)))
            values, fingerprint = score.of(model, group)
            views.append((model, score))
            found.append(values)
            weights.append(fingerprint)
        calibration = Calibration.of(found, false_alarm_rate, method)
        self._now = State(views, weights, calibration, columns)
        return self

    def class_scores(self, images: np.ndarray) -> np.ndarray:
        """The score under each class: (n, classes); (n, 1) for a VAE without classes."""
        return self._now.scores(images)[0]

    def score(self, images: np.ndarray) -> np.ndarray:
        """Anomaly scores (n,): higher is more anomalous. Needs `calibrate` if the score learns.

        With classes, the smallest over them; equation (7.3). Images are an array (n, *data_shape),
        or come in `batches`; here and below a ValueError names those whose score is not finite.
        """
        return self.class_scores(images).min(axis=1)

    def closest_class(self, images: np.ndarray) -> np.ndarray:
        """Which class suits each image best, the one of its score: integers (n,)."""
        return self.class_scores(images).argmin(axis=1)

    def p_value(self, images: np.ndarray) -> np.ndarray:
        """Conformal p-values (n,) in (0, 1]: how often a normal image scores at least as high.

        With classes, the largest of the p-values that each class gives: at least that of the
        image's own class, which nobody has to know, so p <= rate is as rare as promised in each.
        """
        found, calibration = self._now.calibrated_scores(images)
        return calibration.p_values(found)

    def predict(self, images: np.ndarray) -> np.ndarray:
        """Whether each image is an anomaly, with classes under each of them: bool (n,).

        With classes, equation (7.4). Raises a NotFittedError, which is a ValueError, before
        `calibrate` and when a model's weights have changed since.
        """
        found, calibration = self._now.calibrated_scores(images)
        return calibration.flag(found)

    def heatmap(self, images: np.ndarray) -> np.ndarray:
        """The share of each pixel in the score, in the shape of the images; shares sum to it.

        With classes, under the closest one. A DataFrame's shares come as a DataFrame: of each row,
        which columns made the score.
        """
        now = self._now
        rows = plain(images, now.columns, "images")
        shares = self._heatmap(now._replace(columns=None), rows)
        if not is_frame(images):
            return shares
        names = images.columns if now.columns is None else list(now.columns)
        return type(images)(shares, index=images.index, columns=names)

    def evaluate(
        self,
        images: np.ndarray | Labelled,
        is_anomaly: np.ndarray | None = None,
        resamples: int = 200,
        seed: int = 0,
    ) -> Evaluation:
        """Figures on labelled images, with bootstrap intervals over images (not over trainings).

        `is_anomaly` is bool (n,) and has both kinds, or comes with the images: `data.Labelled`, or
        batches (images, is_anomaly). Raises a ValueError otherwise.
        """
        if isinstance(images, Labelled):
            is_anomaly = images.is_anomaly if is_anomaly is None else is_anomaly
            images = images.items
        elif is_anomaly is None and is_stream(images):
            images, is_anomaly = whole(images, self._models[0].form("images"))
        found, calibration = self._now.calibrated_scores(images)
        return evaluate(found, is_anomaly, calibration.flag, resamples, seed)

    def save(self, path: str | Path) -> None:
        """Write model, score and calibration to one file, whole or not at all.

        Of a model with parts of your own (encoder, decoder, likelihood, subclass) only the weights
        are written: see `load`.
        """
        check_path(path)
        self._now.check_now()
        archive.write(path, storage.content(self))

    @classmethod
    def load(
        cls, path: str | Path, model: VAE | Sequence[VAE] | Scorer | None = None
    ) -> AnomalyDetector:
        """The detector that `save` wrote.

        A file from a stranger cannot run code, read a file or reach the network: it holds numbers
        and sizes, and this library builds the network. It can still be wrong: the detector then
        says what the stranger wants. `model` is for parts of your own: build the model, or the
        list of them, as you did, and its weights become those of the file.

        Raises:
            ValueError: a file that is not a detector, is damaged, edited or inconsistent, or was
                written by a newer version of the library; parts of your own without `model`.
        """
        check_path(path)
        try:
            return storage.restore(cls, archive.read(path), model)
        except OSError:
            raise
        except Exception as error:  # archives, arrays and descriptions can be wrong in many ways
            told = str(error) if isinstance(error, ValueError | zipfile.BadZipFile) else repr(error)
            expected = f"path is {str(path)!r}; expected a file that AnomalyDetector.save wrote"
            raise ValueError(f"{expected}, but {told}") from error

    def export(
        self, path: str | Path, format: str = "saved_model", precision: str = "float32"
    ) -> None:
        """Write model, score and calibration as one graph that runs without this library.

        It has one endpoint, `serve`: images (n, *data_shape) in, float32 unless the model is of
        float64; a dict of `score`, `p_value` and `is_anomaly` out, each (n,), equal to `score`,
        `p_value` and `predict` but for rounding. A table's columns must come in the order of
        `calibrate`. Nothing checks what comes in: where the library would refuse an image alone,
        for NaN or values outside 0..1, score and p-value are NaN, and it is an anomaly.

        Args:
            path: "saved_model" makes a folder, which may not be there yet; "litert" a file.
            format: "saved_model" for TensorFlow, TensorFlow Serving and converters (tf2onnx, which
                is no requirement of this library, makes ONNX of it); "litert" (TensorFlow Lite's
                format) for phones and small devices.
            precision: of the weights in "litert", not of what layers hand on: "float32", "float16",
                or "int8". The graph then computes other scores: compare them, and set the threshold
                by them.

        Raises:
            ValueError: a score that draws random numbers (probability, elbo, bound), or a model of
                your own whose score is more than TensorFlow's operations; another format or
                precision; a path that is wrong. Also a NotFittedError, as `predict`.
        """
        check_path(path)
        for name, value, known in (
            ("format", format, export.FORMATS),
            ("precision", precision, export.PRECISIONS),
        ):
            if not (isinstance(value, str) and value in known):
                raise ValueError(f"{name} is {value!r}; expected one of {known}")
        if format == "saved_model" and precision != "float32":
            found = f"precision is {precision!r} and format is 'saved_model'"
            raise ValueError(f"{found}; expected 'float32', or the format 'litert'")
        now = self._now
        now.check_now()
        export.write(now, self._score.label(), Path(path), format, precision)

    def _heatmap(self, now: State, images) -> np.ndarray:
        if not self._by_class:
            model, score = now.views[0]
            return score.map(model, images)
        images, _ = whole(images, self._models[0].form("images"))
        closest = now.scores(images)[0].argmin(axis=1)
        shares = np.empty(images.shape)
        for c in np.unique(closest):
            model, score = now.views[c]
            shares[closest == c] = score.map(model, images[closest == c])
        return shares

    def _by_view(self, images, classes, name: str = "images") -> list[np.ndarray]:
        """The images of each class, or all of them without classes."""
        images, labels = whole(images, self._models[0].form(name))
        label = "classes" if name == "images" else f"classes of {name}"
        if not self._by_class:
            if classes is not None:
                found = f"{label} came for one VAE without them"
                raise ValueError(f"{found}; expected a ConditionalVAE or a list of VAEs")
            return [images]
        classes = labels if classes is None else classes
        check_labels(classes, len(images), len(self._now.views), label)
        groups = [images[np.asarray(classes) == c] for c in range(len(self._now.views))]
        for c, group in enumerate(groups):
            if len(group) == 0:
                raise ValueError(f"{label} has no {c}; expected every class of the model")
        return groups

    def _calibrated(self, name: str):
        return None if self._now.calibration is None else getattr(self._now.calibration, name)
