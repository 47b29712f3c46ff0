"""`VAEDetector`: scikit-learn's own checks, and what a table asks for beyond them."""

from __future__ import annotations

import copy
import io
import random
import re

import joblib
import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from vae_lib import VAEDetector, data, explanations, scores, thresholds
from vae_lib.sklearn import training

QUICK = {"epochs": 1, "hidden": (4,), "latent_dim": 2, "early_stopping": False}


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


def rows(n: int = 200, seed: int = 0) -> pd.DataFrame:
    """Rows whose income follows from age, with a colour for the young and one for the old."""
    rng = np.random.RandomState(seed)
    z = rng.randn(n)
    found = {
        "age": 40 + 10 * z,
        "income": 2000 + 500 * z + 30 * rng.randn(n),
        "colour": np.where(z > 0, "red", "blue"),
        "noise": rng.randn(n),
    }
    found = pd.DataFrame(found, index=[f"row {i}" for i in range(n)])
    found.loc[found.index[::9], "noise"] = np.nan
    return found


@pytest.fixture(scope="module")
def detector() -> VAEDetector:
    """Two models of 200 rows."""
    return VAEDetector(n_models=2, epochs=20, hidden=(16,), latent_dim=4).fit(rows())


@pytest.fixture
def strange() -> pd.DataFrame:
    """Three rows that are usual but for one cell each."""
    found = rows(4, seed=1)
    found.loc["row 0", "income"] = 5000.0
    found.loc["row 1", "colour"] = "green"
    found.loc["row 2", "age"] = np.nan
    return found.iloc[:3]


def test_strange_rows_are_found_and_explained_by_name(detector, strange):
    assert list(detector.predict(strange)) == [-1, -1, -1]
    assert detector.score_samples(strange).max() < detector.score_samples(rows()).mean()
    shares = detector.explain(strange)
    assert list(shares) == list(rows()) and list(shares.index) == list(strange.index)
    assert list(shares.idxmax(axis=1)) == ["income", "colour", "age"]
    np.testing.assert_allclose(shares.sum(axis=1), 1)


def test_a_frame_of_scores_agrees_with_the_arrays(detector, strange):
    new = pd.concat([strange, rows(30, seed=2)])
    found = detector.score_frame(new)
    assert list(found.index) == list(new.index)
    np.testing.assert_array_equal(found["score"], -detector.score_samples(new))
    np.testing.assert_array_equal(found["is_anomaly"], detector.predict(new) == -1)
    np.testing.assert_array_equal(found["is_anomaly"], found["p_value"] <= 0.05)
    decision = detector.decision_function(new)
    np.testing.assert_array_equal(decision, detector.score_samples(new) - detector.offset_)


def test_the_score_is_the_mean_logarithm_over_the_models(detector):
    encoded = detector.encoder_.transform(rows()).to_numpy()
    logs = [np.log(one.score(encoded)) for one in detector.detectors_]
    assert not np.allclose(*logs)
    np.testing.assert_allclose(detector.score_samples(rows()), -np.mean(logs, axis=0), rtol=1e-6)


def test_false_alarms_are_as_rare_as_asked(detector):
    alarms = np.mean(detector.predict(rows(2000, seed=3)) == -1)
    assert 0.01 < alarms < 0.15  # by the threshold of 40 rows


def test_the_threshold_may_come_from_rows_of_your_own(detector):
    split = data.split(rows(400), calibration=0.2, validation=0.2)
    found = VAEDetector(**QUICK).fit(split.train, calibration=split.calibration)
    assert len(found.calibration_.scores) == len(split.calibration)
    assert found.encoder_.n_rows_ == len(split.train)


def test_a_new_threshold_keeps_the_models(detector, tmp_path):
    new, other = copy.deepcopy(detector), rows(100, seed=7)
    before = new.score_samples(other)
    new.calibrate(other, 0.1)
    np.testing.assert_array_equal(new.score_samples(other), before)
    assert -new.offset_ == pytest.approx(thresholds.conformal(-before, 0.1))
    new.save(tmp_path / "new.detector")
    again = VAEDetector.load(tmp_path / "new.detector")
    assert again.false_alarm_rate == 0.1 and again.offset_ == pytest.approx(new.offset_)
    offset = new.offset_
    with pytest.raises(ValueError, match="feature names"):
        new.calibrate(other[["age"]])
    for rate in (0, 1.0, -0.1, np.nan, "0.1", True):
        with pytest.raises(ValueError, match=re.escape(f"false_alarm_rate is {rate!r}; expected")):
            new.calibrate(other, rate)
    assert (new.offset_, new.false_alarm_rate) == (offset, 0.1)
    with pytest.warns(UserWarning, match="promises nothing"):
        new.calibrate(other[:15], 0.01)


def test_evaluate_is_scikit_learns(detector):
    new = pd.concat([rows(50, seed=4), rows(20, seed=5).assign(income=2000.0)])
    truth = np.arange(70) >= 50
    found = detector.evaluate(data.Labelled(new, truth, truth.astype(int)))
    area = roc_auc_score(truth, -detector.score_samples(new))
    assert found.auroc.value == pytest.approx(area)
    assert found.false_alarm_rate.value == np.mean(detector.predict(new[~truth]) == -1)


def test_saved_pickled_and_copied_it_says_the_same(detector, strange, tmp_path):
    detector.save(tmp_path / "a.detector")
    file = io.BytesIO()
    joblib.dump(detector, file)
    file.seek(0)
    for again in (
        VAEDetector.load(tmp_path / "a.detector"),
        joblib.load(file),
        copy.deepcopy(detector),
    ):
        np.testing.assert_array_equal(again.score_samples(strange), detector.score_samples(strange))
        np.testing.assert_array_equal(again.predict(strange), detector.predict(strange))
        pd.testing.assert_frame_equal(again.explain(strange), detector.explain(strange))
        assert again.get_params() == detector.get_params()
    with pytest.raises(ValueError, match=r"feature names"):
        VAEDetector.load(tmp_path / "a.detector").predict(strange[["age"]])


def test_of_an_array_it_is_saved_too(tmp_path):
    x = np.random.RandomState(0).randn(60, 3).astype("float32")
    found = VAEDetector(**QUICK, random_state=np.random.RandomState(3)).fit(x)
    found.save(tmp_path / "a.detector")
    again = VAEDetector.load(tmp_path / "a.detector")
    np.testing.assert_array_equal(again.predict(x), found.predict(x))
    assert list(again.explain(x)) == ["x0", "x1", "x2"] and not hasattr(again, "feature_names_in_")


@pytest.mark.parametrize("content", [b"", b"no archive", None])
def test_a_file_that_is_none_of_its_own(detector, tmp_path, complains, content):
    path = tmp_path / "a.detector"
    if content is None:
        detector.detectors_[0].save(path)
    else:
        path.write_bytes(content)
    complains(lambda: VAEDetector.load(path), "a.detector", "expected a file that VAEDetector.save")


def test_before_fit(tmp_path):
    for call in (
        lambda one: one.predict(rows()),
        lambda one: one.explain(rows()),
        lambda one: one.save(tmp_path / "a.detector"),
    ):
        with pytest.raises(NotFittedError):
            call(VAEDetector())


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


def test_a_pipeline_of_frames(strange):
    pipeline = make_pipeline(FunctionTransformer(), clone(VAEDetector(**QUICK))).fit(rows())
    assert pipeline.predict(strange)[1] == -1


def test_columns_in_another_order_are_refused_as_by_scikit_learn(detector, strange):
    with pytest.raises(ValueError, match="same order"):
        detector.predict(strange[list(strange)[::-1]])


def test_few_rows_are_told(strange):
    with pytest.warns(UserWarning, match=r"scores has 4 values; expected 19 or more .* quantile"):
        VAEDetector(**QUICK).fit(rows(20))


def test_seeds_of_python_and_numpy_are_left_alone():
    random.seed(3)
    np.random.seed(3)
    expected = random.random(), np.random.rand()
    random.seed(3)
    np.random.seed(3)
    VAEDetector(**QUICK).fit(rows())
    assert (random.random(), np.random.rand()) == expected


def test_training_stops_when_held_out_rows_fare_no_better(monkeypatch):
    seen = []
    fit = training.VAE.fit
    monkeypatch.setattr(training.VAE, "fit", lambda *a, **k: seen.append(fit(*a, **k)))
    table = np.random.RandomState(0).randn(40, 2).astype("float32")
    settings = VAEDetector(epochs=200, hidden=(16,), latent_dim=2, learning_rate=0.05)
    training.train_vae(table, 0, settings)
    training.train_vae(table, 0, settings.set_params(epochs=3, early_stopping=False))
    assert 25 <= len(seen[0].epoch) < 200 and len(seen[1].epoch) == 3


def test_progress_is_shown_only_if_asked_for(capsys, monkeypatch):
    VAEDetector(**QUICK).fit(rows())
    assert not capsys.readouterr().out
    monkeypatch.setattr("vae_lib.sklearn.estimator.BLOCK", 64)
    found = VAEDetector(**QUICK, verbose=1).fit(rows())
    assert "model 1 of 1" in capsys.readouterr().out
    found.predict(rows())
    assert "4/4" in capsys.readouterr().out


# Explanations


def test_usual_values_are_those_of_rows_and_stay_together():
    table = np.column_stack([np.arange(50.0)[::-1], np.arange(50) < 40, np.arange(50) >= 40])
    usual = explanations.usual_values(table, ["a", "b", "b"])
    np.testing.assert_array_equal(usual[:, 0], [5, 15, 25, 35, 45])
    np.testing.assert_array_equal(usual[:, 1:].sum(axis=1), 1)  # one category each
    assert usual[:, 1].sum() == 4  # four rows in five have it


def test_shares_of_a_score_whose_parts_are_known():
    usual = np.zeros((2, 4))
    table = np.array([[3.0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 1, 2]])
    found = explanations.shares(lambda x: (x**2).sum(axis=1), table, usual, list("abcc"))
    np.testing.assert_allclose(found, [[0.9, 0.1, 0], [0, 0, 0], [0, 0, 1]])


def test_every_score_of_tables_can_be_chosen():
    for name in ("elbo", "likelihood", "reconstruction"):
        found = VAEDetector(**QUICK, anomaly_score=name).fit(rows())
        encoded = found.encoder_.transform(rows()).to_numpy()
        expected = found.detectors_[0].score(encoded)
        expected = np.log(expected + 1e-9) if scores.get(name).positive else expected
        np.testing.assert_allclose(found.score_samples(rows()), -expected, rtol=1e-6)
    assert isinstance(found.detectors_[0].model, keras.Model)
