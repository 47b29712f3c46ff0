"""The lesson is the library: functions that chapters write by hand, on random input."""

from __future__ import annotations

import ast

import keras
import numpy as np
import pytest
from keras import ops
from scipy.special import xlogy

from notebook_files import ROOT, read
from vae_lib import VAE, Bernoulli, Gaussian, losses, scores

ROUNDING = {"rtol": 2e-5, "atol": 1e-4}


def by_hand(chapter: str, name: str, **given):
    """The function of that name as the chapter defines it, with the globals it needs."""
    notebook = read(ROOT / "chapters" / f"{chapter}.ipynb")
    for cell in notebook.cells:
        if cell.cell_type == "code" and f"def {name}(" in cell.source:
            tree = ast.parse("\n".join(line.lstrip("%") for line in cell.source.splitlines()))
            found = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == name]
            namespace = {"np": np, "ops": ops, "losses": losses, "xlogy": xlogy, **given}
            exec(compile(ast.Module(found, []), chapter, "exec"), namespace)
            return namespace[name]
    raise AssertionError(f"{chapter} defines no {name}")


@pytest.fixture(params=["conv", "dense"])
def vae(request) -> VAE:
    keras.utils.set_random_seed(3)
    return VAE(5, network=request.param, hidden=(6, 7))


@pytest.fixture
def x() -> np.ndarray:
    return np.random.RandomState(7).rand(9, 28, 28, 1).astype("float32")


def test_reparameterize(vae, x):
    mean, log_var = vae.encode(x)
    eps = keras.random.normal((9, 5), seed=4)
    found = by_hand("03_encoder_decoder", "reparameterize")(mean, log_var, eps)
    np.testing.assert_allclose(found, vae.reparameterize(mean, log_var, seed=4), **ROUNDING)


def test_the_loss_by_hand(vae, x):
    eps = np.random.RandomState(1).randn(9, 5).astype("float32")
    step = by_hand("03_encoder_decoder", "reparameterize")
    given = {"encode": vae.encode, "decode": vae.decode, "reparameterize": step}
    found = by_hand("03_encoder_decoder", "loss_by_hand", **given)(x, eps)
    mean, log_var = vae.encode(x)
    parameters = vae.decode(step(mean, log_var, eps))
    reconstruction = losses.reconstruction(vae.likelihood, x, parameters)
    expected = -losses.elbo(reconstruction, losses.kl_divergence(mean, log_var))
    np.testing.assert_allclose(found, expected, **ROUNDING)


def test_the_entropy_of_grey_pixels(x):
    found = by_hand("04_elbo", "entropy")(x)
    expected = -np.sum(Bernoulli().best_log_prob(x), axis=(1, 2, 3))
    np.testing.assert_allclose(found, expected, **ROUNDING)


@pytest.mark.parametrize("likelihood", [Bernoulli(), Gaussian(0.3)])
def test_the_costs_of_chapter_4(x, likelihood):
    vae = VAE(5, likelihood=likelihood, network="dense", hidden=(6,))
    nll, error = by_hand("04_elbo", "costs")(vae, x)
    np.testing.assert_allclose(nll, scores.get("likelihood")(vae, x), **ROUNDING)
    np.testing.assert_allclose(error, scores.SquaredError()(vae, x), **ROUNDING)


def test_the_kl_of_each_latent(vae, x):
    found = by_hand("05_training", "latent_kl", validation=x)(vae)
    assert found.shape == (5,)
    expected = np.mean(losses.kl_divergence(*vae.encode(x)))
    np.testing.assert_allclose(found.sum(), expected, **ROUNDING)


def test_the_neighbours_of_chapter_7(x):
    vae = VAE(5, network="dense", hidden=(6,))
    given = {"flat": by_hand("07_multi_class", "flat")}
    given["features"] = by_hand("07_multi_class", "features", **given)
    distance = by_hand("07_multi_class", "neighbour_distance", **given)
    expected = scores.NeighbourDistance(3).fit(vae, x[:6])(vae, x)
    np.testing.assert_allclose(distance(vae, x, x[:6], k=3), expected, **ROUNDING)


def test_the_fusion_of_chapter_7(x):
    vae = VAE(5, network="dense", hidden=(6,))
    chapter, given = "07_multi_class", {"keras": keras}
    for name in ("flat", "features", "neighbour_distance", "relative_error", "both", "fuse"):
        given[name] = by_hand(chapter, name, **given)
    train, held = np.random.RandomState(8).rand(2, 20, 28, 28, 1).astype("float32")
    expected = scores.Fusion(("relative", "neighbours")).fit(vae, train, held)(vae, x)
    found = given["fuse"](vae, x, train, held)
    np.testing.assert_allclose(found, expected, rtol=1e-2, atol=1e-2)
