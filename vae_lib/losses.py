"""The terms of the evidence lower bound, each per example and in nats.

Every term is a *sum* over pixels or latent dimensions: a mean would change the balance between the
two terms, and with it beta, without saying so.
"""

from __future__ import annotations

import math

import keras
from keras import ops

from .checks import (
    check_count,
    check_input,
    check_rows,
    check_seed,
    check_shapes,
    is_real,
    shape_of,
)


def reconstruction(likelihood: keras.layers.Layer, x, parameters):
    """-log p(x given z), summed over all but the first axis: shape (n,), in nats; equation (2.7).

    `likelihood` comes from `likelihoods`, `parameters` from the decoder, in the shape of x.
    """
    if not (isinstance(likelihood, keras.layers.Layer) and hasattr(likelihood, "log_prob")):
        raise ValueError(f"likelihood is {likelihood!r}; expected an object from likelihoods")
    check_shapes(x=x, parameters=parameters)
    check_rows("x", x)
    log_prob = likelihood.log_prob(x, parameters)
    return -ops.sum(log_prob, axis=tuple(range(1, len(log_prob.shape))))


def kl_divergence(mean, log_var):
    """KL(q(z given x) || p(z)) of a diagonal normal from N(0, I): (n,), in nats, at least 0.

    Equation (2.8); Kingma and Welling (2014), appendix B. `mean` and `log_var` are (n, latent_dim).
    """
    check_shapes(mean=mean, log_var=log_var)
    check_rows("mean", mean)
    # expm1 keeps the small difference near the prior that exp(log_var) - 1 would round away
    return 0.5 * ops.sum(mean**2 + (ops.expm1(log_var) - log_var), axis=-1)


def elbo(reconstruction, kl, beta: float = 1.0):
    """Evidence lower bound -reconstruction - beta kl, at most log p(x) if beta = 1; equation (2.9).

    Training minimises its negative. beta other than 1: Higgins et al. (2017), beta-VAE.
    """
    check_shapes(reconstruction=reconstruction, kl=kl)
    if shape_of("beta", beta).rank or (is_real(beta) and not math.isfinite(beta)):
        raise ValueError(f"beta is {beta!r}; expected a finite number")
    return -(reconstruction + beta * kl)


def compute_loss(model: keras.Model, x):
    """Negative ELBO of a batch from one draw of z, a scalar: the mean over images, in nats.

    The name is the tutorial's. `fit` minimises the same quantity.
    """
    _check_model(model, "form", "compute_loss")
    if not hasattr(model, "given"):  # with labels, x is a pair
        check_input(x, *model.form())  # before Keras makes a tensor of it, whatever it is
    return model.compute_loss(x=x, y_pred=model(x, training=True))


def log_normal(z, mean=0.0, log_var=0.0):
    """log N(z; mean, diag exp(log_var)), summed over the last axis, in nats."""
    check_rows("z", z)
    check_shapes("broadcast", z=z, mean=mean, log_var=log_var)
    log_var = ops.convert_to_tensor(log_var, dtype=z.dtype)
    terms = math.log(2 * math.pi) + log_var + (z - mean) ** 2 * ops.exp(-log_var)
    return -0.5 * ops.sum(terms, axis=-1)


def log_posterior(eps, log_var):
    """log q(z given x) at z = mean + exp(log_var / 2) eps, (...,), in nats.

    From eps itself: z - mean has lost its digits where the deviation is small beside the mean.
    """
    check_shapes("broadcast", eps=eps, log_var=log_var)
    return log_normal(eps) - 0.5 * ops.sum(log_var, axis=-1)


def importance_weighted_bound(
    model: keras.Model,
    x,
    k: int = 50,
    seed: int | keras.random.SeedGenerator = 0,
    chunk: int = 10,
):
    """Lower bound on log p(x) from k draws of z, for each image: (n,), in nats; equation (4.7).

    Burda, Grosse and Salakhutdinov (2016). With k = 1 it is a one-sample ELBO; in expectation it
    grows with k and approaches log p(x). Draws are made `chunk` at a time and only a running
    log-sum of the weights is kept, so memory does not grow with k. To train on the bound, pass
    `model.noise` as the seed and k as the chunk.

    Raises:
        ValueError: k or chunk below 1, a wrong seed, a prior that is not N(0, I).
    """
    check_count("k", k)
    check_count("chunk", chunk)
    _check_model(model, "encode", "decode", "likelihood", "data_shape", "standardise")
    if hasattr(model, "log_prior"):
        raise ValueError(
            f"model is a {type(model).__name__}; expected a VAE with the prior N(0, I)"
        )
    noise = seed
    if not isinstance(seed, keras.random.SeedGenerator):
        check_seed("seed", seed)
        noise = keras.random.SeedGenerator(int(seed))
    mean, log_var = model.encode(x)
    total = None
    for start in range(0, k, chunk):
        draws = min(chunk, k - start)
        log_weights = _log_weights(model, x, mean, log_var, draws, noise)
        part = ops.logsumexp(log_weights, axis=0)
        total = part if total is None else ops.logaddexp(total, part)
    return total - math.log(k)


def _log_weights(model: keras.Model, x, mean, log_var, draws: int, noise):
    """log p(x, z) - log q(z given x) for `draws` of z: (draws, n)."""
    n, latent_dim = ops.shape(mean)
    repeat = lambda t: ops.repeat(t[None], draws, axis=0)  # noqa: E731
    mean, log_var = repeat(mean), repeat(log_var)
    eps = keras.random.normal(ops.shape(mean), dtype=mean.dtype, seed=noise)
    z = model.reparameterize(mean, log_var, eps=eps)
    parameters = model.decode(ops.reshape(z, (draws * n, latent_dim)))
    images = repeat(model.standardise(ops.cast(x, mean.dtype)))
    images = ops.reshape(images, (draws * n, *model.data_shape))
    log_likelihood = -ops.reshape(reconstruction(model.likelihood, images, parameters), (draws, n))
    return log_likelihood + log_normal(z) - log_posterior(eps, log_var)


def _check_model(model: object, *parts: str) -> None:
    if isinstance(model, type) or not all(hasattr(model, part) for part in parts):
        raise ValueError(f"model is a {type(model).__name__}; expected a VAE")
