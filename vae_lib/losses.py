"""The terms of the evidence lower bound, each per example and in nats.

Every term is a *sum* over pixels or latent dimensions: a mean would change the balance between the
two terms, and with it beta, without saying so.
"""

from __future__ import annotations

import keras
from keras import ops


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
