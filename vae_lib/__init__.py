"""Anomaly detection with variational autoencoders: the library of the book of that name."""

from . import data, likelihoods, live, losses, networks, plots, scores, thresholds, training
from .classes import ConditionalVAE, MixtureVAE
from .detector import AnomalyDetector
from .likelihoods import Bernoulli, Gaussian
from .model import VAE
from .sklearn import VAEDetector

__version__ = "0.1.0"
__all__ = [
    "VAE",
    "AnomalyDetector",
    "Bernoulli",
    "ConditionalVAE",
    "Gaussian",
    "MixtureVAE",
    "VAEDetector",
    "data",
    "likelihoods",
    "live",
    "losses",
    "networks",
    "plots",
    "scores",
    "thresholds",
    "training",
]
