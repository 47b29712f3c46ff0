"""`VAEDetector`: scikit-learn's own checks, and that it says what the detector within says."""

from __future__ import annotations

import copy
import io
import re

import joblib
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks
from tables_for_tests import QUICK, rows, strange_rows

from vae_lib import AnomalyDetector, VAEDetector


@pytest.fixture
def eager():
    """Steps that are not compiled: of a dozen rows, that takes longer than to run them."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.mark.filterwarnings("ignore:scores has")  # a dozen rows are too few for a promise
@parametrize_with_checks([VAEDetector(**QUICK)])
def test_scikit_learn_checks(estimator, check, eager):
    check(estimator)


@pytest.fixture(scope="module")
def estimator() -> VAEDetector:
    return VAEDetector(n_models=2, epochs=20, hidden=(16,), latent_dim=4).fit(rows())


def test_it_says_what_its_detector_says_with_the_other_sign(estimator):
    new = pd.concat([strange_rows(), rows(30, seed=2)])
    verdicts = estimator.detector_.judge(new)
    np.testing.assert_array_equal(estimator.score_samples(new), -verdicts["score"])
    np.testing.assert_array_equal(estimator.predict(new) == -1, verdicts["is_anomaly"])
    decision = estimator.decision_function(new)
    np.testing.assert_array_equal(decision, estimator.score_samples(new) - estimator.offset_)
    assert list(estimator.predict(strange_rows())) == [-1, -1, -1]


def test_it_is_the_detector_of_the_same_arguments(estimator):
    same = AnomalyDetector(n_models=2, epochs=20, hidden=(16,), latent_dim=4).fit(rows())
    np.testing.assert_allclose(same.score(rows(9)), -estimator.score_samples(rows(9)), rtol=1e-3)


def test_the_threshold_may_come_from_rows_of_your_own():
    found = VAEDetector(**QUICK).fit(rows(100), calibration=rows(60, seed=5))
    assert len(found.detector_.calibration_scores) == 60
    again = VAEDetector(**QUICK, random_state=np.random.RandomState(3)).fit(
        rows().to_numpy()[:, :2]
    )
    assert not hasattr(again, "feature_names_in_")


def test_pickled_and_copied_it_says_the_same(estimator):
    file = io.BytesIO()
    joblib.dump(estimator, file)
    file.seek(0)
    for again in (joblib.load(file), copy.deepcopy(estimator)):
        np.testing.assert_array_equal(again.predict(rows(9)), estimator.predict(rows(9)))
        assert again.get_params() == estimator.get_params()


def test_before_fit_and_columns_in_another_order(estimator):
    with pytest.raises(NotFittedError):
        VAEDetector().predict(rows())
    with pytest.raises(ValueError, match="same order"):
        estimator.predict(rows(9)[list(rows(9))[::-1]])


def test_in_a_pipeline_and_a_search():
    x = np.random.RandomState(0).randn(120, 3)
    x[:, 1] = x[:, 0]
    truth = np.where(np.arange(120) % 6 == 0, -1, 1)
    x[truth == -1, 1] += 5
    pipeline = make_pipeline(StandardScaler(), VAEDetector(**QUICK))
    grid = {"vaedetector__latent_dim": [1, 2]}
    search = GridSearchCV(pipeline, grid, scoring="roc_auc", cv=2, error_score="raise")
    search.fit(x, truth)
    assert search.best_score_ > 0.6 and set(search.predict(x)) <= {-1, 1}


def test_a_pipeline_of_frames():
    pipeline = make_pipeline(FunctionTransformer(), clone(VAEDetector(**QUICK))).fit(rows())
    assert pipeline.predict(strange_rows())[1] == -1


def test_rates_outside_zero_to_one():
    for rate in (0, 1.0, -0.1, np.nan, "0.1", True):
        with pytest.raises(ValueError, match=re.escape(f"false_alarm_rate is {rate!r}; expected")):
            VAEDetector(false_alarm_rate=rate).fit(rows())
