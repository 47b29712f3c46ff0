"""scikit-learn's conventions, and nothing else: -1 for an anomaly, and higher for more normal."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from .checks import check_seed
from .detector import AnomalyDetector
from .detector.recipe import FEWEST
from .frames import is_frame, names_of, pandas


class VAEDetector(OutlierMixin, BaseEstimator):
    """An `AnomalyDetector` of a table as a scikit-learn estimator: for pipelines and searches.

    It takes the place of an `IsolationForest` by one line. Rows come as a DataFrame, with
    categories and missing values, or as an array of finite numbers. What scikit-learn has no word
    for (p-values, explanations, intervals, files, streams) is that of `detector_`.

    Args:
        anomaly_score: `score` there, a word that scikit-learn has for something else.
        random_state: `seed` there: a whole number, a RandomState, or None for another each time.

    The other arguments are those of `AnomalyDetector`. `false_alarm_rate` is not PyOD's
    `contamination`, the share of the training rows that will be flagged.

    Attributes (after `fit`):
        ``detector_``: the `AnomalyDetector`.
        ``offset_``: what `decision_function` subtracts from `score_samples`.
        ``n_features_in_``, ``feature_names_in_``: as in scikit-learn; names only of a DataFrame.

    Raises a ValueError for arguments out of range, and for rows as scikit-learn and
    `data.TableEncoder` do: columns must come in the order of `fit`.
    """

    def __init__(
        self,
        false_alarm_rate: float = 0.05,
        n_models: int = 1,
        anomaly_score: str | None = None,
        latent_dim: int = 16,
        hidden: Sequence[int] | None = None,
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
        """Train on normal rows (n, features), and set the threshold; see `AnomalyDetector.fit`.

        y is not looked at, as in scikit-learn: take known anomalies out of X before.
        """
        arguments = self.get_params(deep=False)
        seed = arguments.pop("random_state")
        if seed is None or isinstance(seed, np.random.RandomState):
            seed = int(check_random_state(seed).randint(2**31))
        check_seed("random_state", seed)
        detector = AnomalyDetector(score=arguments.pop("anomaly_score"), seed=seed, **arguments)
        X = self._validated(X, reset=True)
        if calibration is not None and is_frame(calibration):
            calibration = validate_data(self, calibration, reset=False, skip_check_array=True)
        self.detector_ = detector.fit(X, calibration)
        self.offset_ = -self.detector_.threshold
        return self

    def score_samples(self, X) -> np.ndarray:
        """How normal each row is, (n,): the anomaly score with the other sign."""
        check_is_fitted(self)
        return -self.detector_.score(self._validated(X))

    def decision_function(self, X) -> np.ndarray:
        """`score_samples` less `offset_`, (n,): below 0 is an anomaly."""
        return self.score_samples(X) - self.offset_

    def predict(self, X) -> np.ndarray:
        """-1 for an anomaly and 1 for a normal row, (n,), as all of scikit-learn's do."""
        return np.where(self.decision_function(X) < 0, -1, 1)

    def _validated(self, X, reset: bool = False):
        """X as scikit-learn checks it: a DataFrame where `fit` had one, or else an array."""
        least = FEWEST if reset else 1
        names = None if reset else self.detector_.columns
        if not is_frame(X) or (names is None and not reset):
            kinds = ("float64", "float32")
            X = validate_data(self, X, reset=reset, dtype=kinds, ensure_min_samples=least)
            return X if names is None else pandas().DataFrame(X, columns=names)
        names_of(X, "X")  # each there once
        if len(X) < least:
            problem = f"X has {len(X)} sample(s) (shape {X.shape})"
            raise ValueError(f"{problem}; expected {least} or more")
        return validate_data(self, X, reset=reset, skip_check_array=True)
