"""The estimator."""

from __future__ import annotations

import math
import warnings
from pathlib import Path

import keras
import numpy as np
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from .. import explanations, scores
from ..checks import check_count, check_path, check_seed, is_real
from ..data import Labelled, TableEncoder
from ..detector import AnomalyDetector, Evaluation, archive
from ..detector.calibration import Calibration
from ..detector.evaluation import evaluate
from ..frames import is_frame, names_of, pandas
from ..thresholds import conformal
from . import storage
from .training import train_vae

FEWEST = 8  # rows
BLOCK = 4096  # rows that are scored at once
LEAST = 1e-9  # has a logarithm, where a score is 0


class VAEDetector(OutlierMixin, BaseEstimator):
    """Finds unusual rows of a table with variational autoencoders that were trained on normal ones.

    A scikit-learn estimator: it takes the place of an `IsolationForest` by one line, in pipelines
    and searches, too. Rows come as a DataFrame, with categories and missing values (see
    `data.TableEncoder`), or as an array of finite numbers. Columns are brought to one scale by the
    model. Arrays come out; `score_frame` and `explain` give DataFrames with the rows' index.

    Of the rows of `fit` a fifth sets the threshold, and a fifth of the rest stops the training. So
    the share of alarms among new normal rows is at most `false_alarm_rate`, on average: this is not
    PyOD's `contamination`, the share of the training rows that will be flagged. Where the rows are
    too few for it (19 for 0.05 have to be set aside), `fit` warns, and takes a quantile.

    Args:
        false_alarm_rate: of new normal rows, in (0, 1).
        n_models: how many VAEs, with other seeds and other rows held out, whose scores are
            averaged: their logarithms, where scores cannot be negative.
        anomaly_score: a name in `scores.SCORES` that suits tables.
        latent_dim, hidden: sizes of the VAE, which is dense.
        epochs, batch_size: None takes what makes about 3,000 steps of 16 to 64 rows, in 20 to 300
            epochs.
        learning_rate: of Adam.
        early_stopping: whether training ends when held-out rows fare no better, and takes the
            weights from when they fared best.
        max_categories: the most that a column of categories may have.
        random_state: a whole number, a RandomState, or None for other results each time.
        verbose: 1 shows progress bars of training, and of scoring more than 4,096 rows.

    Attributes (after `fit`):
        ``offset_``: what `decision_function` subtracts from `score_samples`.
        ``n_features_in_``, ``feature_names_in_``: as in scikit-learn; names only of a DataFrame.
        ``encoder_``: the `TableEncoder` of a DataFrame, or None.
        ``detectors_``: an `AnomalyDetector` for each model, of encoded rows.

    Raises a ValueError for arguments out of range, and for rows as scikit-learn and `TableEncoder`
    do: columns must come in the order of `fit`.
    """

    def __init__(
        self,
        false_alarm_rate: float = 0.05,
        n_models: int = 1,
        anomaly_score: str = "joint",
        latent_dim: int = 16,
        hidden: tuple[int, ...] = (64,),
        epochs: int | None = None,
        batch_size: int | None = None,
        learning_rate: float = 2e-3,
        early_stopping: bool = True,
        max_categories: int = 50,
        random_state: int | np.random.RandomState | None = 0,
        verbose: int = 0,
    ):
        self.false_alarm_rate = false_alarm_rate
        self.n_models = n_models
        self.anomaly_score = anomaly_score
        self.latent_dim = latent_dim
        self.hidden = hidden
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.early_stopping = early_stopping
        self.max_categories = max_categories
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X, y=None, calibration=None) -> VAEDetector:
        """Train on normal rows (n, features), and set the threshold.

        The rows of `calibration`, if given, set it instead of some of X. y is not looked at, as in
        scikit-learn: take known anomalies out of X before.
        """
        self._check_arguments()
        seed = self.random_state
        if seed is None or isinstance(seed, np.random.RandomState):
            seed = int(check_random_state(seed).randint(2**31))
        X = self._validated(X, is_frame(X), reset=True)
        if calibration is None:
            order = np.random.RandomState(seed).permutation(len(X))
            cut = max(len(X) // 5, 1)
            calibration, X = (_take(X, np.sort(part)) for part in (order[:cut], order[cut:]))
        else:
            calibration = self._validated(calibration, is_frame(X))
        encoder = TableEncoder(self.max_categories).fit(X) if is_frame(X) else None
        rows, calibration = _encoded(encoder, X), _encoded(encoder, calibration)
        rate = float(self.false_alarm_rate)
        method = self._method(len(calibration), rate)
        detectors = []
        for m in range(self.n_models):
            told = f"model {m + 1} of {self.n_models}" if self.verbose else None
            vae, held_out = train_vae(rows, (seed * self.n_models + m) % 2**32, self, told)
            fitted = scores.get(self.anomaly_score).fit(vae, rows, held_out)
            detectors.append(AnomalyDetector(vae, fitted).calibrate(calibration, rate, method))
        self.encoder_, self.detectors_ = encoder, detectors
        self.usual_ = explanations.usual_values(rows, self._sources())
        self._set_threshold(Calibration.of([self._strangeness(calibration)], rate, method))
        return self

    def calibrate(self, X, false_alarm_rate: float | None = None) -> VAEDetector:
        """Set the threshold anew by normal rows that `fit` has not seen; the models stay.

        The rate is that of before, unless another is given. Raises a ValueError as `fit` does, and
        then nothing has changed.
        """
        rows = self._rows(X)
        rate = self.false_alarm_rate if false_alarm_rate is None else false_alarm_rate
        _check_positive("false_alarm_rate", rate, 1)
        rate, method = float(rate), self._method(len(rows), rate)
        found = Calibration.of([self._strangeness(rows)], rate, method)
        self.detectors_ = [
            AnomalyDetector(one.model, one._score).calibrate(rows, rate, method)
            for one in self.detectors_
        ]
        self.false_alarm_rate = rate
        self._set_threshold(found)
        return self

    def score_samples(self, X) -> np.ndarray:
        """How normal each row is, (n,): the mean over the models of -log(score), or of -score."""
        return -self._strangeness(self._rows(X))

    def decision_function(self, X) -> np.ndarray:
        """`score_samples` less `offset_`, (n,): below 0 is an anomaly."""
        return self.score_samples(X) - self.offset_

    def predict(self, X) -> np.ndarray:
        """-1 for an anomaly and 1 for a normal row, (n,), as all of scikit-learn's do."""
        return np.where(self.decision_function(X) < 0, -1, 1)

    def score_frame(self, X):
        """A DataFrame with the rows' index: `score` (higher is more anomalous), `p_value` and
        `is_anomaly`; see `AnomalyDetector.p_value`."""
        found = -self.score_samples(X)
        columns = {
            "score": found,
            "p_value": self.calibration_.p_values(found[:, None]),
            "is_anomaly": self.calibration_.flag(found[:, None]),
        }
        return pandas().DataFrame(columns, index=getattr(X, "index", None))

    def explain(self, X):
        """Which columns made the score of each row: a DataFrame (n, columns) of shares.

        The columns are those of X before encoding, and the index is that of X. A row's shares sum
        to 1: see `explanations.shares`. What they say of two rows is to be compared within a row.
        """
        rows, sources = self._rows(X), self._sources()
        found = explanations.shares(self._strangeness, rows, self.usual_, sources)
        found = pandas().DataFrame(found, getattr(X, "index", None), list(dict.fromkeys(sources)))
        return found if self.encoder_ is None else found[list(self.encoder_.feature_names_in_)]

    def evaluate(self, X, is_anomaly=None, resamples: int = 200, seed: int = 0) -> Evaluation:
        """Figures on labelled rows, or on a `data.Labelled`: see `AnomalyDetector.evaluate`."""
        if isinstance(X, Labelled):
            X, is_anomaly = X.items, X.is_anomaly if is_anomaly is None else is_anomaly
        found = -self.score_samples(X)[:, None]
        return evaluate(found, is_anomaly, self.calibration_.flag, resamples, seed)

    def save(self, path: str | Path) -> None:
        """Write all of it to one file, without a pickle: see `AnomalyDetector.save`."""
        check_is_fitted(self)
        check_path(path)
        archive.write(path, storage.content(self))

    @classmethod
    def load(cls, path: str | Path) -> VAEDetector:
        """The estimator that `save` wrote. Raises a ValueError for any other file."""
        check_path(path)
        return storage.load(cls, path)

    def _set_threshold(self, calibration: Calibration) -> None:
        self.calibration_ = calibration
        self.offset_ = -float(calibration.thresholds[0])

    def _sources(self) -> np.ndarray:
        """The column of X that each encoded one comes from."""
        if self.encoder_ is not None:
            return self.encoder_.sources_
        names = [f"x{i}" for i in range(self.n_features_in_)]
        return np.array(getattr(self, "feature_names_in_", names), dtype=object)

    def _rows(self, X) -> np.ndarray:
        check_is_fitted(self)
        return _encoded(self.encoder_, self._validated(X, self.encoder_ is not None))

    def _validated(self, X, as_frame: bool, reset: bool = False):
        """X as scikit-learn checks it: a DataFrame where that is wanted, or else an array."""
        least = FEWEST if reset else 1
        if not (as_frame and is_frame(X)):
            kinds = ("float64", "float32")
            X = validate_data(self, X, reset=reset, dtype=kinds, ensure_min_samples=least)
            names = getattr(self, "feature_names_in_", None)
            return pandas().DataFrame(X, columns=names) if as_frame else X
        names_of(X, "X")  # each there once
        if len(X) < least:
            found = f"X has {len(X)} sample(s) (shape {X.shape})"
            raise ValueError(f"{found}; expected {least} or more")
        return validate_data(self, X, reset=reset, skip_check_array=True)

    def _strangeness(self, rows: np.ndarray) -> np.ndarray:
        """Scores (n,) of encoded rows, higher is more anomalous."""
        starts, found = range(0, len(rows), BLOCK), []
        shown = keras.utils.Progbar(len(starts)) if self.verbose and len(starts) > 1 else None
        for i, start in enumerate(starts):
            parts = [detector.score(rows[start : start + BLOCK]) for detector in self.detectors_]
            if scores.get(self.anomaly_score).positive:
                parts = [np.log(part + LEAST) for part in parts]
            found.append(np.mean(parts, axis=0))
            if shown:
                shown.update(i + 1)
        return np.concatenate(found)

    def _method(self, n: int, rate: float) -> str:
        """That of the threshold by n rows, and a warning if they are too few for a promise."""
        try:
            conformal(np.zeros(n), rate)
        except ValueError as error:
            told = f"{error}: the threshold is a quantile, which promises nothing"
            warnings.warn(told, UserWarning, stacklevel=3)
            return "quantile"
        return "conformal"

    def _check_arguments(self) -> None:
        for name in ("n_models", "latent_dim"):
            check_count(name, getattr(self, name))
        for name in ("epochs", "batch_size"):
            if getattr(self, name) is not None:
                check_count(name, getattr(self, name))
        for name, most in (("false_alarm_rate", 1), ("learning_rate", math.inf)):
            _check_positive(name, getattr(self, name), most)
        if self.random_state is not None and not isinstance(
            self.random_state, np.random.RandomState
        ):
            check_seed("random_state", self.random_state)
        known, name = tuple(scores.SCORES), self.anomaly_score
        if not isinstance(name, str) or name not in known:
            raise ValueError(f"anomaly_score is {name!r}; expected one of {known}")


def _check_positive(name: str, value: object, most: float) -> None:
    if not (is_real(value) and 0 < value < most):
        raise ValueError(f"{name} is {value!r}; expected a number between 0 and {most}")


def _encoded(encoder: TableEncoder | None, X) -> np.ndarray:
    return X if encoder is None else encoder.transform(X).to_numpy()


def _take(X, which: np.ndarray):
    return X.iloc[which] if is_frame(X) else X[which]
