"""Anomaly detection with variational autoencoders: the library of the book of that name."""

from . import (
    data,
    likelihoods,
    live,
    losses,
    networks,
    plots,
    scores,
    series,
    thresholds,
    training,
)
from .classes import ConditionalVAE, MixtureVAE
from .detector import AnomalyDetector
from .diagnose import diagnose
from .likelihoods import Bernoulli, Gaussian
from .linear import fit_linear
from .model import VAE
from .sklearn import VAEDetector
from .stream import Stream

__version__ = "0.1.0"
__all__ = [
    "VAE",
    "AnomalyDetector",
    "Bernoulli",
    "ConditionalVAE",
    "Gaussian",
    "MixtureVAE",
    "Stream",
    "VAEDetector",
    "data",
    "diagnose",
    "fit_linear",
    "likelihoods",
    "live",
    "losses",
    "networks",
    "plots",
    "scores",
    "series",
    "thresholds",
    "training",
]
