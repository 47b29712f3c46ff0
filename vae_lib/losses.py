"""The terms of the evidence lower bound, each per example and in nats.

Every term is a *sum* over pixels or latent dimensions: a mean would change the balance between the
two terms, and with it beta, without saying so.
"""

from __future__ import annotations

import math

import keras
from keras import ops

from .checks import check_count


def reconstruction(likelihood: keras.layers.Layer, x, parameters):
    """-log p(x given z), summed over all but the first axis: shape (n,), in nats; equation (2.7).

    `likelihood` comes from `likelihoods`, `parameters` from the decoder, in the shape of x.
    """
    log_prob = likelihood.log_prob(x, parameters)
    return -ops.sum(log_prob, axis=tuple(range(1, len(log_prob.shape))))


def kl_divergence(mean, log_var):
    """KL(q(z given x) || p(z)) of a diagonal normal from N(0, I): (n,), in nats, at least 0.

    Equation (2.8); Kingma and Welling (2014), appendix B. `mean` and `log_var` are (n, latent_dim).
    """
    # expm1 keeps the small difference near the prior that exp(log_var) - 1 would round away
    return 0.5 * ops.sum(mean**2 + (ops.expm1(log_var) - log_var), axis=-1)


def elbo(reconstruction, kl, beta: float = 1.0):
    """Evidence lower bound -reconstruction - beta kl, at most log p(x) if beta = 1; equation (2.9).

    Training minimises its negative. beta other than 1: Higgins et al. (2017), beta-VAE.
    """
    return -(reconstruction + beta * kl)


def compute_loss(model: keras.Model, x):
    """Negative ELBO of a batch from one draw of z, a scalar: the mean over images, in nats.

    The name is the tutorial's. `fit` minimises the same quantity.
    """
    return model.compute_loss(x=x, y_pred=model(x, training=True))


def log_normal(z, mean=0.0, log_var=0.0):
    """log N(z; mean, diag exp(log_var)), summed over the last axis, in nats."""
    log_var = ops.convert_to_tensor(log_var, dtype=z.dtype)
    terms = math.log(2 * math.pi) + log_var + (z - mean) ** 2 * ops.exp(-log_var)
    return -0.5 * ops.sum(terms, axis=-1)


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
        ValueError: k or chunk below 1.
    """
    check_count("k", k)
    check_count("chunk", chunk)
    mean, log_var = model.encode(x)
    noise = (
        seed if isinstance(seed, keras.random.SeedGenerator) else keras.random.SeedGenerator(seed)
    )
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
    z = model.reparameterize(mean, log_var, seed=noise)
    parameters = model.decode(ops.reshape(z, (draws * n, latent_dim)))
    images = ops.reshape(repeat(x), (draws * n, *model.data_shape))
    log_likelihood = -ops.reshape(reconstruction(model.likelihood, images, parameters), (draws, n))
    return log_likelihood + log_normal(z) - log_normal(z, mean, log_var)
