"""`AnomalyDetector.fit`: the same words for a table, a series and pictures."""

from __future__ import annotations

import copy
import random

import keras
import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.metrics import roc_auc_score
from tables_for_tests import QUICK, rows, strange_rows

from vae_lib import VAE, AnomalyDetector, Stream, data, explanations, scores, series, thresholds
from vae_lib.detector.recipe import LOOKS, PATIENCE, Recipe


@pytest.fixture(scope="module")
def detector() -> AnomalyDetector:
    """Two models of 200 rows."""
    return AnomalyDetector(n_models=2, epochs=20, hidden=(16,), latent_dim=4).fit(rows())


def waves(n: int = 600, seed: int = 0) -> pd.DataFrame:
    """Two channels, the second one the first a little later."""
    x = np.arange(n + 3) / 4
    noise = 0.1 * np.random.RandomState(seed).randn(n, 2)
    times = pd.date_range("2024-01-01", periods=n, freq="min")
    return pd.DataFrame(np.stack([np.sin(x[3:]), np.sin(x[:-3])], 1) + noise, times, ["a", "b"])


@pytest.fixture(scope="module")
def of_waves() -> AnomalyDetector:
    """Of windows of 16 points."""
    values = series.windows(waves().to_numpy(), 16, 2).values
    split = data.Split(values[:200], values[200:], None, None, None, None)
    return AnomalyDetector(epochs=30, hidden=(16,), latent_dim=4).fit(split)


# Tables


def test_strange_rows_are_found_and_explained_by_name(detector):
    assert detector.is_anomaly(strange_rows()).all()
    shares = detector.explain(strange_rows())
    assert list(shares) == list(rows()) and list(shares.index) == list(strange_rows().index)
    assert list(shares.idxmax(axis=1)) == ["income", "colour", "age"]
    np.testing.assert_allclose(shares.sum(axis=1), 1)


def test_a_frame_is_judged_by_its_names_and_index(detector):
    new = pd.concat([strange_rows(), rows(30, seed=2)])
    found = detector.judge(new)
    assert list(found.index) == list(new.index)
    np.testing.assert_array_equal(found["score"], detector.score(new))
    np.testing.assert_array_equal(found["p_value"], detector.p_value(new))
    np.testing.assert_array_equal(found["is_anomaly"], detector.is_anomaly(new))
    np.testing.assert_array_equal(found["is_anomaly"], found["p_value"] <= 0.05)
    moved = new[list(new)[::-1]]
    pd.testing.assert_frame_equal(detector.judge(moved), found)
    pd.testing.assert_frame_equal(detector.explain(moved[:3]), detector.explain(new[:3]))
    np.testing.assert_array_equal(Stream(detector, "fixed").push(moved).scores, found["score"])


def test_the_score_of_several_models_is_their_geometric_mean(detector):
    encoded = detector.encode(rows())
    parts = [score(model, encoded) for model, score in detector._now.views]
    assert not np.allclose(*parts)
    expected = np.exp(np.log(np.array(parts) + 1e-9).mean(axis=0))
    np.testing.assert_allclose(detector.score(rows()), expected, rtol=1e-6)
    one = AnomalyDetector(**QUICK, score="elbo", n_models=2).fit(rows())  # may be below 0
    parts = [score(model, one.encode(rows())) for model, score in one._now.views]
    np.testing.assert_allclose(one.score(rows()), np.mean(parts, axis=0), rtol=1e-6)


def test_false_alarms_are_as_rare_as_asked(detector):
    alarms = detector.is_anomaly(rows(2000, seed=3)).mean()
    assert 0.01 < alarms < 0.15  # by the threshold of 40 rows


def test_another_threshold_keeps_the_models(detector, complains):
    new, other = copy.deepcopy(detector), rows(100, seed=7)
    before = new.score(other)
    new.calibrate(other, 0.1)
    np.testing.assert_array_equal(new.score(other), before)
    assert new.false_alarm_rate == 0.1
    assert new.threshold == pytest.approx(thresholds.conformal(before, 0.1))
    threshold = new.threshold
    complains(lambda: new.calibrate(other[["age"]]), "lacks the columns", "'income'")
    complains(lambda: new.calibrate(other[:15], 0.01), "15", "99")
    for rate in (0, 1.0, -0.1, np.nan, "0.1", True):
        complains(lambda rate=rate: new.calibrate(other, rate), f"false_alarm_rate is {rate!r}")
    assert (new.threshold, new.false_alarm_rate) == (threshold, 0.1)


def test_another_threshold_keeps_what_is_usual_in_training(detector, tmp_path):
    new, few = copy.deepcopy(detector), rows(40, seed=7).assign(income=9000.0)
    new.calibrate(few, 0.1)
    pd.testing.assert_frame_equal(new.explain(strange_rows()), detector.explain(strange_rows()))
    new.save(tmp_path / "a.detector")
    again = AnomalyDetector.load(tmp_path / "a.detector").calibrate(few, 0.1)
    pd.testing.assert_frame_equal(again.explain(strange_rows()), detector.explain(strange_rows()))
    new.calibrate(few, 0.1, training=few)  # unless other rows are given for it
    assert not new.explain(strange_rows()).equals(detector.explain(strange_rows()))


def test_figures_are_those_of_the_scores(detector):
    new = pd.concat([rows(50, seed=4), rows(20, seed=5).assign(income=2000.0)])
    truth = np.arange(70) >= 50
    found = detector.evaluate(data.Labelled(new, truth, truth.astype(int)))
    assert found.auroc.value == pytest.approx(roc_auc_score(truth, detector.score(new)))
    assert found.false_alarm_rate.value == detector.is_anomaly(new[~truth]).mean()


def test_saved_and_copied_it_says_the_same(detector, tmp_path):
    detector.save(tmp_path / "a.detector")
    for again in (AnomalyDetector.load(tmp_path / "a.detector"), copy.deepcopy(detector)):
        pd.testing.assert_frame_equal(again.judge(strange_rows()), detector.judge(strange_rows()))
        pd.testing.assert_frame_equal(
            again.explain(strange_rows()), detector.explain(strange_rows())
        )
        assert again.columns == tuple(rows()) and again.score_name == "joint"
    assert again.fit(rows()).model is not detector.model  # its recipe is kept, too


def test_an_array_has_no_names(tmp_path, complains, detector):
    x = np.random.RandomState(0).randn(60, 3).astype("float32")
    found = AnomalyDetector(**QUICK).fit(x)
    found.save(tmp_path / "a.detector")
    again = AnomalyDetector.load(tmp_path / "a.detector")
    np.testing.assert_array_equal(again.is_anomaly(x), found.is_anomaly(x))
    assert again.explain(x).shape == (60, 3) and again.columns is None
    assert again.judge(x)._fields == ("score", "p_value", "is_anomaly")
    complains(lambda: detector.score(x), "without names", "a DataFrame with the columns 'age'")


def test_every_score_of_tables_can_be_chosen():
    for name in ("elbo", "likelihood", "reconstruction"):
        found = AnomalyDetector(score=name, **QUICK).fit(rows())
        expected = scores.get(name)(found.model, found.encode(rows()))
        np.testing.assert_allclose(found.score(rows()), expected, rtol=1e-6)
        assert found.score_name == name and found.score_choice is None


# Windows and pictures


def test_points_of_a_frame_are_judged_by_the_window_that_ends_with_them(of_waves):
    frame = waves(60, seed=1)
    found = of_waves.judge(frame)
    assert found.index.equals(frame.index) and found["score"].isna().sum() == 15
    assert not found["is_anomaly"][:15].any() and found["is_anomaly"].dtype == bool
    expected = of_waves.score(series.windows(frame.to_numpy(), 16).values)
    np.testing.assert_array_equal(found["score"][15:], expected)
    shares = of_waves.explain(frame.assign(b=0.0))
    assert list(shares) == ["a", "b"] and shares.index.equals(frame.index)
    assert shares["b"].mean() > 1.5 * shares["a"].mean()


def test_pictures_and_the_score_that_auto_chose(complains):
    x = np.random.RandomState(0).rand(80, 8, 8, 1).astype("float32")
    found = AnomalyDetector(epochs=1, hidden=(8,), latent_dim=2, false_alarm_rate=0.1).fit(x)
    assert found.score_name in {"relative", "neighbours", "fusion", "typicality"}
    assert found.score_name in found.score_choice and found.form().data_shape == (8, 8, 1)
    assert found.explain(x[:3]).shape == (3, 8, 8, 1)
    complains(lambda: found.score(x[:, :4]), "items has shape (80, 4, 8, 1)")
    two = AnomalyDetector(epochs=1, hidden=(8,), latent_dim=2, n_models=2).fit(x)
    assert two.score_name == "fusion"
    np.testing.assert_allclose(two.explain(x).sum(axis=(1, 2, 3)), two.score(x), rtol=1e-5)


def test_several_models_become_one_graph(detector, of_waves, tmp_path):
    import tensorflow as tf

    for name, one, items in (
        ("rows", detector, rows(20)),
        ("windows", of_waves, series.windows(waves(60).to_numpy(), 16).values),
    ):
        one.export(tmp_path / name)
        graph = tf.saved_model.load(str(tmp_path / name))
        found = graph.serve(one.encode(items))
        np.testing.assert_allclose(found["score"], one.score(items), rtol=1e-4)
        np.testing.assert_array_equal(found["is_anomaly"], one.is_anomaly(items))


# Training


def test_few_rows_warn_and_fewer_are_refused(complains):
    with pytest.warns(UserWarning, match=r"scores has 4 values; expected 19 or more .* quantile"):
        found = AnomalyDetector(**QUICK).fit(rows(20))
    assert found.method == "quantile"
    complains(lambda: AnomalyDetector().fit(rows(7)), "items has 7", "expected 8 or more")


def test_what_fit_is_not_for(complains, tmp_path):
    vae = VAE(2, "gaussian", (3,), "dense", (4,), standardise=True)
    complains(lambda: AnomalyDetector(vae).fit(rows()), "model is given", "calibrate")
    complains(lambda: AnomalyDetector().calibrate(rows()), "model is None", "fit")
    x = np.random.RandomState(0).randn(60, 3)
    x[:, 1] += 1.7e9
    complains(lambda: AnomalyDetector().fit(x), "column 1", "differ by little", "float32")
    for call in ("score", "judge", "explain", "is_anomaly", "evaluate"):
        with pytest.raises(NotFittedError, match="call fit first"):
            getattr(AnomalyDetector(), call)(rows())
    with pytest.raises(NotFittedError, match="call fit first"):
        AnomalyDetector().save(tmp_path / "a.detector")
    trained = AnomalyDetector(**QUICK).fit(rows())
    before = trained.threshold
    complains(lambda: trained.fit(rows().assign(age=np.inf)), "infinite")
    assert trained.threshold == before


def test_seeds_of_python_and_numpy_are_left_alone():
    random.seed(3)
    np.random.seed(3)
    expected = random.random(), np.random.rand()
    random.seed(3)
    np.random.seed(3)
    AnomalyDetector(**QUICK).fit(rows())
    assert (random.random(), np.random.rand()) == expected


def test_training_stops_when_held_out_rows_fare_no_better(monkeypatch):
    seen = []
    fit = VAE.fit
    monkeypatch.setattr(VAE, "fit", lambda *a, **k: seen.append(fit(*a, **k)))
    table = np.random.RandomState(0).randn(40, 2).astype("float32")
    sizes = {"hidden": (16,), "latent_dim": 2, "learning_rate": 0.05}
    Recipe(epochs=200, **sizes).train(table, 0)
    Recipe(epochs=3, early_stopping=False, **sizes).train(table, 0)
    assert PATIENCE < len(seen[0].epoch) < LOOKS and len(seen[1].epoch) == 6  # steps


def test_progress_is_shown_only_if_asked_for(capsys):
    AnomalyDetector(**QUICK).fit(rows())
    assert not capsys.readouterr().out
    found = AnomalyDetector(**QUICK, verbose=1).fit(rows())
    assert "model 1 of 1" in capsys.readouterr().out
    assert isinstance(found.model, keras.Model)


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
