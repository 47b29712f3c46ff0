"""Scores against their definitions in NumPy, and their promise: one image, one score."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops
from scipy import linalg, ndimage, special, stats
from sklearn.covariance import LedoitWolf
from sklearn.metrics import roc_auc_score
from sklearn.metrics.pairwise import cosine_similarity
from sklearn.neighbors import NearestNeighbors

from vae_lib import VAE, Gaussian, MixtureVAE, losses, scores

ALL = tuple(scores.SCORES)
MAPS = tuple(name for name, score in scores.SCORES.items() if score.has_map)


@pytest.fixture
def many() -> np.ndarray:
    """Forty-five grey images: two blocks and a part of a third."""
    return np.random.RandomState(3).rand(45, 4, 4, 1).astype("float32")


@pytest.fixture
def trained(make_vae, many):
    """A model that has seen something, so that scores differ."""
    vae = make_vae(likelihood=Gaussian(0.3), graph=True)
    vae.fit(many, epochs=3, verbose=0)
    return vae


def value(name: str, vae, images: np.ndarray) -> np.ndarray:
    return scores.get(name).fit(vae, images)(vae, images)


# What all promise


def test_the_reference_page_has_every_score_with_its_arguments():
    lines = (Path(__file__).parents[2] / "api" / "scores.md").read_text("utf-8").splitlines()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line[:3] == '| "']
    expected = []
    for name in ALL:
        score = scores.get(name)
        arguments = ", ".join(f"`{key}={value!r}`" for key, value in score.arguments().items())
        expected.append([f'"{name}"', arguments, "yes" * bool(score.learned), score.has_map])
    assert [[row[0], row[2], row[3], row[4] == "yes"] for row in rows] == expected


def test_arguments_are_for_a_name(complains):
    score = scores.get("neighbours", k=3)
    assert score.arguments() == {"k": 3} and scores.get(score) is score
    complains(lambda: scores.get(score, k=4), "score is", "expected one of ('reconstruction'")
    complains(lambda: scores.get("probability", draws=0), "draws is 0")


@pytest.mark.parametrize("name", ALL)
def test_one_finite_score_an_image_whatever_its_company_order_or_call(trained, many, name):
    score = scores.get(name).fit(trained, many)
    found = score(trained, many)
    assert found.shape == (45,) and found.dtype == "float64"
    assert np.isfinite(found).all() and found.std() > 0
    order = np.random.RandomState(0).permutation(45)
    np.testing.assert_array_equal(score(trained, many[order]), found[order])
    np.testing.assert_array_equal(score(trained, many[7:8]), found[7:8])
    np.testing.assert_array_equal(score(trained, many), found)


@pytest.mark.parametrize("name", MAPS)
def test_the_pixels_shares_sum_to_the_score(trained, many, name):
    score = scores.get(name).fit(trained, many)
    shares = score.map(trained, many)
    assert shares.shape == many.shape
    np.testing.assert_allclose(shares.sum((1, 2, 3)), score(trained, many), rtol=1e-4)


@pytest.mark.parametrize("name", ALL)
def test_further_training_changes_the_score(trained, many, name, complains):
    score = scores.get(name).fit(trained, many)
    before = score(trained, many)
    trained.fit(many, epochs=2, verbose=0)
    if score.learned:
        complains(lambda: score(trained, many), name, "other weights", "call fit again")
        score.fit(trained, many)
    assert not np.array_equal(score(trained, many), before)


def test_two_models_share_one_score_object(make_vae, many):
    score, first, second = scores.SquaredError(), make_vae(), make_vae()
    expected = [scores.SquaredError()(model, many) for model in (first, second)]
    np.testing.assert_array_equal(score(first, many), expected[0])
    np.testing.assert_array_equal(score(second, many), expected[1])
    assert not np.array_equal(*expected)


# Each against its definition


def test_squared_error(trained, many):
    error = many - trained.predict(many, verbose=0)
    np.testing.assert_allclose(
        value("reconstruction", trained, many), (error**2).sum((1, 2, 3)), 1e-4
    )


@pytest.mark.parametrize("size", [1, 3])
def test_local_and_relative_error(trained, many, size):
    error = (many - trained.predict(many, verbose=0))[..., 0]
    total = ndimage.uniform_filter(error, (0, size, size), mode="constant")
    inside = ndimage.uniform_filter(np.ones_like(error), (0, size, size), mode="constant")
    expected = ((total / inside) ** 2).sum((1, 2))  # borders: the mean of the pixels there are
    np.testing.assert_allclose(scores.LocalError(size)(trained, many), expected, rtol=1e-4)
    share = expected / (many**2).sum((1, 2, 3))
    np.testing.assert_allclose(scores.RelativeError(size)(trained, many), share, rtol=1e-4)


def test_relative_error_does_not_grow_with_brightness(make_vae, many):
    vae = make_vae(likelihood="gaussian", hidden=())
    for network in (vae.encoder, vae.decoder):  # linear without constants: scales as its input
        network.set_weights([w * (w.ndim > 1) for w in network.get_weights()])
    bright, dark = (scores.RelativeError()(vae, many * factor) for factor in (1.0, 0.25))
    np.testing.assert_allclose(bright, dark, rtol=1e-3)


def test_a_black_image_has_a_finite_score(trained):
    black = np.zeros((1, 4, 4, 1), "float32")
    assert np.isfinite(scores.RelativeError()(trained, black)).all()


def test_gaussian_likelihood(trained, many):
    mean = trained.predict(many, verbose=0)
    expected = -stats.norm.logpdf(many, mean, 0.3).sum((1, 2, 3))
    np.testing.assert_allclose(value("likelihood", trained, many), expected, rtol=1e-4)
    excess = scores.get("likelihood", excess=True)(trained, many)
    np.testing.assert_allclose(excess, (((many - mean) / 0.3) ** 2 / 2).sum((1, 2, 3)), rtol=1e-3)


def test_bernoulli_excess_is_the_kl_between_coins(make_vae, many):
    vae = make_vae()
    many[0, 0, 0], many[0, 0, 1] = 0.0, 1.0  # black and white have no entropy
    mean = vae.predict(many, verbose=0).astype("float64")
    expected = special.rel_entr(many, mean) + special.rel_entr(1 - many, 1 - mean)
    found = scores.get("likelihood", excess=True)(vae, many)
    np.testing.assert_allclose(found, expected.sum((1, 2, 3)), rtol=1e-4)


def test_kl(trained, many):
    expected = losses.kl_divergence(*trained.encode(many))
    np.testing.assert_allclose(value("kl", trained, many), expected, rtol=1e-4)


def test_many_draws_agree_with_other_draws(trained, many):
    for kind, k in ((scores.SCORES["probability"], 4000), (scores.SCORES["elbo"], 4000)):
        one, other = (kind(draws=k, seed=seed)(trained, many) for seed in (1, 2))
        np.testing.assert_allclose(one, other, rtol=0.05, atol=0.3)
        assert not np.array_equal(one, other)


def test_elbo_and_bound_are_those_of_losses(trained, many):
    kl = losses.kl_divergence(*trained.encode(many))
    elbo = scores.get("elbo", draws=2000)(trained, many)
    probability = scores.get("probability", draws=2000)(trained, many)
    np.testing.assert_allclose(elbo, probability + kl, rtol=1e-4)
    bound = scores.get("bound", draws=3000)(trained, many)
    expected = -losses.importance_weighted_bound(trained, many, k=3000, chunk=500)
    np.testing.assert_allclose(bound, expected, atol=0.6)  # two estimates from few draws
    assert abs(bound.mean() - expected.numpy().mean()) < 0.05
    assert (bound <= elbo + 0.1).all() and bound.mean() < elbo.mean()


def test_latent_distance_is_scikit_learns(trained, many):
    mean = np.asarray(trained.encode(many)[0], "float64")
    expected = LedoitWolf().fit(mean).mahalanobis(mean)
    np.testing.assert_allclose(value("latent", trained, many), expected, rtol=1e-2)


@pytest.mark.parametrize("network", ["dense", "conv"])
def test_activations_of_an_image_that_is_its_own_reconstruction_do_not_differ(
    make_vae, many, network
):
    hidden = {"dense": (6, 5), "conv": (3, 2)}[network]
    vae = make_vae(network=network, hidden=hidden)
    score = scores.get("activations")
    features = np.asarray(score.features(vae, many))
    assert features.shape == (45, sum(hidden)) and np.abs(features).max() > 0.01
    vae.reconstruct = lambda x: x
    np.testing.assert_allclose(score.features(vae, many), 0, atol=2e-6)


@pytest.mark.parametrize("network", ["dense", "conv"])
def test_neighbours_are_scikit_learns(make_vae, many, network):
    vae = make_vae(network=network, hidden=(6, 5))
    score = scores.NeighbourDistance(k=2).fit(vae, many[:30])
    last = [layer for layer in vae.encoder.layers if layer.name.startswith(("dense", "conv"))][-1]
    activations = keras.Model(vae.encoder.input, last.output).predict(many, verbose=0)
    rows = np.asarray(vae.encode(many)[0]), activations.reshape(len(many), -1)
    similarity = np.mean([cosine_similarity(r[30:], r[:30]) for r in rows], axis=0)
    search = NearestNeighbors(n_neighbors=2, metric="precomputed").fit(np.zeros((30, 30)))
    expected = search.kneighbors(1 - similarity)[0].mean(axis=1)
    np.testing.assert_allclose(score(vae, many[30:]), expected, atol=1e-5)


def test_an_encoder_that_shows_no_hidden_layer_has_neighbours_by_its_codes(make_vae, many):
    vae = make_vae(hidden=())
    score = scores.NeighbourDistance(k=2).fit(vae, many[:30])
    normal, new = (np.asarray(vae.encode(part)[0]) for part in (many[:30], many[30:]))
    search = NearestNeighbors(n_neighbors=2, metric="cosine").fit(normal)
    expected = search.kneighbors(new)[0].mean(axis=1)
    np.testing.assert_allclose(score(vae, many[30:]), expected, atol=1e-5)


def test_neighbours_are_found_among_the_images_it_was_fitted_on(trained, many):
    score = scores.NeighbourDistance(k=1).fit(trained, many[:40])
    np.testing.assert_allclose(score(trained, many[:40]), 0, atol=1e-6)
    assert score(trained, many[40:]).max() > 1e-4


@pytest.mark.parametrize("seed", range(4))
def test_a_copy_of_a_normal_image_is_at_distance_zero_and_not_below(make_vae, many, seed):
    keras.utils.set_random_seed(seed)
    vae, copies = make_vae(latent_dim=1, hidden=(32,)), np.repeat(many, 6, axis=0)
    distance = scores.NeighbourDistance().fit(vae, copies)(vae, copies)
    assert distance.min() >= 0 and distance.max() < 1e-6
    assert np.isfinite(scores.Fusion(("neighbours",)).fit(vae, copies)(vae, copies)).all()


@pytest.mark.parametrize("below", [0.0, 0.5, 1.0])
def test_fusion_is_a_whitened_sum_of_squares(trained, many, below):
    parts, to_fit, held = ("local", "latent", "neighbours"), many[:25], many[25:]
    logs = lambda images: np.stack(  # noqa: E731
        [np.log(scores.get(n).fit(trained, to_fit)(trained, images)) for n in parts], axis=1
    )
    usual, found = logs(held), logs(held[::2] * 0.5)
    z = (found - usual.mean(axis=0)) / usual.std(axis=0)
    correlation = 0.9 * np.corrcoef(usual.T) + 0.1 * np.eye(3)
    deviations = z @ np.linalg.inv(linalg.sqrtm(correlation))
    expected = (np.where(deviations < 0, below, 1) * deviations) ** 2
    fusion = scores.Fusion(parts, below).fit(trained, to_fit, held)
    found = fusion(trained, held[::2] * 0.5)
    np.testing.assert_allclose(found, expected.sum(axis=1), rtol=1e-3, atol=1e-3)


def test_fusion_takes_what_suits_the_model(make_vae, trained, many, table):
    fusion = scores.Fusion()
    assert fusion.fit(trained, many).parts == scores.fusion.OF_IMAGES
    prior = MixtureVAE(3, data_shape=(4, 4, 1), network="dense", hidden=(8,))
    assert "kl" not in scores.Fusion().fit(prior, many).parts
    rows = make_vae(likelihood="gaussian", data_shape=(13,))
    assert scores.Fusion().fit(rows, table).parts == scores.fusion.OF_TABLES


def test_without_held_out_images_half_of_them_are(trained, many):
    found = scores.Fusion().fit(trained, many)(trained, many)
    expected = scores.Fusion().fit(trained, many[::2], many[1::2])(trained, many)
    np.testing.assert_array_equal(found, expected)


def test_the_map_of_a_fusion_sums_to_it(trained, many, complains):
    fusion = scores.Fusion().fit(trained, many)
    shares = fusion.map(trained, many)
    np.testing.assert_allclose(shares.sum(axis=(1, 2, 3)), fusion(trained, many), rtol=1e-4)
    blind = scores.Fusion(("kl", "latent")).fit(trained, many)
    complains(lambda: blind.map(trained, many), "no map")


def test_auto_tries_each_candidate_on_images_it_has_not_learned_from(trained, many):
    parts, held = many[:25], many[25:]
    auto = scores.Auto().fit(trained, parts, held)
    assert list(auto.table) == ["relative", "neighbours", "fusion", "typicality"]
    made = [kind(held, np.random.RandomState(0)).astype("float32") for kind in scores.pseudo.KINDS]
    for name, area in auto.table.items():
        found = np.empty((1 + len(made), len(held)))
        for fold in range(5):
            tried = np.arange(len(held)) % 5 == fold
            score = scores.get(name).fit(trained, parts, held[~tried])
            found[:, tried] = [score(trained, x[tried]) for x in (held, *made)]
        truth = np.repeat([0, 1], len(held))
        areas = [roc_auc_score(truth, [*found[0], *strange]) for strange in found[1:]]
        assert area == pytest.approx(np.mean(areas), abs=0.01)


@pytest.mark.parametrize(
    ("areas", "chosen"),
    [
        ((0.9, 0.8, 0.9, 0.8), "fusion"),
        ((0.915, 0.8, 0.9, 0.8), "fusion"),
        ((0.925, 0.8, 0.9, 0.8), "relative"),
        ((0.4, 0.6, 0.4, 0.3), "neighbours"),
        ((0.9, 0.8, 0.5, 0.95), "typicality"),
        ((1.0, 0.8, 1.0, 0.8), "fusion"),
    ],
)
def test_auto_keeps_the_fusion_unless_another_makes_clearly_fewer_mistakes(
    trained, many, areas, chosen
):
    auto = scores.Auto().fit(trained, many[:25], many[25:])
    auto.aurocs = keras.ops.convert_to_tensor(areas)
    assert auto.chosen == chosen


def test_auto_is_the_candidate_that_it_has_chosen(trained, many):
    auto = scores.Auto().fit(trained, many[:25], many[25:])
    score = scores.get(auto.chosen).fit(trained, many[:25], many[25:])
    np.testing.assert_allclose(auto(trained, many), score(trained, many), rtol=1e-3)


def test_auto_chooses_two_sides_where_strangers_are_simpler(monkeypatch, trained, many):
    blurred = lambda x, rng: 0.2 * x + 0.8 * x.mean(axis=(1, 2), keepdims=True)  # noqa: E731
    monkeypatch.setattr(scores.fusion, "KINDS", (blurred,))
    assert scores.Auto().fit(trained, many[:25], many[25:]).chosen in ("fusion", "typicality")


@pytest.mark.parametrize("chosen", ["relative", "neighbours", "fusion", "typicality"])
def test_auto_keeps_what_it_has_chosen(monkeypatch, trained, many, chosen):
    monkeypatch.setattr(scores.Auto, "chosen", chosen)
    auto = scores.Auto().fit(trained, many)
    again = scores.Auto(**auto.arguments())
    again.set_state(auto.state())
    np.testing.assert_array_equal(again(trained, many), auto(trained, many))
    shares = again.map(trained, many)
    np.testing.assert_allclose(shares.sum(axis=(1, 2, 3)), auto(trained, many), rtol=1e-4)


@pytest.mark.parametrize("shape", [(4, 4, 1), (28, 28, 1), (9, 14, 3), (3, 2, 1), (1, 1, 1)])
@pytest.mark.parametrize("kind", scores.pseudo.KINDS)
def test_pseudo_anomalies_are_images_in_range_and_leave_the_normal_ones(kind, shape):
    images = np.random.RandomState(0).rand(6, *shape).astype("float32")
    before = images.copy()
    found = kind(images, np.random.RandomState(1))
    assert found.shape == images.shape and found.min() >= 0 and found.max() <= 1
    np.testing.assert_array_equal(images, before)
    np.testing.assert_array_equal(found, kind(images, np.random.RandomState(1)))
    if shape[0] == 28:
        assert (found != images).any(axis=(1, 2, 3)).all()


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 30])
def test_a_local_mean_is_keras_s_average_pool(many, size):
    expected = keras.ops.average_pool(many, size, strides=1, padding="same")
    found = scores.errors.local_mean(many, size)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_the_largest_error_is_that_of_the_worst_place(trained, many):
    error = np.square(many - np.asarray(trained.reconstruct(many)))
    pooled = ops.average_pool(error, 3, strides=1, padding="same")
    expected = np.max(pooled, axis=(1, 2, 3))
    found = scores.LargestError(3)(trained, many)
    np.testing.assert_allclose(found, expected, rtol=1e-4)


@pytest.mark.parametrize("weight", [0.0, 0.5])
def test_the_joint_distance_is_scikit_learns(make_vae, table, weight):
    vae = make_vae(likelihood="gaussian", data_shape=(13,))
    train, held, new = table[:6], table[6:9], table[9:]
    residuals = [rows - np.asarray(vae.reconstruct(rows)) for rows in (train, held, new)]
    deviation = residuals[1].std(axis=0) + 1e-3
    known, asked = (
        np.hstack([rows, weight * residual / deviation])
        for rows, residual in ((train, residuals[0]), (new, residuals[2]))
    )
    expected = NearestNeighbors(n_neighbors=3).fit(known).kneighbors(asked)[0].mean(axis=1)
    score = scores.JointDistance(weight=weight).fit(vae, train, held)
    np.testing.assert_allclose(score(vae, new), expected, rtol=1e-4)


def test_an_encoder_without_hidden_layers_has_no_activations(make_vae, many, complains):
    vae = make_vae(hidden=())
    complains(lambda: scores.get("activations").fit(vae, many), "dense or convolution")


def test_the_noise_is_the_seeds(trained, many):
    keras.utils.set_random_seed(99)  # and not the global one
    first = scores.get("bound", seed=5)(trained, many)
    keras.utils.set_random_seed(1)
    np.testing.assert_array_equal(scores.get("bound", seed=5)(trained, many), first)


# What a score remembers, and what not


@pytest.mark.parametrize("name", ["latent", "activations", "neighbours", "fusion"])
def test_a_score_that_is_fitted_again_forgets_what_it_learned(trained, many, name):
    score = scores.get(name).fit(trained, many[:20])
    before = score(trained, many)
    found = score.fit(trained, many[20:])(trained, many)
    np.testing.assert_array_equal(found, scores.get(name).fit(trained, many[20:])(trained, many))
    assert not np.array_equal(found, before)


@pytest.mark.parametrize(
    ("score", "change"),
    [
        (scores.get("probability", draws=2), {"draws": 3}),
        (scores.get("probability"), {"seed": 3}),
        (scores.LocalError(), {"size": 1}),
        (scores.get("likelihood"), {"excess": True}),
    ],
)
def test_an_argument_that_is_changed_counts(trained, many, score, change):
    before = score(trained, many)
    for name, value in change.items():
        setattr(score, name, value)
    found = score(trained, many)
    np.testing.assert_array_equal(found, score.copy()(trained, many))
    assert not np.array_equal(found, before)


def test_a_score_keeps_no_model_alive(make_vae, many):
    score, models = scores.SquaredError(), [make_vae() for _ in range(3)]
    for model in models:
        score(model, many)
    gone = [weakref.ref(model) for model in models]
    del models, model
    keras.backend.clear_session()
    gc.collect()
    assert [ref() for ref in gone] == [None] * 3


def test_a_score_fitted_on_another_model_says_so(make_vae, many, complains):
    first, second = make_vae(), make_vae()
    score = scores.get("latent").fit(first, many)
    complains(lambda: score(second, many), "'latent'", "fitted on a model with other weights")
    learned = scores.get("latent")
    learned.set_state(score.state())
    np.testing.assert_array_equal(learned(first, many), score(first, many))
    complains(lambda: learned(second, many), "other weights")  # bound by the first use


# Numbers far from all data


def far_out(size: float) -> np.ndarray:
    rows = np.random.RandomState(5).randn(8, 6).astype("float32")
    rows[np.arange(8), np.arange(8) % 6] = size
    return rows


@pytest.fixture(scope="module")
def of_a_plane():
    """A table's VAE, and rows as it was trained on: two latent factors and a little noise."""
    keras.utils.set_random_seed(0)
    random = np.random.RandomState(0)
    rows = random.randn(1300, 2) @ random.randn(2, 6) + 0.05 * random.randn(1300, 6)
    rows = ((rows - rows.mean(0)) / rows.std(0)).astype("float32")
    vae = VAE(2, "gaussian", (6,), "dense", (32,), seed=0)
    vae.compile("adam")
    vae.fit(rows, epochs=30, verbose=0)
    return vae, rows


@pytest.mark.parametrize("name", ["likelihood", "probability", "elbo", "bound", "kl"])
def test_a_row_far_out_has_a_finite_and_large_score(of_a_plane, name):
    (vae, rows), score = of_a_plane, scores.get(name)
    for size in (200.0, 1e3, 1e6):
        found = score(vae, far_out(size))
        assert np.isfinite(found).all()
        if name != "kl":
            assert found.min() > score(vae, rows).max()


@pytest.mark.parametrize("name", ["reconstruction", "likelihood", "elbo", "bound", "kl"])
def test_a_score_that_is_not_finite_names_the_images(of_a_plane, name, complains):
    vae, rows = of_a_plane
    rows = rows[:40].copy()
    rows[[3, 21]] = 1e38
    complains(lambda: scores.get(name)(vae, rows), name, "[3, 21]", "not finite")
    rows[:] = 1e38
    complains(lambda: scores.get(name)(vae, rows), "[0, 1, 2, 3, 4] and others")
    complains(lambda: scores.get(name)(vae, rows.astype("float64") * 1e100), "float32 cannot hold")


def test_relative_error_of_colours_is_a_share_of_all_channels(make_vae):
    vae = make_vae(data_shape=(4, 4, 3))
    images = np.random.RandomState(0).rand(5, 4, 4, 3).astype("float32")
    images[..., 2] *= 0.01
    error = images - vae.predict(images, verbose=0)
    expected = (error**2).sum((1, 2, 3)) / (images**2).sum((1, 2, 3))
    np.testing.assert_allclose(scores.RelativeError(1)(vae, images), expected, rtol=1e-4)


def test_a_log_variance_far_out_is_bounded_and_comes_back(make_vae, many):
    vae = make_vae()
    bias = vae.encoder.get_layer("log_var").bias
    bias.assign(bias * 0 + 1e4)
    for name in ("kl", "elbo"):
        assert np.isfinite(scores.get(name)(vae, many)).all()
    with tf.GradientTape() as tape:
        loss = ops.sum(vae.encode(many)[1])
    assert (tape.gradient(loss, bias).numpy() == len(many)).all()
