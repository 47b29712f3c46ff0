"""The linear VAE: probabilistic PCA, whose best weights come from one decomposition.

With a linear encoder and decoder and a normal likelihood the ELBO has its maximum in closed form
(Tipping and Bishop, 1999; Lucas, Tucker, Grosse and Norouzi, 2019). It takes a second, needs no
learning rate, and is the rival that a deep VAE has to beat with the same score.
"""

from __future__ import annotations

import math

import numpy as np

from .batches import whole
from .likelihoods import Gaussian
from .model import VAE


def fit_linear(model: VAE, x) -> VAE:
    """Set the weights of a VAE with `network="linear"` to the maximum of its ELBO on x.

    Let lambda_1 >= lambda_2 >= ... be the eigenvalues of the covariance of x, D numbers a row, and
    u_i its eigenvectors. A latent is used where lambda_i > beta sigma^2: the decoder's column is
    w_i = sqrt(lambda_i - beta sigma^2) u_i, the posterior's mean w_i (x - E[x]) / lambda_i, its
    variance beta sigma^2 / lambda_i. The others keep the prior, as in a posterior collapse. With q
    latents used, sigma^2 is the variance that they leave, divided by D - beta q.

    Args:
        model: its likelihood is a `Gaussian` with a sigma that is a number or "learned".
        x: an array (n, *data_shape), n at least 2, or batches of it.

    Raises a ValueError for another network or likelihood, and for an x that does not fit.
    """
    if getattr(model, "network", None) != "linear":
        raise ValueError(f"network is {getattr(model, 'network', None)!r}; expected 'linear'")
    likelihood, beta = model.likelihood, float(model.beta.numpy())
    if not isinstance(likelihood, Gaussian) or likelihood.sigma == "per_pixel":
        given = f"likelihood is {type(likelihood).__name__}"
        raise ValueError(f"{given}; expected a Gaussian with one sigma, a number or 'learned'")
    if beta == 0:
        raise ValueError("beta is 0; expected a number above 0, since without KL no optimum exists")
    rows, _ = whole(x, model.form())
    if len(rows) < 2:
        raise ValueError(f"x has {len(rows)} rows; expected 2 or more")
    if model.columns is not None and not model.columns.adapted:
        model.adapt(rows)
    rows, center, variances, directions = _principal(np.asarray(model.standardise(rows)))
    variances = np.pad(variances, (0, model.latent_dim))[: model.latent_dim]
    directions = np.pad(directions, ((0, model.latent_dim), (0, 0)))[: model.latent_dim]
    total = np.mean(rows**2, axis=0).sum()
    for q in range(model.latent_dim, -1, -1):  # drop latents until all that are left are used
        noise = _noise(total - variances[:q].sum(), rows.shape[1] - beta * q, likelihood)
        if q == 0 or variances[q - 1] > beta * noise:
            break
    used = np.arange(model.latent_dim) < q
    sizes = np.sqrt(np.where(used, variances - beta * noise, 0.0))[:, None]
    variances = np.where(used, variances, 1.0)
    decoder, log_var = sizes * directions, np.where(used, np.log(beta * noise / variances), 0.0)
    encoder = (decoder / variances[:, None]).T
    model.encoder.get_layer("mean").set_weights([encoder, -center @ encoder])
    model.encoder.get_layer("log_var").set_weights([np.zeros_like(encoder), log_var])
    model.decoder.get_layer("parameters").set_weights([decoder, center])
    likelihood.assign(math.sqrt(noise))
    return model


def _principal(x: np.ndarray):
    """Centred rows (n, D), their mean, and variances with directions, largest first, none of 0."""
    rows = np.asarray(x, "float64").reshape(len(x), -1)
    center = rows.mean(axis=0)
    rows = rows - center
    if len(rows) < rows.shape[1]:
        _, singular, directions = np.linalg.svd(rows, full_matrices=False)
        variances = singular**2 / len(rows)
    else:
        variances, columns = np.linalg.eigh(rows.T @ rows / len(rows))
        variances, directions = variances[::-1], columns.T[::-1]
    some = variances > 1e-12 * max(variances[0], 1e-30)
    return rows, center, variances[some], directions[some]


def _noise(left: float, count: float, likelihood: Gaussian) -> float:
    """sigma^2 where `left` is the variance that is not explained, over `count` directions."""
    if not isinstance(likelihood.sigma, str):
        return likelihood.sigma**2
    if count <= 0:
        return math.inf
    return max(left / count, (1.001 * likelihood.min_sigma) ** 2)
