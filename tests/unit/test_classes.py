"""Many normal classes: conditional VAE, mixture prior, and a detector with a threshold a class."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops
from scipy.special import logsumexp
from scipy.stats import norm
from sklearn.decomposition import PCA

from vae_lib import VAE, AnomalyDetector, ConditionalVAE, Gaussian, MixtureVAE, losses

SHAPE = (4, 4, 1)
LABELS = np.arange(12) % 3
KINDS = [
    ("dense", SHAPE, (5,), "bernoulli"),
    ("conv", SHAPE, (3, 4), "gaussian"),
    ("dense", (13,), (5,), Gaussian("per_pixel")),
]
each_kind = pytest.mark.parametrize("kind", KINDS, ids=["dense", "conv", "table"])
both = pytest.mark.parametrize("make", [ConditionalVAE, MixtureVAE])


def build(make: type[VAE], kind=KINDS[0], **arguments) -> VAE:
    network, shape, hidden, likelihood = kind
    first = {ConditionalVAE: {"classes": 3}, MixtureVAE: {"components": 3}}.get(make, {})
    sizes = {"network": network, "data_shape": shape, "hidden": hidden, "latent_dim": 2}
    vae = make(**{**first, **sizes, "likelihood": likelihood, **arguments})
    vae.compile(optimizer=keras.optimizers.SGD(0.01), run_eagerly=True)
    return vae


def terms(vae: VAE, *arrays, **arguments) -> dict[str, float]:
    return vae.evaluate(*arrays, verbose=0, return_dict=True, **arguments)


def given_labels(make: type[VAE]) -> tuple:
    return (LABELS,) if make is ConditionalVAE else ()


@pytest.fixture
def conditional() -> ConditionalVAE:
    return build(ConditionalVAE)


@pytest.fixture
def examples(images, table):
    return lambda kind: images if len(kind[1]) == 3 else table


# What both have in common with a VAE


@each_kind
@both
def test_training_lowers_the_loss_and_every_weight_learns(make, kind, examples):
    vae, x, labels = build(make, kind), examples(kind), given_labels(make)
    vae.compile(optimizer=keras.optimizers.Adam(0.01), run_eagerly=True)
    before, first = [w.numpy() for w in vae.trainable_weights], terms(vae, x, *labels)["loss"]
    logs = vae.fit(x, *labels, epochs=15, batch_size=12, verbose=0).history
    assert terms(vae, x, *labels)["loss"] < first - 0.05
    assert all(np.abs(w - b).max() > 0 for w, b in zip(vae.trainable_weights, before, strict=True))
    assert logs["loss"][-1] == pytest.approx(logs["reconstruction"][-1] + logs["kl"][-1], rel=1e-4)


@each_kind
@both
def test_a_loaded_model_gives_the_same(make, kind, examples, tmp_path):
    vae, x, labels = build(make, kind), examples(kind), given_labels(make)
    vae.fit(x, *labels, verbose=0)
    vae.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded) is make
    assert terms(loaded, x, *labels) == pytest.approx(terms(vae, x, *labels), rel=1e-6)
    assert loaded.get_config() == vae.get_config()
    expected = vae.predict(x, *labels, verbose=0)
    np.testing.assert_allclose(loaded.predict(x, *labels, verbose=0), expected, atol=1e-6)


@both
def test_a_weight_of_two_counts_as_two_examples(make, images):
    vae, labels = build(make), given_labels(make)
    weight = np.arange(12) % 4
    found = terms(vae, images, *labels, sample_weight=weight, batch_size=12)
    parts = vae((images, LABELS) if labels else images)
    reconstruction = losses.reconstruction(vae.likelihood, images, parts["parameters"])
    expected = np.mean(weight * reconstruction.numpy())
    assert found["reconstruction"] == pytest.approx(expected, rel=1e-5)
    assert found["loss"] == pytest.approx(found["reconstruction"] + found["kl"], rel=1e-5)


@both
def test_samples_repeat_with_a_seed(make):
    vae = build(make)
    assert vae.sample(n=5).shape == (5, *SHAPE)
    np.testing.assert_array_equal(vae.sample(n=5, seed=1), vae.sample(n=5, seed=1))
    assert np.abs(vae.sample(n=5, seed=1) - vae.sample(n=5, seed=2)).max() > 1e-4


# Conditional


def test_with_one_class_it_is_the_plain_vae(images):
    vae, one = build(VAE), build(ConditionalVAE, classes=1)
    inner, decoder = (network.network.layers[-1] for network in (one.encoder, one.decoder))
    kernel, *others = vae.encoder.get_weights()
    with_map = np.stack([kernel, 0 * kernel], axis=1).reshape(32, 5)  # channels stand inside
    inner.set_weights([with_map, *others])
    kernel, *others = vae.decoder.get_weights()
    decoder.set_weights([np.vstack([kernel, np.zeros((1, 5))]), *others])
    zeros = np.zeros(12, int)
    assert terms(one, images, zeros) == pytest.approx(terms(vae, images), rel=1e-5)
    np.testing.assert_allclose(one.reconstruct(images, zeros), vae.reconstruct(images), atol=1e-6)
    bounds = [losses.importance_weighted_bound(model, images) for model in (one.given(0), vae)]
    np.testing.assert_allclose(*bounds, rtol=1e-5)


def test_a_linear_one_is_probabilistic_pca_about_the_mean_of_each_class():
    rng, centers = np.random.RandomState(0), 2 * np.random.RandomState(1).randn(3, 8)
    latent, noise = rng.randn(900, 2) @ rng.randn(2, 8), 0.4 * rng.randn(900, 8)
    y = np.arange(900) % 3
    centers -= centers.mean(axis=0)
    spread = latent + noise
    for c in range(3):
        spread[y == c] -= spread[y == c].mean(axis=0)
    x = (spread + centers[y]).astype("float32")
    pca = PCA(2, svd_solver="full").fit(spread)  # an oracle that knows neither VAE nor class
    total, sigma2 = pca.explained_variance_, pca.noise_variance_
    sizes = {"data_shape": (8,), "network": "dense", "hidden": ()}
    vae = ConditionalVAE(3, 2, likelihood=Gaussian(float(np.sqrt(sigma2))), **sizes)
    loadings = np.sqrt(total - sigma2)[:, None] * pca.components_
    vae.decoder.network.layers[-1].set_weights([np.vstack([loadings, centers]), np.zeros(8)])
    to_mean = pca.components_.T * np.sqrt(total - sigma2) / total
    kernel = np.vstack([to_mean, -centers @ to_mean])
    zeros, constant = np.zeros((11, 2)), np.log(sigma2 / total)
    vae.encoder.network.layers[-1].set_weights([kernel, np.zeros(2), zeros, constant])
    for c in range(3):
        found = losses.importance_weighted_bound(vae.given(c), x, k=1)
        np.testing.assert_allclose(found, pca.score_samples(x - centers[c]), rtol=1e-3, atol=0.05)


@each_kind
def test_given_is_the_model_with_that_label(kind, examples):
    vae, x = build(ConditionalVAE, kind), examples(kind)
    for c in range(3):
        y, view = np.full(12, c), vae.given(c)
        np.testing.assert_array_equal(view.encode(x), vae.encode(x, y))
        np.testing.assert_array_equal(view.reconstruct(x), vae.reconstruct(x, y))
        np.testing.assert_array_equal(view.sample(n=4, seed=1), vae.sample(n=4, seed=1, classes=c))
    means = np.stack([vae.given(c).encode(x)[0] for c in range(3)])
    assert np.abs(means[0] - means[1]).max() > 1e-4
    assert np.abs(vae.given(1).decode(means[0]) - vae.given(2).decode(means[0])).max() > 1e-4


def test_hidden_may_be_an_array():
    vae = build(ConditionalVAE, hidden=np.array([5, 3]))
    assert vae.get_config()["hidden"] == (5, 3)


def test_each_example_has_its_own_label(conditional, images):
    whole = conditional.reconstruct(images, LABELS)
    for c in range(3):
        mine = np.arange(c, 12, 3)
        own = conditional.given(c).reconstruct(images[mine])
        np.testing.assert_allclose(np.asarray(whole)[mine], own, atol=1e-6)
    np.testing.assert_allclose(conditional.predict(images, LABELS, verbose=0), whole, atol=1e-6)


def test_samples_take_the_classes_in_turn(conditional):
    eps = np.zeros((5, 2), "float32")
    expected = conditional.decode(eps, np.array([0, 1, 2, 0, 1]), apply_sigmoid=True)
    np.testing.assert_array_equal(conditional.sample(eps), expected)


def test_a_tf_dataset_and_validation_data(conditional, images):
    pairs = tf.data.Dataset.from_tensor_slices((images, LABELS)).batch(12)
    weighted = tf.data.Dataset.from_tensor_slices((images, LABELS, np.full(12, 2.0))).batch(12)
    expected = terms(conditional, images, LABELS)["loss"]
    assert terms(conditional, pairs)["loss"] == pytest.approx(expected, rel=1e-6)
    assert terms(conditional, weighted)["loss"] == pytest.approx(2 * expected, rel=1e-6)
    conditional.optimizer.learning_rate = 0.0
    for validation in (pairs, (images, LABELS), (images, LABELS, np.ones(12))):
        logs = conditional.fit(pairs, validation_data=validation, verbose=0, epochs=2).history
        assert logs["val_loss"] == pytest.approx([expected] * 2, rel=1e-5)
    logs = conditional.fit(images, LABELS, validation_split=0.25, verbose=0).history
    assert "val_kl" in logs


def test_own_networks(images, tmp_path):
    x, y, z = keras.Input(SHAPE), keras.Input((3,)), keras.Input((2,))
    joined = keras.layers.Concatenate()([keras.layers.Flatten()(x), y])
    heads = [keras.layers.Dense(2)(joined) for _ in range(2)]
    pixels = keras.layers.Dense(16)(keras.layers.Concatenate()([z, y]))
    networks = keras.Model([x, y], heads), keras.Model([z, y], keras.layers.Reshape(SHAPE)(pixels))
    vae = ConditionalVAE(3, 2, data_shape=SHAPE, encoder=networks[0], decoder=networks[1])
    vae.save(tmp_path / "own.keras")
    loaded = keras.saving.load_model(tmp_path / "own.keras")
    expected = vae.reconstruct(images, LABELS)
    np.testing.assert_allclose(loaded.reconstruct(images, LABELS), expected, atol=1e-6)


# Mixture


def set_prior(vae: MixtureVAE, seed: int = 0) -> tuple[np.ndarray, ...]:
    rng = np.random.RandomState(seed)
    parts = rng.randn(3, 2), 0.5 * rng.randn(3, 2), rng.randn(3)
    for weight, part in zip(
        (vae.prior_mean, vae.prior_log_var, vae.prior_logits), parts, strict=True
    ):
        weight.assign(part)
    return parts


def test_the_prior_is_scipy_s_mixture(images):
    vae = build(MixtureVAE)
    mean, log_var, logits = set_prior(vae)
    z = np.asarray(vae.encode(images)[0], "float64")
    joint = norm(mean, np.exp(log_var / 2)).logpdf(z[:, None]).sum(axis=-1)
    joint += logits - logsumexp(logits)
    log_prior = logsumexp(joint, axis=1)
    np.testing.assert_allclose(vae.log_prior(z.astype("float32")), log_prior, rtol=1e-4, atol=1e-5)
    expected = np.exp(joint - log_prior[:, None])
    np.testing.assert_allclose(vae.responsibilities(images), expected, atol=1e-5)


def test_one_standard_component_costs_what_a_vae_s_kl_costs(images):
    mixture, vae = build(MixtureVAE, components=1), build(VAE)
    vae.encoder.get_layer("mean").bias.assign([1.0, -0.5])
    mixture.encoder.set_weights(vae.encoder.get_weights())
    mixture.decoder.set_weights(vae.decoder.get_weights())
    many = np.repeat(images, 1500, axis=0)
    found, expected = (terms(m, many, batch_size=18_000) for m in (mixture, vae))
    assert found["reconstruction"] == pytest.approx(expected["reconstruction"], rel=1e-6)
    assert found["kl"] == pytest.approx(expected["kl"], abs=0.04)  # 4 standard errors
    assert found["kl"] != expected["kl"]


def test_components_differ_from_the_start_and_samples_come_from_all():
    vae = build(MixtureVAE)
    assert min(np.ptp(vae.prior_mean.numpy(), axis=0)) > 1e-3
    mean = np.float32([[-9, -9], [0, 0], [9, 9]])
    vae.prior_mean.assign(mean)
    vae.prior_logits.assign(np.log([0.5, 0.3, 0.2]))
    vae.decode = lambda z, apply_sigmoid: z
    z = vae.sample(n=4000, seed=0).numpy()
    nearest = np.argmin(np.linalg.norm(z[:, None] - mean, axis=-1), axis=1)
    np.testing.assert_allclose(np.bincount(nearest) / 4000, [0.5, 0.3, 0.2], atol=0.04)
    np.testing.assert_allclose(z[nearest == 2].std(axis=0), 1, atol=0.1)


def test_it_finds_groups_without_labels():
    rng = np.random.RandomState(0)
    y = np.arange(300) % 2
    x = (np.where(y[:, None], 2.0, -2.0) + 0.3 * rng.randn(300, 4)).astype("float32")
    sizes = {"data_shape": (4,), "network": "dense", "hidden": (16,)}
    vae = MixtureVAE(2, latent_dim=2, likelihood=Gaussian(0.3), seed=0, **sizes)
    vae.compile(optimizer=keras.optimizers.Adam(0.01))
    vae.fit(x, epochs=40, verbose=0)
    group = ops.convert_to_numpy(vae.responsibilities(x)).argmax(axis=1)
    agreement = np.mean(group == y)
    assert max(agreement, 1 - agreement) > 0.95


# Detector

KIND = ("dense", SHAPE, (8,), Gaussian(0.1))


def corners(n: int, seed: int, odd: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Class 0 is bright on the left, 1 at the top, odd ones on the right; class 1 is noisier."""
    y = np.arange(n) % 2
    noise = np.where(y, 0.5, 0.1)[:, None, None, None]
    images = noise * np.random.RandomState(seed).rand(n, 4, 4, 1)
    for image, c in zip(images, y, strict=True):
        part = image[:, 2:] if odd else image[:2] if c else image[:, :2]
        part += 0.5
    return images.astype("float32"), y


CALIBRATION, TEST, ODD = corners(200, 1), corners(800, 2), corners(60, 3, odd=True)


@pytest.fixture(scope="module")
def trained() -> ConditionalVAE:
    vae = build(ConditionalVAE, KIND, classes=2, seed=0)
    vae.compile(optimizer=keras.optimizers.Adam(0.01))
    vae.fit(*corners(400, 0), epochs=20, verbose=0)
    return vae


@pytest.fixture
def detector(trained) -> AnomalyDetector:
    return AnomalyDetector(trained, "reconstruction").calibrate(
        CALIBRATION[0], 0.1, classes=CALIBRATION[1]
    )


def test_the_score_is_the_smallest_over_classes(trained, detector):
    x, y = TEST
    found = detector.class_scores(x)
    for c in range(2):
        error = (x - trained.reconstruct(x, np.full(800, c))) ** 2
        np.testing.assert_allclose(found[:, c], np.sum(error, axis=(1, 2, 3)), rtol=1e-4)
    np.testing.assert_array_equal(detector.score(x), found.min(axis=1))
    assert np.mean(detector.closest_class(x) == y) > 0.95
    np.testing.assert_allclose(
        detector.explain(x[:9]).sum(axis=(1, 2, 3)), detector.score(x[:9]), rtol=1e-5
    )


def test_each_class_has_a_threshold_of_its_own_and_keeps_the_rate(detector):
    x, y = TEST
    assert detector.threshold.shape == (2,)
    assert detector.threshold[1] > 2 * detector.threshold[0]
    flagged, found = detector.is_anomaly(x), detector.class_scores(x)
    np.testing.assert_array_equal(flagged, (found > detector.threshold).all(axis=1))
    for c in range(2):
        assert flagged[y == c].mean() < 0.1 + 4 * np.sqrt(0.09 * (1 / 100 + 1 / 400))
    assert detector.is_anomaly(ODD[0]).mean() > 0.9
    own = detector.calibration_scores[detector.calibration_classes == 1]
    assert np.sum(own > detector.threshold[1]) == 9  # the tenth is the threshold


def test_p_values_are_the_largest_over_classes_and_agree_with_predict(detector):
    x = TEST[0]
    p, found = detector.p_value(x), detector.class_scores(x)
    np.testing.assert_array_equal(p <= 0.1, detector.is_anomaly(x))
    own = detector.calibration_classes
    by_hand = [
        max((1 + np.sum(detector.calibration_scores[own == c] >= row[c])) / 101 for c in (0, 1))
        for row in found[:20]
    ]
    np.testing.assert_allclose(p[:20], by_hand)


def test_evaluate_uses_every_threshold(detector):
    x = np.concatenate([TEST[0], ODD[0]])
    truth = np.arange(len(x)) >= 800
    found = detector.evaluate(x, truth, resamples=20)
    assert found.detection_rate.value == detector.is_anomaly(ODD[0]).mean()
    assert found.false_alarm_rate.value == detector.is_anomaly(TEST[0]).mean()
    assert found.confusion[0, 1] == detector.is_anomaly(TEST[0]).sum()
