"""The detector itself: what it learns, says and shows."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from sklearn.exceptions import NotFittedError

from .. import saving, scores
from ..batches import Form, is_stream
from ..classes import ConditionalVAE
from ..data import Labelled, Split, TableEncoder
from ..frames import columns_of, is_frame
from ..model import VAE
from ..thresholds import METHODS
from . import export
from .evaluation import Evaluation, Verdicts, evaluate, flags_of
from .inputs import Inputs, as_numbers
from .models import Scorer, check_models
from .recipe import FEWEST, Recipe
from .state import SCHEMA, State, check_settings

KIND = "AnomalyDetector"


class AnomalyDetector:
    """Says which items are anomalous, at a false-alarm rate that is known beforehand.

    Items are rows of a table, windows of a series, or images. Either the detector trains a VAE
    itself, `AnomalyDetector().fit(split)`, or it takes yours, `AnomalyDetector(vae).calibrate(x)`.

    Args:
        model: a trained VAE, or a list of them, one per normal class 0, 1, ...; or a Keras model of
            your own that scores by itself: see `Scorer`. None if `fit` is to train one.
        score: a name in `scores.SCORES` or an object from `scores`. The default is "joint" for rows
            and windows; for images it is "auto", or "fusion" with several classes or models.
        false_alarm_rate: share of new normal items that may be flagged, on average; in (0, 1).
        method: how the threshold is found, a function of `thresholds`: "conformal" keeps the rate
            on average for any number of items; see there for what each promises.
        n_models: for `fit`, how many VAEs, with other seeds and other items held out. Their scores
            are averaged, by the geometric mean where scores cannot be negative.
        latent_dim, network, hidden: for `fit`, sizes of the VAE; see `VAE`. A `network` of None is
            "linear", solved at once, for rows and windows, unless `hidden`, `epochs` or
            `batch_size` ask for a training; else "dense".
        epochs, batch_size: None takes about 3,000 steps of 16 to 64 items, in 20 to 300 epochs.
        learning_rate: of Adam.
        early_stopping: whether training ends, and goes back, when held-out items fare no better.
        max_categories: the most that a column of a table may have; see `data.TableEncoder`.
        seed: of everything that `fit` draws.
        verbose: 1 shows a progress bar per model.

    A `ConditionalVAE`, or one VAE per class, scores an item under each class: the item is as
    anomalous as under the class that suits it best. There is one threshold per class, and an
    anomaly exceeds them all; so the false-alarm rate is kept within each class, not only on average
    over them (a Mondrian conformal detector).

    Rows may come as a DataFrame. The names of its columns are kept, in the file, too: another order
    is put right by name, another name is a ValueError, and so is an array without names.
    """

    def __init__(
        self,
        model: VAE | Sequence[VAE] | Scorer | None = None,
        score: str | scores.Score | None = None,
        *,
        false_alarm_rate: float = 0.05,
        method: str = "conformal",
        n_models: int = 1,
        latent_dim: int = 16,
        network: str | None = None,
        hidden: Sequence[int] | None = None,
        epochs: int | None = None,
        batch_size: int | None = None,
        learning_rate: float = 2e-3,
        early_stopping: bool = True,
        max_categories: int = 50,
        seed: int = 0,
        verbose: int = 0,
    ):
        check_settings(false_alarm_rate, method)
        sizes = (n_models, latent_dim, network, hidden, epochs, batch_size, learning_rate)
        self._recipe = Recipe(*sizes, early_stopping, max_categories, seed)
        self._rate, self._method = float(false_alarm_rate), method
        self._asked_score, self._verbose = score, verbose
        self._fits = model is None  # whether `fit` may train
        self._now: State | None = None  # replaced as a whole: threads see the old or the new one
        if model is not None:
            self._now = State.of(check_models(model), score, isinstance(model, (list, tuple)))
        elif score is not None:
            scores.get(score)  # an unknown one is named before the training

    @property
    def model(self) -> VAE | list[VAE] | Scorer | None:
        """The VAE, the list of them, or your own; None before `fit`."""
        if self._now is None:
            return None
        models, listed = self._now.models, self._now.by_class or len(self._now.models) > 1
        return list(models) if listed and not isinstance(models[0], ConditionalVAE) else models[0]

    def form(self, name: str = "items") -> Form:
        """What one item looks like, as the model takes it: see `batches.Form`."""
        return self._fitted().form(name)

    @property
    def columns(self) -> tuple[str, ...] | None:
        """The names of a table's columns, or of a series' channels, if they have any."""
        return None if self._now is None else self._now.inputs.names

    @property
    def score_name(self) -> str | None:
        """The score in use, a name in `scores.SCORES`: of "auto" the one that it chose."""
        if self._now is None:
            return None
        score = self._now.score
        return score.chosen if self.score_choice else score.name or score.label()

    @property
    def score_choice(self) -> dict[str, float] | None:
        """Why "auto" chose it: each candidate's mean AUROC on anomalies that it made itself."""
        score = None if self._now is None else self._now.score
        return score.table if isinstance(score, scores.Auto) and score.fitted else None

    @property
    def threshold(self) -> float | np.ndarray | None:
        """What an anomaly's score exceeds; with classes one for each, (classes,)."""
        limits = self._calibrated("thresholds")
        return limits if limits is None or self._now.by_class else float(limits[0])

    @property
    def false_alarm_rate(self) -> float:
        """The rate that was asked for."""
        return self._rate

    @property
    def method(self) -> str:
        """How the threshold is found, a name in `thresholds`."""
        return self._calibrated("method") or self._method

    @property
    def calibration_scores(self) -> np.ndarray | None:
        """The scores (n,) behind the threshold."""
        return self._calibrated("scores")

    @property
    def calibration_classes(self) -> np.ndarray | None:
        """The class (n,) of each of them; all 0 without classes."""
        return self._calibrated("classes")

    def fit(self, items, calibration=None) -> AnomalyDetector:
        """Train on normal items, and set the threshold.

        `items` are a `data.Split`, whose parts `train` and `calibration` are used; a DataFrame,
        with categories and missing values; or an array of rows, windows or images. Without a split
        a fifth of the items, or `calibration`, sets the threshold, and a fifth of the rest stops
        the training. Where too few are left for the rate (19 for 0.05), `fit` warns, and takes a
        quantile, which promises nothing.

        Raises:
            ValueError: a detector that was given its model; fewer than 8 items; what a
                `TableEncoder`, or a VAE, does not take. The detector stays as it was.
        """
        if not self._fits:
            raise ValueError("model is given; expected None for fit, or calibrate instead of it")
        recipe, names, method = self._recipe, None, self._method
        if isinstance(items, Split):
            names = items.columns
            calibration = items.calibration if calibration is None else calibration
            items = items.train
        items = as_numbers(items, "items")
        if len(items) < FEWEST:
            raise ValueError(f"items has {len(items)} sample(s); expected {FEWEST} or more")
        if calibration is None:
            order = np.random.RandomState(recipe.seed).permutation(len(items))
            parts = np.split(order, [max(len(items) // 5, 1)])
            by_row = items.iloc if is_frame(items) else items
            calibration, items = (by_row[np.sort(part)] for part in parts)
        encoder = TableEncoder(recipe.max_categories).fit(items) if is_frame(items) else None
        inputs = Inputs(names if encoder is None else tuple(encoder.feature_names_in_), encoder)
        rows = items if encoder is None else encoder.transform(items).to_numpy()
        try:
            METHODS[method](np.zeros(len(calibration)), self._rate)
        except ValueError as error:  # too few for a promise
            method, problem = "quantile", "the threshold is a quantile, which promises nothing"
            warnings.warn(f"{error}: {problem}", UserWarning, stacklevel=2)
        trained, held_out = recipe.train_all(rows, self._asked_score, self._verbose)
        now = State.of(trained, self._asked_score, members=len(trained))
        now = now._replace(inputs=inputs, fits_score=False)
        for (vae, score), some in zip(now.views, held_out, strict=True):
            score.fit(vae, rows, some)
        calibration = as_numbers(calibration, "calibration")
        self._now = now.calibrated(calibration, None, None, self._rate, method, now.usual_of(rows))
        return self

    def calibrate(
        self,
        items,
        false_alarm_rate: float | None = None,
        method: str | None = None,
        classes: np.ndarray | None = None,
        training=None,
    ) -> AnomalyDetector:
        """Set the threshold from normal items that the model has not seen.

        `items` are an array, a DataFrame, batches, a `data.Labelled`, or a `data.Split`, whose
        parts `calibration` and `train` are used. A score that has to learn (latent, activations,
        neighbours, joint, fusion, typicality, auto) takes every other item for it and the threshold
        the rest, unless you or `fit` fitted it before. It learns more if it gets the items that the
        model was trained on, too, as `training`; with classes, a pair (items, classes). A detector
        with classes wants `classes`, integers (n,), or batches (items, classes), and sets the
        threshold of each by its own items. After more training calibrate again. Another rate or
        method than before is kept.

        Raises:
            ValueError: labelled anomalies among the items, too few items (or of a class) for the
                rate, an unknown method, items that do not fit the model, classes missing for a
                detector that has them or given for another. The detector stays as it was.
        """
        if (now := self._now) is None:
            raise ValueError("model is None; expected a trained one, or fit instead of calibrate")
        rate = self._rate if false_alarm_rate is None else false_alarm_rate
        method = self._method if method is None else method
        check_settings(rate, method)
        if isinstance(items, Split):
            if training is None:
                training = (items.train, items.train_classes) if now.by_class else items.train
            classes = items.calibration_classes if now.by_class and classes is None else classes
            items = items.calibration
        if isinstance(items, Labelled):
            if anomalies := int(flags_of(items.is_anomaly, len(items.items)).sum()):
                problem = f"items has {anomalies} labelled anomalies"
                raise ValueError(f"{problem}; expected normal items only")
            classes = items.classes if now.by_class and classes is None else classes
            items = items.items
        if now.inputs.names is None and (names := columns_of(items)) is not None:
            now = now._replace(inputs=Inputs(names))
        usual = now.usual if self._fits and training is None else None  # `fit` saw more rows
        self._now = now.calibrated(items, classes, training, rate, method, usual)
        self._rate, self._method = float(rate), method
        return self

    def class_scores(self, items) -> np.ndarray:
        """The score under each class: (n, classes); (n, 1) for a model without classes."""
        return self._fitted().scores(items)[0]

    def score(self, items) -> np.ndarray:
        """Anomaly scores (n,): higher is more anomalous. Needs `calibrate` if the score learns.

        With classes, the smallest over them; equation (7.3). Items are an array (n, *data_shape),
        a DataFrame, or come in `batches`; here and below a ValueError names those whose score is
        not finite.
        """
        return self.class_scores(items).min(axis=1)

    def closest_class(self, items) -> np.ndarray:
        """Which class suits each item best, the one of its score: integers (n,)."""
        return self.class_scores(items).argmin(axis=1)

    def p_value(self, items) -> np.ndarray:
        """Conformal p-values (n,) in (0, 1]: how often a normal item scores at least as high.

        With classes, the largest of those that each class gives: at least that of the item's own
        class, which nobody has to know, so p <= rate is as rare as promised in each.
        """
        class_scores, calibration = self._fitted().calibrated_scores(items)
        return calibration.p_values(class_scores)

    def is_anomaly(self, items) -> np.ndarray:
        """Whether each item is an anomaly, with classes under each of them: bool (n,).

        With classes, equation (7.4). Raises a NotFittedError, which is a ValueError, before
        `calibrate` and when a model's weights have changed since.
        """
        class_scores, calibration = self._fitted().calibrated_scores(items)
        return calibration.flag(class_scores)

    def judge(self, items):
        """`score`, `p_value` and `is_anomaly` at once: a DataFrame by the index of a DataFrame.

        Of an array, `Verdicts` (score, p_value, is_anomaly), each (n,). Of a window's detector the
        rows of a DataFrame are points, each judged by the window that ends with it; those before
        the first whole window have NaN, and are no anomalies.
        """
        class_scores, calibration = self._fitted().calibrated_scores(items)
        p_values, alarms = calibration.p_values(class_scores), calibration.flag(class_scores)
        verdicts = Verdicts(class_scores.min(axis=1), p_values, alarms)
        return verdicts.framed(items) if is_frame(items) else verdicts

    def explain(self, items):
        """What made the score of each item.

        Of images and windows the share of each pixel, or of each moment and channel, in the shape
        of the items; shares sum to the score. With classes, under the closest one. Of a DataFrame
        of points, the mean (time, channels) over the windows that hold each point. Of rows the
        share of each column, (n, columns), of a DataFrame by its names and index; these sum to 1.
        """
        now = self._fitted()
        arrays, _ = now.arrays(items)
        shares = now.shares(arrays) if arrays.ndim == 2 else now.maps(arrays)
        return now.inputs.framed(shares, items) if is_frame(items) else shares

    def evaluate(
        self, items, is_anomaly: np.ndarray | None = None, resamples: int = 200, seed: int = 0
    ) -> Evaluation:
        """Figures on labelled items, with bootstrap intervals over items (not over trainings).

        `is_anomaly` is bool (n,) and has both kinds, or comes with the items: `data.Labelled`, or
        batches (items, is_anomaly). Raises a ValueError otherwise.
        """
        now = self._fitted()
        if isinstance(items, Labelled):
            is_anomaly = items.is_anomaly if is_anomaly is None else is_anomaly
            items = items.items
        elif is_anomaly is None and is_stream(items):
            items, is_anomaly = now.arrays(items)
        class_scores, calibration = now.calibrated_scores(items)
        return evaluate(class_scores, is_anomaly, calibration.flag, resamples, seed)

    def save(self, path: str | Path) -> None:
        """Write model, score and calibration to one file, whole or not at all.

        Of a model with parts of your own (encoder, decoder, likelihood, subclass) only the weights
        are written: see `load`.
        """
        saving.save(path, KIND, self.state())

    @classmethod
    def load(
        cls, path: str | Path, model: VAE | Sequence[VAE] | Scorer | None = None
    ) -> AnomalyDetector:
        """The detector that `save` wrote.

        A file from a stranger cannot run code, read a file or reach the network, but its detector
        may say what the stranger wants. `model` is for parts of your own: build the model, or the
        list of them, as you did, and its weights become those of the file.

        Raises:
            ValueError: a file that is not a detector, is damaged, edited or inconsistent, or was
                written by another version of the library; parts of your own without `model`.
        """
        return saving.load(path, KIND, lambda state: cls.from_state(state, model))

    def state(self) -> dict:
        """All of a calibrated detector, as plain values and arrays: see `saving`."""
        now = self._fitted()
        now.check_now()
        return now.state() | {"recipe": self._recipe.state() if self._fits else None}

    @classmethod
    def from_state(
        cls, state: dict, model: VAE | Sequence[VAE] | Scorer | None = None
    ) -> AnomalyDetector:
        """The detector of this state, of which nothing is trusted; `model` is that of `load`."""
        saving.check(state, SCHEMA)
        now, recipe = State.from_state(state, model), state["recipe"]
        new = cls(
            score=None if recipe is None else state["score"]["name"],
            false_alarm_rate=now.calibration.false_alarm_rate,
            method=now.calibration.method,
            **(recipe or {}),
        )
        new._fits, new._now = recipe is not None, now
        return new

    def export(
        self, path: str | Path, format: str = "saved_model", precision: str = "float32"
    ) -> None:
        """Write model, score and calibration as one graph that runs without this library.

        Its endpoint `serve` takes items (n, *data_shape), float32 unless the model is of float64;
        of a table what `encode` gives. It returns a dict of `score`, `p_value` and `is_anomaly`,
        each (n,), equal to those of `judge` but for rounding. An item that the library would
        refuse, for NaN or values outside 0..1, is an anomaly, with NaN for score and p-value.

        Args:
            path: "saved_model" makes a folder, which may not be there yet; "litert" a file.
            format: "saved_model" for TensorFlow, TensorFlow Serving and converters, such as
                tf2onnx; "litert" (TensorFlow Lite's format) for phones and small devices.
            precision: of the weights in "litert": "float32", "float16" or "int8". The graph then
                computes other scores: compare them, and set the threshold by them.

        Raises:
            ValueError: a score that draws random numbers (probability, elbo, bound), or is more
                than TensorFlow's operations; another format or precision; a path that is wrong.
        """
        now = self._fitted()
        now.check_now()
        export.write(now, path, format, precision)

    def encode(self, items) -> np.ndarray:
        """The items as the model takes them: of a table its rows of numbers, (n, *data_shape)."""
        return self._fitted().arrays(items)[0]

    def _fitted(self) -> State:
        if self._now is None:
            raise NotFittedError("this detector has no model yet: call fit first")
        return self._now

    def _calibrated(self, name: str):
        return getattr(getattr(self._now, "calibration", None), name, None)
