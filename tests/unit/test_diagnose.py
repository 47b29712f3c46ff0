"""`diagnose`: silent on healthy models; each bug, put in by hand, is found by its own check.

The healthy model needs no training and shares no code with the library: probabilistic PCA, whose
posterior and loss are known exactly (Tipping and Bishop, 1999), in NumPy.
"""

from __future__ import annotations

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from vae_lib import VAE, ConditionalVAE, Gaussian, MixtureVAE, diagnose

FEATURES, LATENTS = 12, 4


class PPCA:
    """Functions of an exact linear VAE of rows x; each may be replaced by a broken one."""

    def __init__(self, seed: int = 0):
        self.random = np.random.RandomState(seed)
        factors = self.random.randn(400, LATENTS) * (2.0, 1.5, 1.2, 1.0)
        turn = np.linalg.qr(self.random.randn(FEATURES, LATENTS))[0]
        self.x = (factors @ turn.T + 0.3 * self.random.randn(400, FEATURES)).astype("float32")
        self.center = self.x.mean(0)
        values, vectors = np.linalg.eigh(np.cov(self.x.T))
        self.variance = values[:-LATENTS].mean()
        self.loading = vectors[:, -LATENTS:] * np.sqrt(values[-LATENTS:] - self.variance)
        self.precision = (self.loading**2).sum(0) + self.variance

    def encoder(self, x):
        mean = (x - self.center) @ self.loading / self.precision
        return mean, np.broadcast_to(np.log(self.variance / self.precision), mean.shape)

    def decoder(self, z):
        return z @ self.loading.T + self.center

    def sample(self, mean, log_var):
        return mean + np.exp(log_var / 2) * self.random.randn(*mean.shape)

    def reconstruction(self, x, decoded):
        return ((x - decoded) ** 2).sum(1) / (2 * self.variance)

    def kl(self, mean, log_var):
        return 0.5 * (mean**2 + np.exp(log_var) - log_var - 1).sum(1)

    def loss(self, x, decoded, mean, log_var):
        return self.reconstruction(x, decoded) + self.kl(mean, log_var)

    def reconstruct(self, x):
        return self.decoder(self.encoder(x)[0])

    def diagnose(self, **replaced):
        names = ("encoder", "decoder", "sample", "loss", "reconstruct")
        parts = {name: getattr(self, name) for name in names}
        return diagnose(None, replaced.pop("x", self.x), **{**parts, **replaced})


def problems(report) -> str:
    return "\n".join(f"{f.check}: {f.problem} {f.evidence}" for f in report.findings)


@pytest.mark.parametrize("seed", range(10))
def test_a_healthy_model_raises_no_finding(seed):
    report = PPCA(seed).diagnose()
    assert report.findings == [] and report.skipped == []
    assert "1 times KL" in report.facts["KL term"]


def test_the_facts_are_those_of_the_exact_model():
    model = PPCA()
    facts = model.diagnose(x=model.x[:256]).facts
    mean, log_var = model.encoder(model.x[:256])
    left = ((model.x - model.reconstruct(model.x))[:256] ** 2).sum() / (
        (model.x[:256] - model.x[:256].mean(0)) ** 2
    ).sum()
    assert float(facts["KL"].split()[0]) == pytest.approx(model.kl(mean, log_var).mean(), rel=1e-3)
    assert float(facts["unexplained"].split()[0]) == pytest.approx(left, abs=1e-3)
    assert float(facts["sigma in the loss"].split(",")[0]) == pytest.approx(
        model.variance**0.5, rel=1e-2
    )
    assert "4 of 4 latents active" in facts["KL"]


def broken(model: PPCA) -> dict[str, tuple[dict, str]]:
    """By name: what is replaced, and words of the finding."""
    rec, kl, random = model.reconstruction, model.kl, model.random

    def loss(of):
        return {"loss": lambda x, out, m, v: of(rec(x, out), m, v)}

    def noise(sigma, draw=random.randn):
        return {"sample": lambda m, v: m + sigma(v) * draw(*m.shape)}

    root, frozen = (lambda v: np.exp(v / 2)), random.randn(5000, LATENTS)
    total, flat = loss(lambda r, m, v: r + kl(m, v)), np.zeros(FEATURES)
    return {
        "clamped": (loss(lambda r, m, v: r + 0 * kl(m, v)), "KL: the KL term has no effect"),
        "mean over latents": (loss(lambda r, m, v: r + kl(m, v) / LATENTS), "a mean over latents"),
        "no half": (loss(lambda r, m, v: r + 2 * kl(m, v)), "beta is 2, expected 1: no half"),
        "sign": (loss(lambda r, m, v: r - kl(m, v)), "wrong sign"),
        "no variance": (loss(lambda r, m, v: r + (m**2).sum(1)), "2 times mean**2, without"),
        "swapped": (
            loss(
                lambda r, m, v: r + ((m**2 + 1) * np.exp(-v) + v - 1).sum(1) / 2,
            ),
            "prior and posterior swapped",
        ),
        "log sigma": (loss(lambda r, m, v: r + (kl(m, 2 * v))), "log_var taken for log sigma"),
        "unknown": (loss(lambda r, m, v: r + np.abs(m).sum(1)), "none that is known here"),
        "mean over x": (
            {"loss": lambda x, o, m, v: ((x - o) ** 2).mean(1) + 40 * kl(m, v)},
            "the loss takes the data for noise",
        ),
        "a faint KL": (loss(lambda r, m, v: r + kl(m, v) / 500), "the KL term hardly counts"),
        "output unused": (
            {"loss": lambda x, o, m, v: kl(m, v)},
            "does not depend on what is decoded",
        ),
        "nothing drawn": (noise(lambda v: 0 * v), "nothing is sampled"),
        "variance": (noise(np.exp), "exp(log_var) is used"),
        "log-variance": (noise(lambda v: v), "log_var is used"),
        "uniform": (noise(root, random.rand), "not standard normal"),
        "too quiet": (noise(lambda v: 0.1 * root(v)), "not standard normal"),
        "frozen": (noise(root, lambda n, d: frozen[:n]), "frozen"),
        "one for all": (noise(root, lambda n, d: random.randn(1, d)), "one noise for the whole"),
        "one a code": (noise(root, lambda n, d: random.randn(n, 1)), "one noise for all latents"),
        "collapsed": (
            {"encoder": lambda x: (np.zeros((len(x), 4)), np.zeros((len(x), 4))), **total},
            "no latent is active",
        ),
        "blind": (
            {"decoder": lambda z: np.tile(model.center, (len(z), 1)), "reconstruct": None},
            "hardly looks at z",
        ),
        "untrained": (
            {"decoder": lambda z: 0.1 * np.tanh(z @ model.loading.T) + 5 + flat},
            "is it trained?",
        ),
        "far from the prior": (
            {
                "encoder": lambda x: (9 * model.encoder(x)[0], model.encoder(x)[1]),
                "decoder": lambda z: model.decoder(z / 9),
            },
            "far from the prior",
        ),
        "a sigmoid": ({"decoder": lambda z: 1 / (1 + np.exp(-model.decoder(z)))}, "out of the"),
        "a score that is drawn": (
            {"reconstruct": lambda x: model.decoder(model.sample(*model.encoder(x)))},
            "another score each time",
        ),
        "a score of the batch": (
            {"reconstruct": lambda x: model.reconstruct(x) - x.mean(0)},
            "depends on the others",
        ),
        "NaN": ({"decoder": lambda z: model.decoder(z) * np.nan}, "finite: decoded has NaN"),
    }


@pytest.mark.parametrize("name", broken(PPCA()))
def test_a_bug_is_found(name):
    model = PPCA()
    replaced, told = broken(model)[name]
    found = problems(model.diagnose(**replaced))
    assert told in found, found


@pytest.mark.parametrize("beta", [0.25, 4.0])
def test_a_beta_that_is_meant_is_no_finding(beta):
    model = PPCA()
    weighed = {"loss": lambda x, o, m, v: model.reconstruction(x, o) + beta * model.kl(m, v)}
    assert model.diagnose(beta=beta, **weighed).findings == []


def test_a_loss_of_other_units_is_no_finding_or_an_unsure_one():
    model = PPCA()
    assert model.diagnose(loss=lambda *a: model.loss(*a) / FEATURES).findings == []
    # a right loss, over the number of latents, is that of a mean over latents at another sigma
    found = model.diagnose(loss=lambda *a: model.loss(*a) / LATENTS).findings
    assert [f.sure for f in found] == ["likely"] and "a mean over latents" in found[0].problem


def test_a_beta_that_is_left_out_or_not_meant():
    assert "expected 4: is it left out?" in problems(PPCA().diagnose(beta=4))
    (found,) = PPCA().diagnose(beta=0).findings
    assert found.sure == "certain" and "beta is 1, expected 0" in found.problem


# Bernoulli: the loss of logits and of probabilities


@pytest.fixture(scope="module")
def bumps() -> np.ndarray:
    """256 images (8, 8, 1) of a bright spot anywhere, in 0..1."""
    row, column = np.random.RandomState(0).uniform(1, 6, (2, 256, 1, 1))
    i, j = np.arange(8)[:, None], np.arange(8)[None]
    return np.exp(-((i - row) ** 2 + (j - column) ** 2) / 2).astype("float32")[..., None]


@pytest.fixture(scope="module")
def train(bumps):
    """A convolutional VAE of those images."""

    def make(epochs: int = 60, seed: int = 0, **arguments):
        keras.utils.set_random_seed(seed)
        network = {"network": "conv", "hidden": (16,), "data_shape": (8, 8, 1), **arguments}
        model = VAE(latent_dim=3, **network)
        model.compile(keras.optimizers.Adam(0.01))
        if epochs:
            model.fit(bumps, epochs=epochs, batch_size=32, verbose=0)
        return model

    return functools.cache(make)


def test_no_finding_of_the_librarys_own_bernoulli(train, bumps):
    report = diagnose(train(), bumps)
    print(report)
    assert report.findings == [] and report.skipped == []
    assert report.facts["reconstruction term"].startswith("logits")


def test_no_finding_of_the_librarys_own_gaussian(train, bumps):
    report = diagnose(train(likelihood="gaussian", network="dense", beta=0.5), bumps)
    print(report)
    assert report.findings == [] and report.skipped == []


def test_no_finding_of_a_standardised_table():
    rows = 100 + 30 * PPCA().x
    keras.utils.set_random_seed(0)
    form = {"data_shape": (FEATURES,), "network": "dense", "hidden": (32,)}
    model = VAE(4, Gaussian(0.5), standardise=True, **form)
    model.compile(keras.optimizers.Adam(0.01))
    model.fit(rows, epochs=30, batch_size=32, verbose=0)
    report = diagnose(model, rows)
    assert report.findings == [], report


def test_a_model_is_left_as_it_was(train, bumps):
    model = train(epochs=1)
    variables = [*model.variables, *model.metrics_variables]
    before = [v.numpy() for v in variables]
    one, two = diagnose(model, bumps), diagnose(model, bumps)
    for variable, value in zip(variables, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)
    assert repr(one) == repr(two)


def probabilities(x, decoded, mean, log_var):
    p = np.clip(decoded, 1e-6, 1 - 1e-6)
    terms = -x * np.log(p) - (1 - x) * np.log(1 - p)
    return terms.sum((1, 2, 3)) + 0.5 * (mean**2 + np.exp(log_var) - log_var - 1).sum(1)


@pytest.fixture(scope="module")
def keras_io(train):
    """A model as others write it: the encoder gives z, too, the decoder ends in a sigmoid."""
    own = train()

    class Sampling(layers.Layer):
        def call(self, inputs):
            mean, log_var = inputs
            return mean + keras.ops.exp(0.5 * log_var) * keras.random.normal(
                keras.ops.shape(mean), seed=SEEDS
            )

    mean, log_var = own.encoder.outputs
    encoder = keras.Model(own.encoder.input, [mean, log_var, Sampling()([mean, log_var])])
    z = keras.Input((3,))
    decoder = keras.Model(z, layers.Activation("sigmoid")(own.decoder(z)))

    class Theirs(keras.Model):
        def __init__(self):
            super().__init__()
            self.encoder, self.decoder = encoder, decoder

        def call(self, x):
            return self.decoder(self.encoder(x)[2])

    return Theirs()


SEEDS = keras.random.SeedGenerator(0)


def test_another_ones_keras_model(keras_io, bumps):
    report = diagnose(keras_io, bumps, loss=probabilities)
    assert "probabilities" in report.facts["reconstruction term"]
    assert [f.check for f in report.findings] == ["scores"], report  # its call draws z
    at_the_mean = lambda x: keras_io.decoder(keras_io.encoder(x)[0])  # noqa: E731
    report = diagnose(keras_io, bumps, loss=probabilities, reconstruct=at_the_mean)
    assert report.findings == [], report


def test_layers_by_name(keras_io, bumps):
    keras_io.encoder.name, keras_io.decoder.name = "its_encoder", "its_decoder"
    report = diagnose(keras_io, bumps, "its_encoder", "its_decoder")
    assert "the loss: give loss" in repr(report)


def test_a_sigmoid_used_as_logits(keras_io, bumps, train):
    def logits(x, decoded, mean, log_var):
        terms = np.logaddexp(0, decoded) - x * decoded
        return terms.sum((1, 2, 3)) + 0.5 * (mean**2 + np.exp(log_var) - log_var - 1).sum(1)

    assert "within 0..1, as after a sigmoid" in problems(diagnose(keras_io, bumps, loss=logits))
    relu = diagnose(
        train(),
        bumps,
        decoder=lambda z: np.maximum(2 * z[:, :1, None, None] * np.ones((1, 8, 8, 1)), 0),
    )
    assert "as by a ReLU" in problems(relu)


def test_a_loss_of_probabilities_that_gets_logits(train, bumps):
    assert "they are not" in problems(diagnose(train(), bumps, loss=probabilities))


def test_pictures_of_levels(keras_io, bumps):
    found = problems(diagnose(keras_io, 255 * bumps, loss=probabilities))
    assert "beyond 0..1" in found and "neither 0..1 nor standardised" in found


def test_an_encoder_without_flatten(bumps):
    convolution = layers.Conv2D(4, 3, 2, "same")
    report = diagnose(None, bumps, lambda x: tf.split(convolution(x), 2, 1), lambda z: z)
    assert "no Flatten" in problems(report)


def test_nan_weights(train, bumps):
    model = train(epochs=1)
    weight = model.encoder.get_layer("mean").kernel
    weight.assign(weight * np.nan)
    assert "finite: weights are NaN" in problems(diagnose(model, bumps))


def test_an_untrained_model(train, bumps):
    found = problems(diagnose(train(epochs=0), bumps))
    assert "trained" in found, found


# What it shows


def test_the_report_reads_well(train, bumps):
    report = diagnose(train(epochs=0), bumps, seed=1)
    assert repr(report).startswith(f"{len(report.findings)} finding")
    assert "chapter 5" in repr(report)
    assert repr(PPCA().diagnose()).startswith("no findings\n")
    page = PPCA().diagnose(loss=None)._repr_html_()
    assert page.startswith('<table class="dataframe">') and "<th>not looked at</th>" in page
    assert "(x, decoded, mean, log_var)" in page


# Bad input

X, MODEL = PPCA().x, PPCA()
ENCODER, DECODER = MODEL.encoder, MODEL.decoder
WRONG = {
    "no encoder": (lambda: diagnose(keras.Sequential(), X), "model is a Sequential", "'encoder'"),
    "no model": (lambda: diagnose(None, X), "model is a NoneType", "'encoder'"),
    "a string": (lambda: diagnose("vae", X), "model is a str", "'encoder'"),
    "a list": (lambda: diagnose(None, X, [1], DECODER), "encoder is [1]"),
    "a class": (lambda: diagnose(VAE, X), "model is a type", "'encoder'"),
    "no decoder": (lambda: diagnose(None, X, ENCODER), "'decoder'", "None"),
    "no such layer": (lambda: diagnose(None, X, "enc", DECODER), "encoder is 'enc'", "'encoder'"),
    "another shape": (
        lambda: diagnose(None, X[:, :5], ENCODER, DECODER),
        "encoder does not take (256, 5)",
    ),
    "another shape for ours": (
        lambda: diagnose(VAE(2, network="dense"), X),
        "encoder does not take (256, 12)",
        "(28, 28, 1)",
    ),
    "few rows": (lambda: diagnose(None, X[:15], ENCODER, DECODER), "(15, 12)", "at least 16"),
    "words": (lambda: diagnose(None, np.full((20, 2), "a"), ENCODER, DECODER), "dtype <U1"),
    "one axis": (lambda: diagnose(None, X[:, 0], ENCODER, DECODER), "shape (400,)"),
    "NaN": (lambda: diagnose(None, X * np.nan, ENCODER, DECODER), "NaN or infinite"),
    "masked": (lambda: diagnose(None, np.ma.array(X), ENCODER, DECODER), "masked"),
    "one output": (lambda: diagnose(None, X, lambda x: x, DECODER), "encoder gives", "log_var"),
    "four outputs": (lambda: diagnose(None, X, lambda x: [x] * 4, DECODER), "4 parts"),
    "two widths": (lambda: diagnose(None, X, lambda x: (x, x[:, :2]), DECODER), "(256, 12)"),
    "one row": (lambda: diagnose(None, X, lambda x: (x[:1], x[:1]), DECODER), "(1, 12)"),
    "decoded": (lambda: diagnose(None, X, ENCODER, lambda z: z), "decoder gives the shape"),
    "a loss that fails": (
        lambda: diagnose(None, X, ENCODER, DECODER, loss=lambda a, b: 0),
        "loss does not take",
    ),
    "a reconstruct that fails": (
        lambda: diagnose(None, X, ENCODER, DECODER, reconstruct=lambda x: x @ x),
        "reconstruct does not take",
    ),
    "a reconstruct of another shape": (
        lambda: diagnose(None, X, ENCODER, DECODER, reconstruct=lambda x: x[:, :5]),
        "reconstruct gives nothing like x, (256, 12)",
    ),
    "beta": (lambda: diagnose(None, X, ENCODER, DECODER, beta=-1), "beta is -1"),
    "seed": (lambda: diagnose(None, X, ENCODER, DECODER, seed=-1), "seed is -1"),
    "labels": (
        lambda: diagnose(ConditionalVAE(3, 2), X),
        "ConditionalVAE",
        "without labels",
    ),
    "a mixture": (lambda: diagnose(MixtureVAE(2, latent_dim=2), X), "MixtureVAE", "N(0, I)"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_input(name, complains):
    call, *words = WRONG[name]
    complains(call, *words)
